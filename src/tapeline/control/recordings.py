"""Use cases about recordings while they run, and afterwards as rows and files."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

from tapeline.control.live import LiveConference, LiveRecording, epoch_ms
from tapeline.control.parts import Parts
from tapeline.domain import event, signal
from tapeline.domain.account import Account, LinkPolicy
from tapeline.domain.call import Call
from tapeline.domain.command import (
    DeleteRecording,
    DeleteRecordings,
    GetRecording,
    ListRecordings,
    RecordingPage,
    RecordingView,
    StartConferenceRecording,
    StopConferenceRecording,
)
from tapeline.domain.error import (
    AccountNotFound,
    AlreadyRecording,
    ConferenceNotFound,
    Draining,
    EngineFailed,
    NotRecording,
    RecordingNotFound,
    TooManyRecordings,
    Unavailable,
)
from tapeline.domain.id import AccountId, EpochMs, EventId, RecordingId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.recording import (
    TERMINAL_STATES,
    Recording,
    RecordingFormat,
    RecordingState,
    TargetKind,
)
from tapeline.domain.signal import RecorderSpec
from tapeline.recording import companion_keys
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_FINISH_LIMIT_S = 3.0
RETRY_PAUSE_S = 15.0


# Starting.


async def start_conference_recording(
    parts: Parts, command: StartConferenceRecording
) -> RecordingView:
    """Of identical starts at once exactly one wins: the others find it running."""
    if parts.live.is_draining:
        raise Draining
    wanted = command.conference
    account = await parts.accounts.get(wanted.account_id)
    conference = parts.live.conference(wanted.account_id, wanted.name)
    if conference is None:
        raise ConferenceNotFound(wanted.name)
    async with conference.recording_lock:
        if conference.is_closing:
            raise ConferenceNotFound(wanted.name)
        check_start(conference, command, account.settings.max_recordings_per_target)
        recording = new_recording(conference, command, parts.clock.now_ms())
        await parts.store.write(lambda tx: _add_started(tx, parts, account, recording))
        await _arm(parts, conference, recording)
    _log.info("recording_started", recording=recording.id, conference=recording.conference_id)
    return view(parts, account, recording, conference.creator)


def check_start(conference: LiveConference, command: StartConferenceRecording, limit: int) -> None:
    """Raises AlreadyRecording, TooManyRecordings."""
    running = [r for r in conference.recordings.values() if not r.is_stopping]
    same = any(r.dialect == command.starter.dialect for r in running)
    if same and not command.allows_parallel:
        raise AlreadyRecording("conference")
    if len(running) >= limit:
        raise TooManyRecordings("conference", limit)


def new_recording(
    conference: LiveConference, command: StartConferenceRecording, now_ms: EpochMs
) -> Recording:
    recording_id, account_id = RecordingId(new_uuid()), command.conference.account_id
    creator = conference.creator
    return Recording(
        id=recording_id,
        account_id=account_id,
        node_id=conference.conference.node_id,
        starter=command.starter,
        target=TargetKind.CONFERENCE,
        call_id=creator.id,
        conference_id=conference.conference.id,
        conference_name=conference.conference.name,
        caller=creator.caller,
        called=creator.called,
        options=command.options,
        state=RecordingState.RECORDING,
        started_at_ms=now_ms,
        storage_key=storage_key(account_id, recording_id, command.options.format, now_ms),
    )


def storage_key(
    account_id: AccountId, recording_id: RecordingId, suffix: RecordingFormat, now_ms: EpochMs
) -> str:
    """`ACCOUNT/yyyy/mm/dd/RECORDING.mp3`, by the UTC day of the start."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{account_id}/{day:%Y/%m/%d}/{recording_id}.{suffix}"


def _add_started(tx: Transaction, parts: Parts, account: Account, recording: Recording) -> None:
    tx.recordings.add(recording)
    tx.emit(
        event.RecordingStarted(
            id=EventId(new_uuid()),
            at_ms=recording.started_at_ms,
            account=account,
            recording=recording,
            link=parts.link_of(recording),
        )
    )


async def _arm(parts: Parts, conference: LiveConference, recording: Recording) -> None:
    """Returns when the core has the file open and the room tapped.

    A start that the core refused was never a recording to its caller: the row says failed, and
    nobody is called back.
    """
    live = LiveRecording(id=recording.id, dialect=recording.starter.dialect, conference=conference)
    parts.live.add_recording(live)
    try:
        with parts.live.arming(live):
            live.recorder = await parts.engine.start_recording(
                spec_of(parts, conference, recording)
            )
    except BaseException as error:
        parts.live.remove_recording(live)
        reason = str(error) or type(error).__name__
        await parts.store.write(lambda tx: _mark_failed(tx, recording.id, reason))
        if conference.is_closing and isinstance(error, EngineFailed):
            raise ConferenceNotFound(conference.conference.name) from error
        raise


def spec_of(parts: Parts, conference: LiveConference, recording: Recording) -> RecorderSpec:
    label = {
        "recording": recording.id,
        "account": recording.account_id,
        "conference": recording.conference_id,
        "node": recording.node_id,
    }
    return RecorderSpec(
        folder=str(parts.spool / recording.id),
        format=recording.format,
        room=conference.room,
        rate_hz=recording.rate_hz,
        limit_ms=recording.options.limit_ms,
        label=json.dumps(label),
    )


def _mark_failed(tx: Transaction, recording_id: RecordingId, reason: str) -> None:
    row = tx.recordings.get(recording_id)
    if row is not None and row.state not in TERMINAL_STATES:
        tx.recordings.update(
            replace(row, state=RecordingState.FAILED, reason=reason, ended_at_ms=row.started_at_ms)
        )


# Stopping.


async def stop_conference_recording(
    parts: Parts, command: StopConferenceRecording
) -> tuple[RecordingId, ...]:
    wanted = command.conference
    conference = parts.live.conference(wanted.account_id, wanted.name)
    if conference is None:
        raise ConferenceNotFound(wanted.name)
    async with conference.recording_lock:
        running = [
            r
            for r in conference.recordings.values()
            if r.dialect == command.dialect and not r.is_stopping
        ]
        if not running and not command.is_idempotent:
            raise NotRecording("conference")
        for recording in running:
            await _stop(parts, recording)
    stopped = tuple(recording.id for recording in running)
    await _mark_finalising(parts, stopped)
    return stopped


async def _stop(parts: Parts, recording: LiveRecording) -> None:
    """Returns when the core has applied it; its file is finalised in the background."""
    if recording.recorder is None or recording.is_stopping:
        return
    recording.is_stopping = True
    try:
        await parts.engine.stop_recording(recording.recorder)
    except EngineFailed as error:
        # A limit or a full disk may have ended it in this moment; then its file is on the way.
        if not await _has_finished(recording):
            recording.is_stopping = False
            raise
        _log.info("recorder_ended_before_stop", recording=recording.id, reason=error.reason)


async def _has_finished(recording: LiveRecording) -> bool:
    """Waits for the file for a while: shorter than the 5 s after which clients give up."""
    try:
        async with asyncio.timeout(_FINISH_LIMIT_S):
            await recording.finished.wait()
    except TimeoutError:
        return False
    return True


async def _mark_finalising(parts: Parts, stopped: tuple[RecordingId, ...]) -> None:
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


# What the core reports.


async def note_armed(parts: Parts, armed: signal.RecordingArmed) -> None:
    """The row gets the wall clock of the first sample."""
    live = await parts.live.recording_of(armed.recorder)
    if live is None:
        return

    def work(tx: Transaction) -> None:
        row = tx.recordings.get(live.id)
        if row is not None and row.is_open:
            tx.recordings.update(replace(row, started_at_ms=epoch_ms(armed.unix_us)))

    await parts.store.write(work)


async def note_finished(parts: Parts, finished: signal.RecordingFinished) -> None:
    """The core has closed the file."""
    live = await parts.live.recording_of(finished.recorder)
    if live is None:
        parts.counts.add("recordings_finished_unknown")
        return
    live.is_stopping = True
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


async def stop_all(parts: Parts) -> None:
    """For a node that stops: every recorder gets its stop; files follow in the background."""
    for recording in list(parts.live.recordings.values()):
        async with recording.conference.recording_lock:
            try:
                await _stop(parts, recording)
            except EngineFailed as error:
                parts.bugs.add("stop_recording", error)


# What is asked from outside.


def view(parts: Parts, account: Account, recording: Recording, call: Call | None) -> RecordingView:
    link = parts.link_of(recording)
    if account.settings.link_policy is LinkPolicy.SIGNED:
        link = parts.sign_link(link, account, parts.clock.now_ms())
    return RecordingView(recording=recording, link=link, call=call)


def _call_of(tx: Transaction, recording: Recording) -> Call | None:
    return None if recording.call_id is None else tx.calls.get(recording.call_id)


async def list_recordings(parts: Parts, command: ListRecordings) -> RecordingPage:
    def work(tx: Transaction) -> RecordingPage:
        found, total = tx.recordings.list(
            command.account_id, command.filter, limit=command.limit, offset=command.offset
        )
        accounts = {row.account_id: tx.accounts.get(row.account_id) for row in found}
        return RecordingPage(
            views=tuple(
                view(parts, account, row, _call_of(tx, row))
                for row in found
                if (account := accounts[row.account_id]) is not None
            ),
            total=total,
            limit=command.limit,
            offset=command.offset,
        )

    return await parts.store.read(work)


async def get_recording(parts: Parts, command: GetRecording) -> RecordingView:
    def work(tx: Transaction) -> RecordingView:
        account, recording = _own(tx, command.account_id, command.recording_id)
        return view(parts, account, recording, _call_of(tx, recording))

    return await parts.store.read(work)


def _own(
    tx: Transaction, account_id: AccountId, recording_id: RecordingId
) -> tuple[Account, Recording]:
    """Another account's and deleted ones are not found."""
    recording = tx.recordings.get(recording_id)
    if (
        recording is None
        or recording.account_id != account_id
        or recording.state is RecordingState.DELETED
    ):
        raise RecordingNotFound(recording_id)
    account = tx.accounts.get(account_id)
    if account is None:
        raise AccountNotFound(account_id)
    return account, recording


async def delete_recordings(parts: Parts, command: DeleteRecordings) -> tuple[RecordingId, ...]:
    deleted = []
    for recording_id in dict.fromkeys(command.recording_ids):
        one = DeleteRecording(
            account_id=command.account_id, recording_id=recording_id, because=command.because
        )
        try:
            await delete_recording(parts, one)
        except RecordingNotFound:
            continue
        deleted.append(recording_id)
    return tuple(deleted)


async def delete_recording(parts: Parts, command: DeleteRecording) -> RecordingView:
    """The bytes go first: whoever gets no answer finds the row and asks again."""
    key = (command.account_id, command.recording_id)
    await parts.store.read(lambda tx: _own(tx, *key))
    live = parts.live.recordings.get(command.recording_id)
    if live is not None:
        async with live.conference.recording_lock:
            await _stop(parts, live)
        await _has_finished(live)
    _account, recording = await parts.store.read(lambda tx: _own(tx, *key))
    if recording.state not in TERMINAL_STATES:
        raise Unavailable(f"recording {recording.id} is still being finished; try again")
    for storage_key in (recording.storage_key, *companion_keys(recording.storage_key).values()):
        await parts.files.delete(storage_key)
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> RecordingView:
        account, row = _own(tx, *key)
        deleted = replace(
            row,
            state=RecordingState.DELETED,
            deleted_at_ms=now_ms,
            deleted_because=command.because,
        )
        tx.recordings.update(deleted)
        tx.emit(
            event.RecordingDeleted(
                id=EventId(new_uuid()),
                at_ms=now_ms,
                account=account,
                recording=deleted,
                link=parts.link_of(deleted),
            )
        )
        return view(parts, account, deleted, _call_of(tx, deleted))

    return await parts.store.write(work)
