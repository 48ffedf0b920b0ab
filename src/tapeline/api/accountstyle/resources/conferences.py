"""Live conferences and their members."""

from typing import Annotated, Literal

from pydantic import Field

from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.command import (
    ConferenceRef,
    ConferenceView,
    EndConference,
    EndConferences,
    GetConference,
    ListConferences,
    Members,
    ParticipantView,
    RemoveParticipants,
    SetParticipants,
)
from tapeline.domain.error import ParticipantNotFound
from tapeline.domain.id import MemberId

LIST_LIMIT = 1_000
ALL = "all"


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


def conference_ref(request: WireRequest, account: Account) -> ConferenceRef:
    return ConferenceRef(account_id=account.id, name=request.params["conference_name"])


def read_conferences(_request: WireRequest, account: Account) -> ListConferences:
    return ListConferences(account_id=account.id, only_live=True, limit=LIST_LIMIT)


def write_conferences(
    views: tuple[ConferenceView, ...], request: WireRequest, _account: Account
) -> WireResponse:
    names = [view.conference.name for view in views]
    return answer(200, ConferencesBody(api_id=request.request_id, conferences=names))


def read_conference(request: WireRequest, account: Account) -> GetConference:
    return GetConference(conference=conference_ref(request, account))


def write_conference(view: ConferenceView, request: WireRequest, _account: Account) -> WireResponse:
    there = [_member(each, view.now_ms) for each in view.participants]
    return answer(
        200,
        ConferenceBody(
            api_id=request.request_id,
            conference_name=view.conference.name,
            conference_run_time=_seconds(view.now_ms - view.conference.created_at_ms),
            conference_member_count=str(len(there)),
            members=there,
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


def read_end(request: WireRequest, account: Account) -> EndConference:
    return EndConference(conference=conference_ref(request, account))


def read_end_all(_request: WireRequest, account: Account) -> EndConferences:
    return EndConferences(account_id=account.id)


# members


def member_words(request: WireRequest) -> list[str]:
    """One id, several divided by commas, or `all`."""
    return [word.strip() for word in request.params["member_id"].split(",") if word.strip()]


def members(request: WireRequest) -> Members:
    """Those of the path. Raises ParticipantNotFound when nobody is named: no name at all would
    mean everybody.
    """
    words = member_words(request)
    if not words:
        raise ParticipantNotFound(request.params["member_id"])
    if words == [ALL]:
        return Members()
    return Members(member_ids=tuple(MemberId(word) for word in words))


def read_set(
    request: WireRequest, account: Account, *, muted: bool | None = None, deaf: bool | None = None
) -> SetParticipants:
    return SetParticipants(
        conference=conference_ref(request, account),
        members=members(request),
        muted=muted,
        deaf=deaf,
    )


def read_remove(request: WireRequest, account: Account, *, hang_up: bool) -> RemoveParticipants:
    return RemoveParticipants(
        conference=conference_ref(request, account), members=members(request), hang_up=hang_up
    )
