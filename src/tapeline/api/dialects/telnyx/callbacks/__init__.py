"""What Telnyx tells the customer: rendered with the event, sealed at each attempt."""

from tapeline.api.dialects.telnyx.callbacks.render import render_event
from tapeline.api.dialects.telnyx.callbacks.seal import seal

__all__ = ["render_event", "seal"]
