"""One file in the core, from its start to its end."""

import asyncio

from tapeline.control.live import unbroken
from tapeline.control.parts import Parts
from tapeline.domain.error import EngineFailed
from tapeline.domain.signal import PlaybackHandle, PlayFinished, PlaySpec
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def play(parts: Parts, spec: PlaySpec) -> PlayFinished:
    """Returns when the file was heard to its end, or was stopped. Cancelled, it stops the file.
    Raises EngineFailed for a file that cannot be read.
    """
    started: list[tuple[PlaybackHandle, asyncio.Future[PlayFinished]]] = []

    async def start() -> None:
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
