"""Everything outgoing over HTTP: the guarded client and the rule of where it may go."""

from tapeline.net.client import GuardedClient, Limits, RequestFailed, Response, check_url
from tapeline.net.destination import Destinations

__all__ = ["Destinations", "GuardedClient", "Limits", "RequestFailed", "Response", "check_url"]
