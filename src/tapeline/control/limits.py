"""Calls and conferences that may last only so long."""

import asyncio

from tapeline.control.calls.legs import hang_up
from tapeline.control.conferences.members import end_conference
from tapeline.control.live import End, LiveCall
from tapeline.control.parts import Parts
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.conference import ConferenceEnd
from tapeline.domain.id import EpochMs

PAUSE_S = 1.0
"""Between two looks: as late as this a limit may take effect. A look at 10,000 calls takes 2 ms."""
TIME_UP = End(cause=EndCause.TIME_LIMIT, source=EndSource.SYSTEM)


async def watch_limits(parts: Parts) -> None:
    """Ends what has reached its limit, until it is cancelled."""
    while True:
        await asyncio.sleep(PAUSE_S)
        await end_what_is_due(parts)


async def end_what_is_due(parts: Parts) -> None:
    now_ms = parts.clock.now_ms()
    for live_call in list(parts.live.calls.values()):
        if live_call.end is None and _is_due(live_call, now_ms):
            await hang_up(parts, live_call, TIME_UP)
    for conference in list(parts.live.conferences.values()):
        expires_at_ms = conference.conference.expires_at_ms
        if expires_at_ms is not None and expires_at_ms <= now_ms and not conference.is_ending:
            await end_conference(parts, conference, ConferenceEnd.TIME_LIMIT)


def _is_due(live_call: LiveCall, now_ms: EpochMs) -> bool:
    answered_at_ms, limit_ms = live_call.call.answered_at_ms, live_call.time_limit_ms
    if answered_at_ms is None or limit_ms is None:
        return False
    return now_ms - answered_at_ms >= limit_ms
