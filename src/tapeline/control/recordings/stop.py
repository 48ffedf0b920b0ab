"""Stopping a recording: answered when the core has applied it; the file follows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tapeline.control.calls.rows import merge_extras
from tapeline.control.live import LiveCall, LiveRecording, RecordingTarget, unbroken
from tapeline.control.lookup import call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.control.recordings.finish import has_finished
from tapeline.control.recordings.targets import chosen, word_of
from tapeline.domain.command import StopCallRecording, StopConferenceRecording
from tapeline.domain.error import EngineFailed, NotRecording
from tapeline.domain.id import RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import TERMINAL_STATES, RecordingEnd, RecordingState
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def stop_conference_recording(
    parts: Parts, command: StopConferenceRecording
) -> tuple[RecordingId, ...]:
    return await _stop_chosen(parts, await conference_of(parts, command.conference), command)


async def stop_call_recording(parts: Parts, command: StopCallRecording) -> tuple[RecordingId, ...]:
    return await _stop_chosen(
        parts, await call_of(parts, command.account_id, command.call_id), command
    )


async def _stop_chosen(
    parts: Parts,
    target: RecordingTarget,
    command: StopConferenceRecording | StopCallRecording,
) -> tuple[RecordingId, ...]:
    """One that the core refuses to stop leaves the others stopped. Raises EngineFailed then."""
    stopped: list[RecordingId] = []
    refusal: EngineFailed | None = None
    async with target.recording_lock:
        recordings = await chosen(parts, target, command.dialect, command.recording_id)
        if command.recording_id is None:
            recordings = [each for each in recordings if not each.is_by_policy]
        if not recordings and not command.is_idempotent:
            raise NotRecording(word_of(target))
        await _merge_extras(parts, recordings, command.extras)
        if isinstance(command, StopCallRecording) and isinstance(target, LiveCall):
            await merge_extras(parts, target, command.call_extras)
        for recording in recordings:
            try:
                await stop_recorder(parts, recording)
            except EngineFailed as error:
                refusal = error
            else:
                stopped.append(recording.id)
    await _mark_finalising(parts, stopped)
    if refusal is not None:
        raise refusal
    return tuple(stopped)


async def _merge_extras(
    parts: Parts, recordings: Sequence[LiveRecording], extras: Mapping[str, str]
) -> None:
    """Before the stop: the file may be finished, and told, the moment after it."""

    def work(tx: Transaction) -> None:
        for recording in recordings:
            row = tx.recordings.get(recording.id)
            if row is not None and row.state not in TERMINAL_STATES:
                starter = replace(row.starter, extras={**row.starter.extras, **extras})
                tx.recordings.update(replace(row, starter=starter))

    if extras and recordings:
        await parts.store.write(work)


async def stop_recorder(
    parts: Parts, recording: LiveRecording, end_reason: RecordingEnd | None = None
) -> None:
    """Under the target's lock. Returns when the core has applied it; its file is finalised in the
    background. Raises EngineFailed.
    """
    if recording.recorder is None or recording.is_stopping:
        return
    recording.is_stopping, recording.end_reason = True, end_reason
    try:
        await parts.engine.stop_recording(recording.recorder)
    except EngineFailed as error:
        # A limit or a full disk may have ended it in this moment; then its file is on the way.
        if not await has_finished(recording):
            recording.is_stopping, recording.end_reason = False, None
            raise
        _log.info("recorder_ended_before_stop", recording=recording.id, reason=error.reason)


async def _mark_finalising(parts: Parts, stopped: Sequence[RecordingId]) -> None:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> None:
        for recording_id in stopped:
            row = tx.recordings.get(recording_id)
            if row is not None and row.is_open:
                tx.recordings.update(
                    replace(row, state=RecordingState.FINALISING, ended_at_ms=now_ms)
                )

    if stopped:
        await parts.store.write(work)


async def stop_recording(
    parts: Parts, recording_id: RecordingId, end_reason: RecordingEnd | None = None
) -> None:
    """For a call program that started it. Nothing happens when it has ended by itself. Raises
    EngineFailed.
    """
    await unbroken(_stop_one(parts, recording_id, end_reason))


async def _stop_one(
    parts: Parts, recording_id: RecordingId, end_reason: RecordingEnd | None
) -> None:
    live = parts.live.recordings.get(recording_id)
    if live is None:
        return
    async with live.target.recording_lock:
        await stop_recorder(parts, live, end_reason)
    await _mark_finalising(parts, [recording_id])


async def stop_all(parts: Parts) -> None:
    """For a node that stops: every recorder gets its stop; files follow in the background."""
    for recording in list(parts.live.recordings.values()):
        async with recording.target.recording_lock:
            try:
                await stop_recorder(parts, recording)
            except EngineFailed as error:
                parts.bugs.add("stop_recording", error)
