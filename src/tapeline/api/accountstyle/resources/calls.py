"""Making, reading, moving and ending calls."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tapeline.api.accountstyle.addresses import EXPECTED, read_address
from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.callfields import call_status, utc_micros
from tapeline.api.accountstyle.keys import KEYS_EXPECTED, read_keys
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.accountstyle.resources.starts import Method
from tapeline.api.accountstyle.sipheaders import read_sip_headers
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import HttpUrl, Lower, RequestBody, ResponseBody, read_model
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState
from tapeline.domain.command import CreateCall, GetCall, HangUpCall, TransferCall
from tapeline.domain.error import CallNotFound, Invalid, MissingValue
from tapeline.domain.id import ApplicationId, CallId
from tapeline.domain.sound import Keys

DAY_S = 86_400
MAX_RING_S = 3_600
_Name = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CreateCallBody(RequestBody):
    """`to` is one address, number or endpoint. What is not named is accepted without effect."""

    from_: Annotated[_Name, Field(alias="from")]
    to: _Name
    answer_url: HttpUrl
    answer_method: Method = "POST"
    ring_url: HttpUrl | None = None
    ring_method: Method = "POST"
    hangup_url: HttpUrl | None = None
    hangup_method: Method = "POST"
    fallback_url: HttpUrl | None = None
    fallback_method: Method = "POST"
    caller_name: Annotated[str, Field(max_length=50, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    time_limit: Annotated[int, Field(ge=1, le=2**31)] = 14_400
    """Seconds; a day at most, more is cut."""
    ring_timeout: Annotated[int, Field(ge=0, le=2**31)] = 120
    hangup_on_ring: Annotated[int, Field(ge=0, le=2**31)] | None = None
    """Seconds after which a call that rings is given up."""
    sip_headers: str | dict[str, str] = ""
    """`key=value,key2=value2`."""
    send_digits: Annotated[str, Field(max_length=80)] = ""
    """Pressed when it is answered; `w` waits half a second, `@ms` says how long each lasts."""


class TransferBody(RequestBody):
    legs: Annotated[Literal["aleg", "bleg", "both"], Lower] = "aleg"
    aleg_url: HttpUrl | None = None
    aleg_method: Method = "POST"


class FiredBody(ResponseBody):
    api_id: str
    message: str
    request_uuid: str


class LiveCallBody(ResponseBody):
    api_id: str
    call_status: str
    call_uuid: str
    caller_name: str
    direction: Literal["inbound", "outbound"]
    from_: Annotated[str, Field(alias="from")]
    to: str
    request_uuid: str
    session_start: str


def call_id(request: WireRequest) -> CallId:
    return CallId(request.params["call_uuid"])


def read_create(profile: Profile, request: WireRequest, account: Account) -> CreateCall:
    """The answer URL and its like are an application made for this call alone."""
    body = read_model(CreateCallBody, read_fields(request))
    ring_s = min(body.ring_timeout or MAX_RING_S, body.hangup_on_ring or MAX_RING_S, MAX_RING_S)
    return CreateCall(
        account_id=account.id,
        instructions=Application(
            id=ApplicationId(request.request_id),
            account_id=account.id,
            dialect=profile.name,
            name=request.request_id,
            answer_url=body.answer_url,
            answer_method=body.answer_method,
            fallback_url=body.fallback_url,
            fallback_method=body.fallback_method,
            hangup_url=body.hangup_url,
            hangup_method=body.hangup_method,
            ring_url=body.ring_url,
            ring_method=body.ring_method,
            is_ad_hoc=True,
            created_at_ms=request.now_ms,
        ),
        target=_target(body.to),
        caller=body.from_,
        caller_name=body.caller_name,
        headers=_headers(profile, body.sip_headers),
        ring_limit_ms=ring_s * 1_000,
        time_limit_ms=min(body.time_limit, DAY_S) * 1_000,
        dialect=profile.name,
        keys=_keys(body.send_digits),
    )


def _keys(given: str) -> Keys | None:
    if not given:
        return None
    if (keys := read_keys(given)) is None:
        raise Invalid(field="send_digits", value=given, expected=KEYS_EXPECTED)
    return keys


def _target(to: str) -> str:
    if "<" in to:
        raise Invalid(field="to", value=to[:100], expected="one destination in each request")
    if (address := read_address(to)) is None:
        raise Invalid(field="to", value=to[:100], expected=EXPECTED)
    return address


def _headers(profile: Profile, given: str | Mapping[str, str]) -> dict[str, str]:
    pairs = given if isinstance(given, str) else ",".join(f"{k}={v}" for k, v in given.items())
    found = read_sip_headers(pairs, profile.header_prefix)
    if found is None:
        raise Invalid(field="sip_headers", value=pairs[:100], expected="key=value,key2=value2")
    return found


def write_fired(
    call: Call, request: WireRequest, _account: Account, *, message: str
) -> WireResponse:
    """The request and its one call have the same id (contract §3)."""
    return answer(201, FiredBody(api_id=request.request_id, message=message, request_uuid=call.id))


def read_call(request: WireRequest, account: Account) -> GetCall:
    return GetCall(account_id=account.id, call_id=call_id(request))


def live_fields(call: Call, request: WireRequest) -> dict[str, Any]:
    """Raises CallNotFound when it is not live, or not in the state that is asked for."""
    wanted = dict(request.query).get("status")
    is_queued = call.state is CallState.QUEUED
    if call.state is CallState.ENDED or (wanted == "queued") != is_queued:
        raise CallNotFound(call.id)
    return {
        "api_id": request.request_id,
        "call_status": "queued" if is_queued else call_status(call),
        "call_uuid": call.id,
        "caller_name": call.caller_name,
        "direction": call.direction.value,
        "from": call.caller,
        "to": call.called,
        "request_uuid": call.id,
        "session_start": utc_micros(call.created_at_ms),
    }


def read_transfer(request: WireRequest, account: Account) -> TransferCall:
    body = read_model(TransferBody, read_fields(request))
    if body.legs != "aleg":
        expected = "aleg: the other leg is a call of its own and transferred by its own uuid"
        raise Invalid(field="legs", value=body.legs, expected=expected)
    if body.aleg_url is None:
        raise MissingValue("aleg_url")
    return TransferCall(
        account_id=account.id,
        call_id=call_id(request),
        url=body.aleg_url,
        method=body.aleg_method,
    )


def read_hang_up(request: WireRequest, account: Account) -> HangUpCall:
    return HangUpCall(account_id=account.id, call_id=call_id(request))
