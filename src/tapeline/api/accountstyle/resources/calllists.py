"""Lists of calls, live and queued ones by their ids, ended ones as detail records."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tapeline.api.accountstyle.callfields import (
    HANGUP_CODES,
    billed_seconds,
    hangup_code,
    hangup_source,
    read_hangup_source,
)
from tapeline.api.accountstyle.page import read_instant_us, read_time_range, utc_text
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.accountstyle.resources.recordings import (
    MetaBody,
    check_limit,
    limit_schema,
    list_meta,
)
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import Lower, RequestBody, ResponseBody, json_schema, read_model
from tapeline.domain.account import Account
from tapeline.domain.call import Call, CallState, Direction, EndCause
from tapeline.domain.command import CallFilter, CallPage, PageCalls
from tapeline.domain.error import CallNotFound, InvalidChoice
from tapeline.domain.id import EpochMs

_TIMES = ("", "__gt", "__gte", "__lt", "__lte")


class ListCallsQuery(RequestBody):
    status: Annotated[Literal["live", "queued"], Lower] | None = None
    """Without it: detail records of calls that have ended."""
    limit: Annotated[int, Field(ge=1)] = 20
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0
    call_direction: Annotated[Literal["inbound", "outbound"], Lower] | None = None
    from_number: str | None = None
    to_number: str | None = None
    parent_call_uuid: str | None = None
    hangup_cause_code: Annotated[int, Field(ge=0, le=99_999)] | None = None
    hangup_source: str | None = None


class CallIdsBody(ResponseBody):
    api_id: str
    calls: list[str]


class DetailBody(ResponseBody):
    """A call's detail record. Nothing costs anything here."""

    answer_time: str | None
    bill_duration: int
    billed_duration: int
    call_direction: Literal["inbound", "outbound"]
    call_duration: int
    call_uuid: str
    end_time: str
    from_number: str
    hangup_cause_code: int
    hangup_cause_name: str
    hangup_source: str
    initiation_time: str
    parent_call_uuid: str | None
    resource_uri: str
    to_number: str
    total_amount: str
    total_rate: str


class OneDetailBody(DetailBody):
    api_id: str


class DetailsBody(ResponseBody):
    api_id: str
    meta: MetaBody
    objects: list[DetailBody]


def list_query_schema(profile: Profile) -> dict[str, Any]:
    text = {"type": "string"}
    return {
        **json_schema(ListCallsQuery)["properties"],
        "limit": limit_schema(profile),
        **{f"end_time{end}": text for end in _TIMES},
    }


def read_calls(profile: Profile, request: WireRequest, account: Account) -> PageCalls:
    given = dict(request.query)
    query = read_model(ListCallsQuery, given)
    check_limit(profile, query.limit)
    ended_from, ended_to = _end_range(given)
    return PageCalls(
        account_id=account.id,
        limit=query.limit,
        offset=query.offset,
        filter=CallFilter(
            is_live=query.status is not None if query.status != "queued" else None,
            state=CallState.QUEUED if query.status == "queued" else None,
            direction=None if query.call_direction is None else Direction(query.call_direction),
            caller=query.from_number,
            called=query.to_number,
            parent_id=query.parent_call_uuid,
            end_causes=_causes(query.hangup_cause_code),
            end_source=None
            if query.hangup_source is None
            else _source(profile, query.hangup_source),
            ended_from_ms=ended_from,
            ended_to_ms=ended_to,
        ),
    )


def _end_range(given: dict[str, str]) -> tuple[EpochMs | None, EpochMs | None]:
    """`end_time` alone is that very millisecond's."""
    exact = given.get("end_time", "")
    if exact:
        at_ms = read_instant_us("end_time", exact) // 1_000
        return EpochMs(at_ms), EpochMs(at_ms + 1)
    return read_time_range("end_time", given)


def _causes(code: int | None) -> tuple[EndCause, ...] | None:
    """Several causes share a code, and a code that is no cause's is nobody's."""
    if code is None:
        return None
    return tuple(cause for cause, known in HANGUP_CODES.items() if known.code == code)


def _source(profile: Profile, word: str) -> Any:
    found = read_hangup_source(word, platform=profile.platform)
    if found is None:
        choices = ("Caller", "Callee", "API Request", "Answer XML", "Error", profile.platform)
        raise InvalidChoice(field="hangup_source", value=word[:100], choices=choices)
    return found


def write_calls(
    profile: Profile, page: CallPage, request: WireRequest, account: Account
) -> WireResponse:
    if dict(request.query).get("status"):
        ids = [call.id for call in page.calls]
        return answer(200, CallIdsBody(api_id=request.request_id, calls=list(ids)))
    return answer(
        200,
        DetailsBody(
            api_id=request.request_id,
            meta=list_meta(profile, request, account, "Call", page),
            objects=[DetailBody(**_detail(profile, call, account)) for call in page.calls],
        ),
    )


def write_detail(
    profile: Profile, call: Call, request: WireRequest, account: Account
) -> WireResponse:
    """Raises CallNotFound while it runs: a record is there once it has ended."""
    if call.state is not CallState.ENDED:
        raise CallNotFound(call.id)
    fields = _detail(profile, call, account)
    return answer(200, OneDetailBody(api_id=request.request_id, **fields))


def _detail(profile: Profile, call: Call, account: Account) -> dict[str, Any]:
    code = hangup_code(call)
    seconds = billed_seconds(call)
    ended_ms = call.created_at_ms if call.ended_at_ms is None else call.ended_at_ms
    return {
        "answer_time": None if call.answered_at_ms is None else utc_text(call.answered_at_ms),
        "bill_duration": seconds,
        "billed_duration": -(-seconds // 60) * 60,
        "call_direction": call.direction.value,
        "call_duration": seconds,
        "call_uuid": call.id,
        "end_time": utc_text(ended_ms),
        "from_number": call.caller,
        "hangup_cause_code": code.code,
        "hangup_cause_name": code.name,
        "hangup_source": hangup_source(call, platform=profile.platform),
        "initiation_time": utc_text(call.created_at_ms),
        "parent_call_uuid": call.parent_id,
        "resource_uri": profile.uri(account, "Call", call.id),
        "to_number": call.called,
        "total_amount": "0.00000",
        "total_rate": "0.00000",
    }
