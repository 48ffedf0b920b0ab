"""Pausing a recording: of the time until it goes on nothing exists anywhere (design.md §5.10)."""

from collections.abc import Sequence
from dataclasses import replace

from tapeline.control.calls.rows import merge_extras
from tapeline.control.live import LiveCall, LiveRecording, RecordingTarget
from tapeline.control.lookup import call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.control.recordings.finish import has_finished
from tapeline.control.recordings.targets import chosen, word_of
from tapeline.domain import signal
from tapeline.domain.command import PauseCallRecording, PauseConferenceRecording
from tapeline.domain.error import EngineFailed, NotRecording
from tapeline.domain.id import RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import RecordingState
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def pause_conference_recording(
    parts: Parts, command: PauseConferenceRecording
) -> tuple[RecordingId, ...]:
    return await _pause_chosen(parts, await conference_of(parts, command.conference), command)


async def pause_call_recording(
    parts: Parts, command: PauseCallRecording
) -> tuple[RecordingId, ...]:
    return await _pause_chosen(
        parts, await call_of(parts, command.account_id, command.call_id), command
    )


async def note_resumed(parts: Parts, resumed: signal.RecordingResumed) -> None:
    """The core ended a pause that was as long as it may be."""
    live = await parts.live.recording_of(resumed.recorder)
    if live is None:
        return
    async with live.target.recording_lock:
        live.is_paused = False
        await _store_states(parts, [live])
    _log.warning("recording_resumed_by_itself", recording=live.id)


async def _pause_chosen(
    parts: Parts,
    target: RecordingTarget,
    command: PauseConferenceRecording | PauseCallRecording,
) -> tuple[RecordingId, ...]:
    async with target.recording_lock:
        recordings = await chosen(parts, target, command.dialect, command.recording_id)
        if not recordings:
            raise NotRecording(word_of(target))
        for recording in recordings:
            await _set_paused(parts, recording, is_paused=not command.resumes)
        await _store_states(parts, recordings)
        if isinstance(command, PauseCallRecording) and isinstance(target, LiveCall):
            await merge_extras(parts, target, command.call_extras)
    moved = tuple(recording.id for recording in recordings)
    _log.info("recordings_resumed" if command.resumes else "recordings_paused", recordings=moved)
    return moved


async def _set_paused(parts: Parts, recording: LiveRecording, *, is_paused: bool) -> None:
    """Counts as paused from before the core's pause until after its resume. Raises EngineFailed."""
    if recording.recorder is None or recording.is_paused is is_paused:
        return
    was_paused, recording.is_paused = recording.is_paused, True
    try:
        if is_paused:
            await parts.engine.pause_recording(recording.recorder)
        else:
            await parts.engine.resume_recording(recording.recorder)
    except EngineFailed as error:
        recording.is_paused = was_paused
        # A limit may have ended it in this moment.
        if not await has_finished(recording):
            raise
        _log.info("recorder_ended_before_pause", recording=recording.id, reason=error.reason)
    else:
        recording.is_paused = is_paused


async def _store_states(parts: Parts, recordings: Sequence[LiveRecording]) -> None:
    states = {
        recording.id: RecordingState.PAUSED if recording.is_paused else RecordingState.RECORDING
        for recording in recordings
    }

    def work(tx: Transaction) -> None:
        for recording_id, state in states.items():
            row = tx.recordings.get(recording_id)
            if row is not None and row.is_open:
                tx.recordings.update(replace(row, state=state))

    await parts.store.write(work)
