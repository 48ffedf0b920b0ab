"""What may be done with a call's leg: by its program, and by commands on its behalf."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tapeline.control.calls.ends import REASONS
from tapeline.control.digits import DigitInbox
from tapeline.control.live import Branches, End, LiveCall, Voice, unbroken
from tapeline.control.parts import Parts
from tapeline.control.playing.play import play as play_file
from tapeline.domain.call import Direction
from tapeline.domain.error import CallHasEnded, EngineFailed, TapelineError
from tapeline.domain.signal import LegHandle, PlayedTone, PlayFinished, PlaySpec, RoomHandle
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_END_LIMIT_S = 1.0


async def ring(parts: Parts, live_call: LiveCall) -> None:
    """180 Ringing, to who called us and has not been answered."""
    if live_call.call.direction is Direction.INBOUND and not live_call.is_answered:
        await unbroken(parts.engine.ring(live_call.leg))


async def answer(parts: Parts, live_call: LiveCall) -> None:
    """200 OK, once; the row follows when the core reports it. Raises EngineFailed."""
    async with parts.live.locks.hold((live_call.call.id, "answer")):
        if live_call.is_answered:
            return
        await unbroken(parts.engine.answer(live_call.leg))
        live_call.is_answered = True


async def enter(parts: Parts, live_call: LiveCall, room: RoomHandle, voice: Voice) -> None:
    """Into the room. A call that rings is answered by it, so that the room misses nothing of what
    its phone says. Raises EngineFailed.
    """
    async with parts.live.locks.hold((live_call.call.id, "answer")):
        answers = live_call.call.direction is Direction.INBOUND and not live_call.is_answered
        await parts.engine.join(live_call.leg, room, **voice, answers=answers)
        live_call.is_answered = True


async def hang_up(
    parts: Parts, live_call: LiveCall, end: End, *, reject_status: int | None = None
) -> None:
    """BYE, or before the answer a final response or CANCEL. The first end that was meant is
    kept.
    """
    if live_call.is_over:
        return
    live_call.end = live_call.end or end
    if live_call.branches is not None:
        await _give_up(parts, live_call, live_call.branches)
        return
    can_reject = not live_call.is_answered and live_call.call.direction is Direction.INBOUND
    if reject_status is not None and can_reject and await _reject(parts, live_call, reject_status):
        return
    await hang_up_leg(parts, live_call, live_call.leg)


async def _reject(parts: Parts, live_call: LiveCall, status: int) -> bool:
    """False when the core would not: it was answered, or ended, in this moment."""
    reason = REASONS.get(status, "Rejected")
    try:
        await unbroken(parts.engine.reject(live_call.leg, status=status, reason=reason))
    except EngineFailed as error:
        _log.info("call_not_rejected", call=live_call.call.id, reason=error.reason)
        return False
    return True


async def what_failed(live_call: LiveCall, error: EngineFailed) -> TapelineError:
    """What to say of something that the core refused: most often the call ended in this moment,
    and its end is on the way to us.
    """
    try:
        async with asyncio.timeout(_END_LIMIT_S):
            await live_call.ended.wait()
    except TimeoutError:
        return error
    return CallHasEnded(live_call.call.id)


async def play(parts: Parts, live_call: LiveCall, path: Path, *, loops: int = 1) -> PlayFinished:
    """Returns when this call alone has heard the file to its end; `loops` 0: never by
    itself. Cancelled, it stops the file. Raises EngineFailed for a file that cannot be read.
    """
    return await play_file(parts, PlaySpec(path=str(path), leg=live_call.leg, loops=loops))


async def play_tones(
    parts: Parts, live_call: LiveCall, tones: tuple[PlayedTone, ...], *, loops: int = 1
) -> PlayFinished:
    """As `play`, of what the core makes by itself."""
    return await play_file(parts, PlaySpec(tones=tones, leg=live_call.leg, loops=loops))


@contextmanager
def listening(live_call: LiveCall) -> Iterator[DigitInbox]:
    """Every digit that the call's phone presses meanwhile, to each of those who listen."""
    inbox = DigitInbox()
    live_call.inboxes.append(inbox)
    try:
        yield inbox
    finally:
        live_call.inboxes.remove(inbox)


async def _give_up(parts: Parts, live_call: LiveCall, branches: Branches) -> None:
    """Whoever rings for an unanswered call, and nobody is tried after them."""
    branches.rest.clear()
    for leg in tuple(branches.legs):
        await hang_up_leg(parts, live_call, leg)


async def hang_up_leg(parts: Parts, live_call: LiveCall, leg: LegHandle) -> None:
    try:
        await unbroken(parts.engine.hang_up(leg))
    except EngineFailed as error:  # it ended by itself in this moment
        _log.info("call_gone_before_hang_up", call=live_call.call.id, reason=error.reason)
