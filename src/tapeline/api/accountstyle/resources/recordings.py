"""Recordings: the list and its filters, one of them, deleting."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tapeline.api.accountstyle.page import (
    age_days,
    narrow,
    page_meta,
    read_age_range,
    read_time_range,
    utc_text,
)
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import Lower, RequestBody, ResponseBody, json_schema, read_model
from tapeline.domain.account import Account
from tapeline.domain.command import (
    DeleteRecording,
    GetRecording,
    ListRecordings,
    RecordingFilter,
    RecordingPage,
    RecordingView,
)
from tapeline.domain.error import OutOfRange
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import RecordingFormat, TargetKind

_ENDS = ("gt", "gte", "lt", "lte")


class ListRecordingsQuery(RequestBody):
    limit: Annotated[int, Field(ge=1)] = 20
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0
    call_uuid: str | None = None
    conference_name: str | None = None
    conference_uuid: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    recording_type: Annotated[Literal["call", "normal", "conference", "trunk"], Lower] | None = None
    recording_format: Annotated[Literal["mp3", "wav"], Lower] | None = None


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
    next: str | None
    previous: str | None
    total_count: int


class RecordingsBody(ResponseBody):
    api_id: str
    meta: MetaBody
    objects: list[RecordingBody]


def list_query_schema(profile: Profile) -> dict[str, Any]:
    text = {"type": "string"}
    age = {"type": "integer", "minimum": 0}
    return {
        **json_schema(ListRecordingsQuery)["properties"],
        "limit": limit_schema(profile),
        **{f"add_time__{end}": text for end in _ENDS},
        "recording_storage_duration": age,
        **{f"recording_storage_duration__{end}": age for end in _ENDS},
    }


def limit_schema(profile: Profile) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": profile.list_limit, "default": 20}


def check_limit(profile: Profile, limit: int) -> None:
    """Raises OutOfRange."""
    if limit > profile.list_limit:
        raise OutOfRange(field="limit", value=limit, low=1, high=profile.list_limit)


def read_recordings(profile: Profile, request: WireRequest, account: Account) -> ListRecordings:
    given = dict(request.query)
    query = read_model(ListRecordingsQuery, given)
    check_limit(profile, query.limit)
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


def write_recordings(
    profile: Profile, page: RecordingPage, request: WireRequest, account: Account
) -> WireResponse:
    return answer(
        200,
        RecordingsBody(
            api_id=request.request_id,
            meta=list_meta(profile, request, account, "Recording", page),
            objects=[
                RecordingBody(**recording_fields(profile, view, request, account))
                for view in page.views
            ],
        ),
    )


def list_meta(
    profile: Profile, request: WireRequest, account: Account, resource: str, page: Any
) -> MetaBody:
    """Of any page that has `limit`, `offset` and `total`."""
    meta = page_meta(
        profile.uri(account, resource),
        request.query,
        limit=page.limit,
        offset=page.offset,
        total=page.total,
    )
    ends = {key: meta[key] or profile.end_of_list for key in ("next", "previous")}
    return MetaBody.model_validate({**meta, **ends})


def read_recording(request: WireRequest, account: Account) -> GetRecording:
    return GetRecording(account_id=account.id, recording_id=_id(request))


def write_recording(
    profile: Profile, view: RecordingView, request: WireRequest, account: Account
) -> WireResponse:
    fields = recording_fields(profile, view, request, account)
    return answer(200, OneRecordingBody(api_id=request.request_id, **fields))


def read_delete(request: WireRequest, account: Account) -> DeleteRecording:
    return DeleteRecording(account_id=account.id, recording_id=_id(request))


def _id(request: WireRequest) -> RecordingId:
    return RecordingId(request.params["recording_id"])


def recording_fields(
    profile: Profile, view: RecordingView, request: WireRequest, account: Account
) -> dict[str, Any]:
    recording = view.recording
    ended_ms = recording.ended_at_ms
    name = recording.conference_name
    return {
        "add_time": utc_text(recording.started_at_ms),
        "call_uuid": recording.call_id or "",
        "conference_name": profile.no_conference if name is None else name,
        "from_number": recording.caller,
        "to_number": recording.called,
        "recording_duration_ms": f"{recording.duration_ms}.00000",
        "recording_start_ms": f"{recording.started_at_ms}.00000",
        "recording_end_ms": None if ended_ms is None else f"{ended_ms}.00000",
        "recording_format": recording.format.value,
        "recording_id": recording.id,
        "recording_type": recording.target.value,
        "recording_url": view.link,
        "resource_uri": profile.uri(account, "Recording", recording.id),
        "recording_storage_duration": age_days(recording.started_at_ms, request.now_ms),
        "recording_storage_rate": 0.0,
        "monthly_recording_storage_amount": 0,
        "rounded_recording_duration": -(-recording.duration_ms // 60_000) * 60,
    }
