"""Use cases: what can be asked of a node, and what follows from what the core reports."""

from tapeline.control.control import Control
from tapeline.control.credentials import AccountCache
from tapeline.control.dispatcher import Dispatcher
from tapeline.control.parts import DialectRules, Finaliser, Parts, Programs, RecordingFiles

__all__ = [
    "AccountCache",
    "Control",
    "DialectRules",
    "Dispatcher",
    "Finaliser",
    "Parts",
    "Programs",
    "RecordingFiles",
]
