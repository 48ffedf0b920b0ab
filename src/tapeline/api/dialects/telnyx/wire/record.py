"""The record commands, of calls and conferences; and the family of `record_…` parameters."""

from typing import Annotated, Literal

from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.wire.body import (
    Body,
    ClientState,
    CommandId,
    FileName,
    Region,
    Text,
    once,
    read_body,
    state_extras,
)
from tapeline.api.schema import Between
from tapeline.domain.account import Account
from tapeline.domain.command import (
    ConferenceRef,
    PauseCallRecording,
    PauseConferenceRecording,
    RecordOnAnswer,
    StartCallRecording,
    StartConferenceRecording,
    StopCallRecording,
    StopConferenceRecording,
)
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import (
    RecordingFormat,
    RecordingOptions,
    Starter,
    TranscriptionRequest,
)
from tapeline.domain.signal import PauseAs

Format = Literal["wav", "mp3"]
Channels = Literal["single", "dual"]
Track = Literal["both", "inbound", "outbound"]
Trim = Literal["trim-silence"]
PauseWord = Literal["skip", "silence"]
SilenceSeconds = Annotated[int, Between(0, 2_592_000)]


class StartConferenceBody(Body):
    """`pause_as` and `tracks` are ours: what is not said is as the account has it."""

    format: Format
    channels: Channels = "single"
    pause_as: PauseWord | None = None
    tracks: bool | None = None
    command_id: CommandId | None = None
    custom_file_name: FileName | None = None
    play_beep: bool = False
    trim: Trim | None = None
    region: Region | None = None


class StartCallBody(Body):
    """Times in seconds; 0 is none. `pause_as` and `tracks` are ours."""

    pause_as: PauseWord | None = None
    tracks: bool | None = None
    channels: Channels
    format: Format
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    custom_file_name: FileName | None = None
    max_length: Annotated[int, Between(0, 14_400)] = 0
    play_beep: bool = False
    recording_track: Track = "both"
    timeout_secs: SilenceSeconds = 0
    trim: Trim | None = None
    transcription: bool = False
    transcription_engine: Text | None = None
    transcription_language: Text | None = None


class StopConferenceBody(Body):
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    recording_id: Text | None = None
    region: Region | None = None


class PauseConferenceBody(Body):
    command_id: CommandId | None = None
    recording_id: Text | None = None
    region: Region | None = None


class StopCallBody(Body):
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    recording_id: Text | None = None


class RecordOnAnswerBody(Body):
    """What dial and answer share."""

    record: Literal["record-from-answer"] | None = None
    record_channels: Channels = "dual"
    record_custom_file_name: FileName | None = None
    record_format: Format = "mp3"
    record_max_length: Annotated[int, Between(0, 43_200)] = 0
    record_timeout_secs: SilenceSeconds = 0
    record_track: Track = "both"
    record_trim: Trim | None = None


def record_on_answer(
    body: RecordOnAnswerBody, request: WireRequest, initiated_by: str
) -> RecordOnAnswer | None:
    if body.record is None:
        return None
    return RecordOnAnswer(
        starter=starter(request, {words.INITIATED_BY: initiated_by}),
        options=RecordingOptions(
            format=RecordingFormat(body.record_format),
            layout=words.layout_of(body.record_channels, body.record_track),
            limit_ms=body.record_max_length * 1_000,
            silence_limit_ms=body.record_timeout_secs * 1_000,
            silence_waits_for_speech=True,
            trim_silence=body.record_trim is not None,
            custom_name=body.record_custom_file_name,
        ),
    )


def starter(request: WireRequest, extras: dict[str, str] | None = None) -> Starter:
    return Starter(dialect=words.NAME, request_id=request.request_id, extras=extras or {})


def conference_ref(request: WireRequest, account: Account) -> ConferenceRef:
    """By id or by name (contract §1.2)."""
    return ConferenceRef(
        account_id=account.id, name=request.params["conference_id"], may_be_id=True
    )


# conferences


def read_start_conference(request: WireRequest, account: Account) -> StartConferenceRecording:
    body = read_body(StartConferenceBody, request)
    conference = conference_ref(request, account)
    return StartConferenceRecording(
        once=once(account, conference.name, body.command_id),
        conference=conference,
        starter=starter(request),
        options=RecordingOptions(
            format=RecordingFormat(body.format),
            layout=words.layout_of(body.channels, "both"),
            beep=body.play_beep,
            trim_silence=body.trim is not None,
            custom_name=body.custom_file_name,
            pause_as=_pause_as(body.pause_as),
            tracks=body.tracks,
        ),
        allows_parallel=True,
    )


def _pause_as(word: PauseWord | None) -> PauseAs | None:
    return None if word is None else PauseAs(word)


def _only(recording_id: str | None) -> RecordingId | None:
    return None if recording_id is None else RecordingId(recording_id)


def read_stop_conference(request: WireRequest, account: Account) -> StopConferenceRecording:
    body = read_body(StopConferenceBody, request)
    conference = conference_ref(request, account)
    return StopConferenceRecording(
        once=once(account, conference.name, body.command_id),
        conference=conference,
        dialect=words.NAME,
        recording_id=_only(body.recording_id),
        extras=state_extras(body.client_state),
    )


def read_pause_conference(
    request: WireRequest, account: Account, *, resumes: bool = False
) -> PauseConferenceRecording:
    body = read_body(PauseConferenceBody, request)
    conference = conference_ref(request, account)
    return PauseConferenceRecording(
        once=once(account, conference.name, body.command_id),
        conference=conference,
        dialect=words.NAME,
        recording_id=_only(body.recording_id),
        resumes=resumes,
    )


# calls


def read_start_call(request: WireRequest, account: Account) -> StartCallRecording:
    body = read_body(StartCallBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return StartCallRecording(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        starter=starter(request, state_extras(body.client_state)),
        call_extras=state_extras(body.client_state),
        options=RecordingOptions(
            format=RecordingFormat(body.format),
            layout=words.layout_of(body.channels, body.recording_track),
            limit_ms=body.max_length * 1_000,
            silence_limit_ms=body.timeout_secs * 1_000,
            silence_waits_for_speech=True,
            beep=body.play_beep,
            trim_silence=body.trim is not None,
            custom_name=body.custom_file_name,
            pause_as=_pause_as(body.pause_as),
            tracks=body.tracks,
            transcription=TranscriptionRequest() if body.transcription else None,
        ),
    )


def read_stop_call(request: WireRequest, account: Account) -> StopCallRecording:
    body = read_body(StopCallBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return StopCallRecording(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        dialect=words.NAME,
        recording_id=_only(body.recording_id),
        extras=state_extras(body.client_state),
        call_extras=state_extras(body.client_state),
    )


def read_pause_call(
    request: WireRequest, account: Account, *, resumes: bool = False
) -> PauseCallRecording:
    body = read_body(StopCallBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return PauseCallRecording(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        dialect=words.NAME,
        recording_id=_only(body.recording_id),
        resumes=resumes,
        call_extras=state_extras(body.client_state),
    )
