"""What follows a recorder's end: the file is finalised, whoever waits for it goes on."""

import asyncio
from dataclasses import replace

from tapeline.control.live import LiveRecording
from tapeline.control.parts import Parts
from tapeline.domain import signal
from tapeline.domain.error import RecordingNotFound, Unavailable
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import Recording, RecordingEnd
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

FINISH_LIMIT_S = 3.0
RETRY_PAUSE_S = 15.0


async def note_finished(parts: Parts, finished: signal.RecordingFinished) -> None:
    """The core has closed the file."""
    live = await parts.live.recording_of(finished.recorder)
    if live is None:
        parts.counts.add("recordings_finished_unknown")
        return
    live.is_stopping = True
    if live.end_reason is not None and finished.reason == RecordingEnd.COMMAND:
        finished = replace(finished, reason=live.end_reason)
    try:
        await _finalise(parts, live.id, finished)
    finally:
        parts.live.remove_recording(live)


async def _finalise(
    parts: Parts, recording_id: RecordingId, finished: signal.RecordingFinished
) -> None:
    """A disk or a database that refuses puts it off; the next start would do it too."""
    try:
        recording = await parts.finaliser.finalise(recording_id, finished)
    except (OSError, Unavailable) as error:
        parts.live.unfinished[recording_id] = finished
        _log.error("recording_not_finished_yet", recording=recording_id, reason=str(error))
        return
    parts.live.unfinished.pop(recording_id, None)
    parts.counts.add(f"recordings_{recording.state}_{recording.health_words.replace(',', '_')}")
    _log.info(
        "recording_finished",
        recording=recording.id,
        state=recording.state,
        duration_ms=recording.duration_ms,
        health=recording.health_words,
        reason=finished.reason,
    )


async def finish_put_off(parts: Parts) -> None:
    """Tries again what a disk or a database refused, until it is cancelled."""
    while True:
        await asyncio.sleep(RETRY_PAUSE_S)
        for recording_id, finished in list(parts.live.unfinished.items()):
            await _finalise(parts, recording_id, finished)


async def has_finished(recording: LiveRecording) -> bool:
    """Waits for the file for a while: shorter than the 5 s after which clients give up."""
    try:
        async with asyncio.timeout(FINISH_LIMIT_S):
            await recording.finished.wait()
    except TimeoutError:
        return False
    return True


async def wait_until_ended(parts: Parts, recording_id: RecordingId) -> Recording:
    """The row once nothing more will happen to it in this process: terminal, unless the disk or
    the database refused. Raises RecordingNotFound.
    """
    live = parts.live.recordings.get(recording_id)
    if live is not None:
        await live.finished.wait()
    row = await parts.store.read(lambda tx: tx.recordings.get(recording_id))
    if row is None:
        raise RecordingNotFound(recording_id)
    return row
