"""Starting a recording. A start is answered when the core is armed (design.md §5.3)."""

from dataclasses import replace
from datetime import UTC, datetime

from tapeline.control.calls.rows import merge_extras
from tapeline.control.live import LiveCall, LiveConference, LiveRecording, epoch_ms
from tapeline.control.lookup import call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.control.recordings.kept import view
from tapeline.control.recordings.targets import (
    facts_of,
    recorder_spec,
    running,
    word_of,
)
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.command import (
    RecordingView,
    StartCallRecording,
    StartConferenceRecording,
)
from tapeline.domain.error import (
    AlreadyRecording,
    CallHasEnded,
    CallNotAnswered,
    ConferenceHasEnded,
    ConferenceNotFound,
    Draining,
    EngineFailed,
    TapelineError,
    TooManyRecordings,
)
from tapeline.domain.id import AccountId, EpochMs, RecordingId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.recording import (
    TERMINAL_STATES,
    Recording,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
)
from tapeline.recording import recording_event
from tapeline.telemetry import get_logger

_log = get_logger(__name__)
_Start = StartCallRecording | StartConferenceRecording


async def start_conference_recording(
    parts: Parts, command: StartConferenceRecording
) -> RecordingView:
    """Of identical starts at once exactly one wins: the others find it running."""
    wanted = command.conference
    account = await _account(parts, wanted.account_id)
    conference = await conference_of(parts, wanted)
    async with conference.recording_lock:
        _check_is_there(conference, command)
        if running(conference, command.starter.dialect) and not command.allows_parallel:
            raise AlreadyRecording("conference")
        return await _start(parts, account, conference, command)


async def start_call_recording(parts: Parts, command: StartCallRecording) -> RecordingView:
    account = await _account(parts, command.account_id)
    call = await call_of(parts, command.account_id, command.call_id)
    async with call.recording_lock:
        _check_is_there(call, command)
        if not call.is_answered:
            raise CallNotAnswered(command.call_id)
        started = await _start(parts, account, call, command)
    await merge_extras(parts, call, command.call_extras)
    return started


async def _account(parts: Parts, account_id: AccountId) -> Account:
    if parts.live.is_draining:
        raise Draining
    return await parts.accounts.get(account_id)


def _check_is_there(target: LiveCall | LiveConference, command: _Start) -> None:
    if (gone := _gone(target, command)) is not None:
        raise gone


def _gone(target: LiveCall | LiveConference, command: _Start) -> TapelineError | None:
    """What to say of a target that has ended meanwhile."""
    if isinstance(command, StartConferenceRecording):
        if isinstance(target, LiveConference) and target.is_closing:
            kind = ConferenceHasEnded if command.conference.may_be_id else ConferenceNotFound
            return kind(command.conference.name)
    elif isinstance(target, LiveCall) and target.is_over:
        return CallHasEnded(command.call_id)
    return None


async def _start(
    parts: Parts,
    account: Account,
    target: LiveCall | LiveConference,
    command: _Start,
) -> RecordingView:
    """Under the target's lock."""
    limit = account.settings.max_recordings_per_target
    if len(running(target)) >= limit:
        raise TooManyRecordings(word_of(target), limit)
    recording = _new_recording(parts, account, target, command)
    await parts.store.write(lambda tx: tx.recordings.add(recording))
    await _arm(parts, account, target, recording, command)
    _log.info(
        "recording_started",
        recording=recording.id,
        call=recording.call_id,
        conference=recording.conference_id,
    )
    call = target.call if isinstance(target, LiveCall) else target.creator
    return view(parts, account, recording, call)


def _new_recording(
    parts: Parts,
    account: Account,
    target: LiveCall | LiveConference,
    command: _Start,
) -> Recording:
    recording_id, now_ms = RecordingId(new_uuid()), parts.clock.now_ms()
    facts = facts_of(target)
    return Recording(
        id=recording_id,
        node_id=parts.ownership.node_id,
        starter=command.starter,
        options=_with_habits(command.options, account),
        state=RecordingState.RECORDING,
        started_at_ms=now_ms,
        storage_key=storage_key(facts["account_id"], recording_id, command.options.format, now_ms),
        **facts,
    )


def _with_habits(options: RecordingOptions, account: Account) -> RecordingOptions:
    """Says all: what the start left open is as the account has it."""
    habits = account.settings.recording
    return replace(
        options,
        pause_as=options.pause_as or habits.pause_as,
        tracks=habits.tracks if options.tracks is None else options.tracks,
    )


def storage_key(
    account_id: AccountId, recording_id: RecordingId, suffix: RecordingFormat, now_ms: EpochMs
) -> str:
    """`ACCOUNT/yyyy/mm/dd/RECORDING.mp3`, by the UTC day of the start."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{account_id}/{day:%Y/%m/%d}/{recording_id}.{suffix}"


async def _arm(
    parts: Parts,
    account: Account,
    target: LiveCall | LiveConference,
    recording: Recording,
    command: _Start,
) -> None:
    """Returns when the core has the file open and the room or leg tapped.

    A start that the core refused was never a recording to its caller: the row says failed, and
    nobody is told.
    """
    live = LiveRecording(
        id=recording.id,
        dialect=recording.starter.dialect,
        target=target,
        is_by_policy=recording.starter.policy_id is not None,
    )
    parts.live.add_recording(live)
    try:
        with parts.live.arming(live):
            live.recorder = await parts.engine.start_recording(
                recorder_spec(parts, account.settings.recording, target, recording)
            )
    except BaseException as error:
        parts.live.remove_recording(live)
        reason = str(error) or type(error).__name__
        await parts.store.write(lambda tx: _mark_failed(tx, recording.id, reason))
        gone = _gone(target, command)
        if gone is not None and isinstance(error, EngineFailed):
            raise gone from error
        raise


def _mark_failed(tx: Transaction, recording_id: RecordingId, reason: str) -> None:
    row = tx.recordings.get(recording_id)
    if row is not None and row.state not in TERMINAL_STATES:
        tx.recordings.update(
            replace(row, state=RecordingState.FAILED, reason=reason, ended_at_ms=row.started_at_ms)
        )


async def note_armed(parts: Parts, armed: signal.RecordingArmed) -> None:
    """The row gets the wall clock of the first sample, and the start is told."""
    live = await parts.live.recording_of(armed.recorder)
    if live is None:
        return
    started_at_ms = epoch_ms(armed.unix_us)

    def work(tx: Transaction) -> None:
        row = tx.recordings.get(live.id)
        if row is None or row.state in TERMINAL_STATES:
            return
        row = replace(row, started_at_ms=started_at_ms)
        tx.recordings.update(row)
        tx.emit(recording_event(tx, event.RecordingStarted, row, started_at_ms, parts.link_of(row)))

    await parts.store.write(work)
