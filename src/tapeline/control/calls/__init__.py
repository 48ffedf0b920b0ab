"""Calls: what may be done with a leg, arrivals, what the core reports, what commands ask.

Only the first is exported here; the rest is for the dispatcher and `Control`.
"""

from tapeline.control.calls.dialling import dial
from tapeline.control.calls.legs import (
    answer,
    hang_up,
    listening,
    play,
    play_tones,
    ring,
    what_failed,
)
from tapeline.control.calls.outgoing import Outgoing

__all__ = [
    "Outgoing",
    "answer",
    "dial",
    "hang_up",
    "listening",
    "play",
    "play_tones",
    "ring",
    "what_failed",
]
