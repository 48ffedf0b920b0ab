"""What may be done with a call's leg: by its program, and by commands on its behalf."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tapeline.control.digits import DigitInbox
from tapeline.control.ends import REASONS
from tapeline.control.live import End, LiveCall, unbroken
from tapeline.control.parts import Parts
from tapeline.domain.call import Direction
from tapeline.domain.error import EngineFailed
from tapeline.domain.signal import PlaybackHandle, PlayFinished, PlaySpec
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


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


async def hang_up(
    parts: Parts, live_call: LiveCall, end: End, *, reject_status: int | None = None
) -> None:
    """BYE, or before the answer a final response or CANCEL. The first end that was meant is
    kept.
    """
    if live_call.is_over:
        return
    live_call.end = live_call.end or end
    can_reject = not live_call.is_answered and live_call.call.direction is Direction.INBOUND
    try:
        if reject_status is not None and can_reject:
            reason = REASONS.get(reject_status, "Rejected")
            await unbroken(parts.engine.reject(live_call.leg, status=reject_status, reason=reason))
        else:
            await unbroken(parts.engine.hang_up(live_call.leg))
    except EngineFailed as error:  # it ended by itself in this moment
        _log.info("call_gone_before_hang_up", call=live_call.call.id, reason=error.reason)


async def play(parts: Parts, live_call: LiveCall, path: Path, *, loops: int = 1) -> PlayFinished:
    """Returns when this call alone has heard the file (WAV, MP3) to its end; `loops` 0: never by
    itself. Cancelled, it stops the file. Raises EngineFailed for a file that cannot be read.
    """
    started: list[tuple[PlaybackHandle, asyncio.Future[PlayFinished]]] = []

    async def start() -> None:
        spec = PlaySpec(path=str(path), leg=live_call.leg, loops=loops)
        with parts.live.playbacks.starting():
            playback = await parts.engine.play(spec)
            started.append((playback, parts.live.playbacks.expect(playback)))

    try:
        await unbroken(start())
        return await asyncio.shield(started[0][1])
    except asyncio.CancelledError:
        for playback, ended in started:
            if not ended.done():
                await _stop(parts, playback)
        raise


async def _stop(parts: Parts, playback: PlaybackHandle) -> None:
    try:
        await unbroken(parts.engine.stop_play(playback))
    except EngineFailed as error:  # it ended by itself in this moment
        _log.info("playback_over_before_stop", reason=error.reason)


@contextmanager
def listening(live_call: LiveCall) -> Iterator[DigitInbox]:
    """Every digit that the call's phone presses meanwhile, to each of those who listen."""
    inbox = DigitInbox()
    live_call.inboxes.append(inbox)
    try:
        yield inbox
    finally:
        live_call.inboxes.remove(inbox)
