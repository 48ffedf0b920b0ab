"""Conferences: who is in them, what the core reports about rooms, what commands ask.

Only the first is exported here; the rest is for the dispatcher and `Control`.
"""

from tapeline.control.conferences.members import (
    end_conference,
    join_conference,
    leave_conference,
    set_free,
    take_over,
)

__all__ = ["end_conference", "join_conference", "leave_conference", "set_free", "take_over"]
