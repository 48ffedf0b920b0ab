"""Recordings and their transcripts as resources."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.wire.answer import (
    One,
    answer,
    answer_page,
    answer_part,
    filters,
    read_page,
)
from tapeline.api.dialects.telnyx.wire.body import Body, Text, read_body
from tapeline.api.schema import ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.command import (
    DeleteRecording,
    DeleteRecordings,
    DeleteTranscript,
    GetRecording,
    GetTranscript,
    ListRecordings,
    ListTranscripts,
    RecordingFilter,
    RecordingPage,
    RecordingView,
)
from tapeline.domain.error import CallNotFound, Invalid
from tapeline.domain.id import EpochMs, RecordingId, TranscriptId
from tapeline.domain.recording import RecordingState, TargetKind
from tapeline.domain.transcript import Transcript, TranscriptState

MOST_DELETED = 1_000
MOST_TRANSCRIPTS = 10_000
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INITIATED_BY = {
    TargetKind.CALL: "StartCallRecordingAPI",
    TargetKind.CONFERENCE: "StartConferenceRecordingAPI",
}
NOBODY = "-"
"""An id that nothing has."""


class RecordingBody(ResponseBody):
    record_type: Literal["recording"] = "recording"
    id: str
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    conference_id: str | None
    channels: Literal["single", "dual"]
    source: Literal["call", "conference"]
    initiated_by: str
    status: Literal["completed"] = "completed"
    duration_millis: int
    recording_started_at: str
    recording_ended_at: str | None
    created_at: str
    updated_at: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    download_urls: dict[str, str]
    file_name: str
    """Ours: the name that `custom_file_name` asked for."""


class DeletedBody(ResponseBody):
    """Without an envelope (contract §3)."""

    status: Literal["ok"] = "ok"


class TranscriptBody(ResponseBody):
    record_type: Literal["recording_transcription"] = "recording_transcription"
    id: str
    recording_id: str
    status: Literal["in-progress", "completed"]
    transcription_text: str | None
    duration_millis: int
    created_at: str
    updated_at: str


class DeleteBody(Body):
    ids: Annotated[list[Text], Field(max_length=MOST_DELETED)]


# recordings


def read_recordings(request: WireRequest, account: Account) -> ListRecordings:
    given, page = filters(request), read_page(request)
    created, started = _range(given, "created_at"), _range(given, "start_time")
    lows = [low for low, _ in (created, started) if low is not None]
    highs = [high for _, high in (created, started) if high is not None]
    ended_from_ms, ended_to_ms = _range(given, "end_time")
    return ListRecordings(
        account_id=account.id,
        limit=page.size,
        offset=page.offset,
        filter=RecordingFilter(
            state=RecordingState.COMPLETED,
            call_id=_call_filter(given),
            session_id=given.get("filter[call_session_id]"),
            application_id=given.get("filter[connection_id]"),
            conference_id=given.get("filter[conference_id]"),
            caller=given.get("filter[from]"),
            called=given.get("filter[to]"),
            from_ms=max(lows, default=None),
            to_ms=min(highs, default=None),
            ended_from_ms=ended_from_ms,
            ended_to_ms=ended_to_ms,
        ),
    )


def _call_filter(given: Mapping[str, str]) -> str | None:
    """Leg and control id name the same call; filters that agree on none find nothing."""
    wanted = set()
    if "filter[call_leg_id]" in given:
        wanted.add(given["filter[call_leg_id]"])
    if "filter[call_control_id]" in given:
        try:
            wanted.add(words.read_call_control_id(given["filter[call_control_id]"]))
        except CallNotFound:
            wanted.add(NOBODY)
    if "filter[sip_call_id]" in given:
        wanted.add(NOBODY)  # a phone's own name for its call is kept nowhere
    if not wanted:
        return None
    return wanted.pop() if len(wanted) == 1 else NOBODY


def _range(given: Mapping[str, str], name: str) -> tuple[EpochMs | None, EpochMs | None]:
    """Both ends are inclusive on the wire, `to` is exclusive in the filter."""
    low, high = (
        _instant_us(f"filter[{name}][{end}]", given.get(f"filter[{name}][{end}]"))
        for end in ("gte", "lte")
    )
    return (
        None if low is None else EpochMs(-(-low // 1_000)),
        None if high is None else EpochMs(high // 1_000 + 1),
    )


def _instant_us(field: str, text: str | None) -> int | None:
    """Microseconds since the epoch of an ISO 8601 date or instant; UTC when it does not say.

    Raises Invalid.
    """
    if text is None:
        return None
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        raise Invalid(field=field, value=text[:100], expected="an ISO 8601 instant")
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in (None, "Z") else f"{zone[:3]}:{zone[-2:]}"
    try:
        instant = datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset}")
        micros = (instant - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise Invalid(field=field, value=text[:100], expected="an ISO 8601 instant") from error
    return micros + int((fraction or "").ljust(6, "0")[:6])


def write_recordings(page: RecordingPage, request: WireRequest, _account: Account) -> WireResponse:
    items = [recording_body(view) for view in page.views]
    return answer_page(RecordingBody, items, request, page.total)


def read_recording(request: WireRequest, account: Account) -> GetRecording:
    return GetRecording(account_id=account.id, recording_id=_recording_id(request))


def read_delete(request: WireRequest, account: Account) -> DeleteRecording:
    return DeleteRecording(account_id=account.id, recording_id=_recording_id(request))


def _recording_id(request: WireRequest) -> RecordingId:
    return RecordingId(request.params["recording_id"])


def write_recording(view: RecordingView, _request: WireRequest, _account: Account) -> WireResponse:
    return answer(One[RecordingBody](data=recording_body(view)))


def read_delete_many(request: WireRequest, account: Account) -> DeleteRecordings:
    ids = read_body(DeleteBody, request).ids
    return DeleteRecordings(
        account_id=account.id, recording_ids=tuple(RecordingId(each) for each in ids)
    )


def write_deleted(
    _deleted: tuple[RecordingId, ...], _request: WireRequest, _account: Account
) -> WireResponse:
    return answer(DeletedBody())


def write_nothing(
    _deleted: tuple[RecordingId, ...], _request: WireRequest, _account: Account
) -> WireResponse:
    return WireResponse(status=204)


def recording_body(view: RecordingView) -> RecordingBody:
    recording, call = view.recording, view.call
    started, call_id = words.iso(recording.started_at_ms), recording.call_id
    ended_ms = recording.ended_at_ms
    ended = None if ended_ms is None else words.iso(ended_ms)
    initiated_by = recording.starter.extras.get(words.INITIATED_BY)
    return RecordingBody.model_validate(
        {
            "id": recording.id,
            "call_control_id": None if call_id is None else words.call_control_id(call_id),
            "call_leg_id": call_id,
            "call_session_id": None if call is None else call.session_id,
            "connection_id": None if call is None else call.application_id,
            "conference_id": recording.conference_id,
            "channels": words.channels(recording),
            "source": recording.target.value,
            "initiated_by": initiated_by or _INITIATED_BY[recording.target],
            "duration_millis": recording.duration_ms,
            "recording_started_at": started,
            "recording_ended_at": ended,
            "created_at": started,
            "updated_at": ended or started,
            "from": recording.caller,
            "to": recording.called,
            "download_urls": {recording.format.value: view.link},
            "file_name": words.file_name(recording),
        }
    )


# transcripts


def read_transcripts(request: WireRequest, account: Account) -> ListTranscripts:
    given = filters(request)
    _range(given, "created_at")
    recording_id = given.get("filter[recording_id]")
    return ListTranscripts(
        account_id=account.id,
        recording_id=None if recording_id is None else RecordingId(recording_id),
        limit=MOST_TRANSCRIPTS,
    )


def write_transcripts(
    transcripts: tuple[Transcript, ...], request: WireRequest, _account: Account
) -> WireResponse:
    from_ms, to_ms = _range(filters(request), "created_at")
    items = [
        transcript_body(each)
        for each in transcripts
        if (from_ms is None or each.created_at_ms >= from_ms)
        and (to_ms is None or each.created_at_ms < to_ms)
    ]
    return answer_part(TranscriptBody, items, request)


def read_transcript(request: WireRequest, account: Account) -> GetTranscript:
    return GetTranscript(
        account_id=account.id, transcript_id=TranscriptId(request.params["transcription_id"])
    )


def read_delete_transcript(request: WireRequest, account: Account) -> DeleteTranscript:
    return DeleteTranscript(account_id=account.id, name=request.params["transcription_id"])


def write_transcript(
    transcript: Transcript, _request: WireRequest, _account: Account
) -> WireResponse:
    return answer(One[TranscriptBody](data=transcript_body(transcript)))


def transcript_body(transcript: Transcript) -> TranscriptBody:
    """One that was refused or failed is completed without a text."""
    finished_ms = transcript.finished_at_ms
    is_done = transcript.state is TranscriptState.DONE
    return TranscriptBody(
        id=transcript.id,
        recording_id=transcript.recording_id,
        status="in-progress" if transcript.state is TranscriptState.PENDING else "completed",
        transcription_text=transcript.text if is_done else None,
        duration_millis=transcript.duration_ms,
        created_at=words.iso(transcript.created_at_ms),
        updated_at=words.iso(transcript.created_at_ms if finished_ms is None else finished_ms),
    )
