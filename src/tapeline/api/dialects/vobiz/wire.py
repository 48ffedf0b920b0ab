"""Vobiz on the wire: requests to commands, outcomes to answers. No I/O, no clock."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.page import (
    age_days,
    narrow,
    page_meta,
    read_age_range,
    read_time_range,
    utc_text,
)
from tapeline.api.dialect import Setting, WireRequest, WireResponse, chosen
from tapeline.api.schema import HttpUrl, Lower, RequestBody, ResponseBody, Upper, read_model
from tapeline.domain.account import Account
from tapeline.domain.command import (
    ConferenceRef,
    ConferenceView,
    DeleteRecording,
    GetConference,
    GetRecording,
    ListConferences,
    ListRecordings,
    ParticipantView,
    RecordingFilter,
    RecordingPage,
    RecordingView,
    StartConferenceRecording,
    StopConferenceRecording,
)
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import (
    Recording,
    RecordingFormat,
    RecordingOptions,
    Starter,
    TargetKind,
)

NAME = "vobiz"
V3_WITH_PARAMETERS = "sdk"

SETTINGS = (
    Setting(
        key="callback_encoding",
        choices=("documented", "json", "form"),
        default="documented",
        description="documented: JSON for a conference recording's end, forms for the rest",
    ),
    Setting(
        key="vobiz_v3",
        choices=("doc", V3_WITH_PARAMETERS),
        default="doc",
        description="doc: signature V3 without the parameters; sdk: with them, as its SDK checks",
    ),
    Setting(
        key="idempotent_stop",
        choices=("false", "true"),
        default="false",
        description="true: stopping what is not recorded is answered 204 instead of 404",
    ),
)

LIST_LIMIT = 1_000
Method = Annotated[Literal["GET", "POST"], Upper]


class StartRecordingBody(RequestBody):
    """Both names of the callback are in use; `callback_url` wins (contract §13.3)."""

    file_format: Annotated[Literal["mp3", "wav"], Lower] = "mp3"
    callback_url: HttpUrl | None = None
    callback_method: Method | None = None
    recording_callback_url: HttpUrl | None = None
    recording_callback_method: Method | None = None
    time_limit: Annotated[int, Field(ge=1, le=2_592_000)] | None = None
    """Seconds; without it a conference is recorded until it ends."""


class ListRecordingsQuery(RequestBody):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0
    call_uuid: str | None = None
    conference_name: str | None = None
    conference_uuid: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    recording_type: Annotated[Literal["call", "normal", "conference", "trunk"], Lower] | None = None
    recording_format: Annotated[Literal["mp3", "wav"], Lower] | None = None


class StartedBody(ResponseBody):
    api_id: str
    message: str
    recording_id: str
    url: str


class ConferencesBody(ResponseBody):
    api_id: str
    conferences: list[str]


class MemberBody(ResponseBody):
    muted: bool
    member_id: str
    deaf: bool
    from_: Annotated[str, Field(alias="from")]
    to: str
    caller_name: str
    direction: Literal["inbound", "outbound"]
    call_uuid: str
    join_time: str


class ConferenceBody(ResponseBody):
    """Every number is a string here."""

    api_id: str
    conference_name: str
    conference_run_time: str
    conference_member_count: str
    members: list[MemberBody]


class RecordingBody(ResponseBody):
    """Exactly these 17 keys: a strict client refuses more (contract §4)."""

    add_time: str
    call_uuid: str
    conference_name: str | None
    from_number: str
    to_number: str
    recording_duration_ms: str
    recording_start_ms: str
    recording_end_ms: str | None
    recording_format: str
    recording_id: str
    recording_type: Literal["call", "conference"]
    recording_url: str
    resource_uri: str
    recording_storage_duration: int
    recording_storage_rate: float
    monthly_recording_storage_amount: int
    rounded_recording_duration: int


class OneRecordingBody(RecordingBody):
    api_id: str


class MetaBody(ResponseBody):
    limit: int
    offset: int
    next: str
    """Empty at the end: a strict client refuses null."""
    previous: str
    total_count: int


class RecordingsBody(ResponseBody):
    api_id: str
    meta: MetaBody
    objects: list[RecordingBody]


class ErrorBody(ResponseBody):
    error: str


def _answer(status: int, body: ResponseBody) -> WireResponse:
    fields = body.model_dump(mode="json", by_alias=True)
    return WireResponse(status=status, body=json.dumps(fields, ensure_ascii=False).encode())


def write_nothing(_outcome: Any, _request: WireRequest, _account: Account) -> WireResponse:
    return WireResponse(status=204)


# conference recording


def _conference_ref(request: WireRequest, account: Account) -> ConferenceRef:
    return ConferenceRef(account_id=account.id, name=request.params["conference_name"])


def read_start(request: WireRequest, account: Account) -> StartConferenceRecording:
    body = read_model(StartRecordingBody, read_fields(request))
    if body.callback_url is not None:
        method = body.callback_method or body.recording_callback_method
    else:
        method = body.recording_callback_method or body.callback_method
    return StartConferenceRecording(
        conference=_conference_ref(request, account),
        options=RecordingOptions(
            format=RecordingFormat(body.file_format), limit_ms=(body.time_limit or 0) * 1_000
        ),
        starter=Starter(
            dialect=NAME,
            request_id=request.request_id,
            callback_url=body.callback_url or body.recording_callback_url,
            callback_method=method or "POST",
        ),
    )


def write_started(view: RecordingView, request: WireRequest, _account: Account) -> WireResponse:
    return _answer(
        200,
        StartedBody(
            api_id=request.request_id,
            message="conference recording started",
            recording_id=view.recording.id,
            url=view.link,
        ),
    )


def read_stop(request: WireRequest, account: Account) -> StopConferenceRecording:
    return StopConferenceRecording(
        conference=_conference_ref(request, account),
        dialect=NAME,
        is_idempotent=chosen(account, NAME, SETTINGS, "idempotent_stop") == "true",
    )


# conferences


def read_conferences(_request: WireRequest, account: Account) -> ListConferences:
    return ListConferences(account_id=account.id, only_live=True, limit=LIST_LIMIT)


def write_conferences(
    views: tuple[ConferenceView, ...], request: WireRequest, _account: Account
) -> WireResponse:
    names = [view.conference.name for view in views]
    return _answer(200, ConferencesBody(api_id=request.request_id, conferences=names))


def read_conference(request: WireRequest, account: Account) -> GetConference:
    return GetConference(conference=_conference_ref(request, account))


def write_conference(view: ConferenceView, request: WireRequest, _account: Account) -> WireResponse:
    members = [_member(each, view.now_ms) for each in view.participants]
    return _answer(
        200,
        ConferenceBody(
            api_id=request.request_id,
            conference_name=view.conference.name,
            conference_run_time=_seconds(view.now_ms - view.conference.created_at_ms),
            conference_member_count=str(len(members)),
            members=members,
        ),
    )


def _member(view: ParticipantView, now_ms: int) -> MemberBody:
    return MemberBody.model_validate(
        {
            "muted": view.participant.muted,
            "member_id": view.participant.member_id,
            "deaf": view.participant.deaf,
            "from": view.call.caller,
            "to": view.call.called,
            "caller_name": view.call.caller_name,
            "direction": view.call.direction.value,
            "call_uuid": view.call.id,
            "join_time": _seconds(now_ms - view.participant.joined_at_ms),
        }
    )


def _seconds(duration_ms: int) -> str:
    return str(max(duration_ms, 0) // 1_000)


# recordings


def read_recordings(request: WireRequest, account: Account) -> ListRecordings:
    given = dict(request.query)
    query = read_model(ListRecordingsQuery, given)
    added = read_time_range("add_time", given)
    stored = read_age_range("recording_storage_duration", given, request.now_ms)
    from_ms, to_ms = narrow(added, stored)
    return ListRecordings(
        account_id=account.id,
        limit=query.limit,
        offset=query.offset,
        filter=RecordingFilter(
            target=_target(query.recording_type),
            format=None
            if query.recording_format is None
            else RecordingFormat(query.recording_format),
            call_id=query.call_uuid,
            conference_id=query.conference_uuid,
            conference_name=query.conference_name,
            caller=query.from_number,
            called=query.to_number,
            from_ms=from_ms,
            to_ms=to_ms,
        ),
    )


def _target(word: str | None) -> TargetKind | None:
    """`normal` is the older word for a call's; a trunk's calls are calls here."""
    if word is None:
        return None
    return TargetKind.CONFERENCE if word == "conference" else TargetKind.CALL


def write_recordings(page: RecordingPage, request: WireRequest, account: Account) -> WireResponse:
    meta = page_meta(
        f"/api/v1/Account/{account.id}/Recording/",
        request.query,
        limit=page.limit,
        offset=page.offset,
        total=page.total,
    )
    ends = {key: meta[key] or "" for key in ("next", "previous")}
    return _answer(
        200,
        RecordingsBody(
            api_id=request.request_id,
            meta=MetaBody.model_validate({**meta, **ends}),
            objects=[RecordingBody(**_recording(view, request)) for view in page.views],
        ),
    )


def read_recording(request: WireRequest, account: Account) -> GetRecording:
    return GetRecording(
        account_id=account.id, recording_id=RecordingId(request.params["recording_id"])
    )


def write_recording(view: RecordingView, request: WireRequest, _account: Account) -> WireResponse:
    fields = _recording(view, request)
    return _answer(200, OneRecordingBody(api_id=request.request_id, **fields))


def read_delete(request: WireRequest, account: Account) -> DeleteRecording:
    return DeleteRecording(
        account_id=account.id, recording_id=RecordingId(request.params["recording_id"])
    )


def _recording(view: RecordingView, request: WireRequest) -> dict[str, Any]:
    recording: Recording = view.recording
    ended_ms = recording.ended_at_ms
    return {
        "add_time": utc_text(recording.started_at_ms),
        "call_uuid": recording.call_id or "",
        "conference_name": recording.conference_name,
        "from_number": recording.caller,
        "to_number": recording.called,
        "recording_duration_ms": f"{recording.duration_ms}.00000",
        "recording_start_ms": f"{recording.started_at_ms}.00000",
        "recording_end_ms": None if ended_ms is None else f"{ended_ms}.00000",
        "recording_format": recording.format.value,
        "recording_id": recording.id,
        "recording_type": recording.target.value,
        "recording_url": view.link,
        "resource_uri": f"/api/v1/Account/{recording.account_id}/Recording/{recording.id}/",
        "recording_storage_duration": age_days(recording.started_at_ms, request.now_ms),
        "recording_storage_rate": 0.0,
        "monthly_recording_storage_amount": 0,
        "rounded_recording_duration": -(-recording.duration_ms // 60_000) * 60,
    }
