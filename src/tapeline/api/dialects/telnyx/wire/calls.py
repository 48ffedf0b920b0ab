"""Calls: dial, look at, and the commands that steer them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.errors import NoMediaEncryption, NotAvailable, NotE164
from tapeline.api.dialects.telnyx.wire.answer import (
    One,
    answer,
    answer_part,
)
from tapeline.api.dialects.telnyx.wire.body import (
    Body,
    ClientState,
    CommandId,
    Text,
    once,
    pack,
    read_body,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.joining import ConferenceConfigBody, join_on_answer
from tapeline.api.dialects.telnyx.wire.record import RecordOnAnswerBody, record_on_answer
from tapeline.api.schema import Between, HttpUrl, ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.call import Call, CallState
from tapeline.domain.command import (
    AnswerCall,
    CreateCall,
    GetCall,
    HangUpCall,
    ListCalls,
    RejectCall,
    UpdateCall,
)
from tapeline.domain.id import ApplicationId
from tapeline.domain.sound import Keys

MOST_LISTED = 1_000
MOST_RETRIES, MOST_RETRY_MS = 5, 60_000
REJECTIONS = {
    "CALL_REJECTED": 603,
    "USER_BUSY": 486,
    "NOT_FOUND": 404,
    "TEMPORARILY_UNAVAILABLE": 480,
}
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SIP_URI = re.compile(r"sips?:[^\s<>\"]+", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!%*_+`'~.-]+")


class HeaderBody(BaseModel):
    """A SIP header of the customer's own."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    name: Annotated[str, Between(1, 128)]
    value: Annotated[str, Between(0, 1_024)]


def _check_header(header: HeaderBody) -> HeaderBody:
    is_plain = all(" " <= c < "\x7f" for c in header.value)
    if not (_HEADER_NAME.fullmatch(header.name) and is_plain):
        raise PydanticCustomError("sip_header", "a SIP header's name and printable value")
    return header


class RetriesBody(BaseModel):
    """Waits between attempts in milliseconds: at most 5, a minute in all (contract §5)."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    retries_ms: Annotated[
        list[Annotated[int, Between(0, MOST_RETRY_MS)]], Field(default_factory=list)
    ]


def _check_retries(policy: RetriesBody) -> RetriesBody:
    if len(policy.retries_ms) > MOST_RETRIES or sum(policy.retries_ms) > MOST_RETRY_MS:
        raise PydanticCustomError("retries", "at most 5 waits of 60000 ms in all")
    return policy


Header = Annotated[HeaderBody, AfterValidator(_check_header)]
Retries = Annotated[RetriesBody, AfterValidator(_check_retries)]
WebhookMethod = Literal["POST", "GET"]


class WebhookBody(Body):
    """Where one call's events go."""

    webhook_url: HttpUrl | None = None
    webhook_url_method: WebhookMethod = "POST"
    webhook_urls: dict[str, list[HttpUrl]] | None = None
    webhook_urls_method: WebhookMethod = "POST"
    webhook_retries_policies: dict[str, Retries] | None = None


def webhook_extras(body: WebhookBody) -> dict[str, str]:
    """Raises NotAvailable: how a GET is encoded and signed is documented nowhere."""
    for field in ("webhook_url_method", "webhook_urls_method"):
        if getattr(body, field) == "GET":
            raise NotAvailable(field)
    extras = {}
    if body.webhook_url is not None:
        extras[words.WEBHOOK_URL] = body.webhook_url
    if body.webhook_urls:
        extras[words.WEBHOOK_URLS] = pack(body.webhook_urls)
    if body.webhook_retries_policies:
        waits = {name: each.retries_ms for name, each in body.webhook_retries_policies.items()}
        extras[words.WEBHOOK_RETRIES] = pack(waits)
    return extras


def _only_one(value: object) -> object:
    """A list of one is that one; a call that rings several phones is not available."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


Target = Annotated[
    str,
    Between(1, 1_024),
    BeforeValidator(_only_one, json_schema_input_type=str | list[str]),
]


class DialBody(RecordOnAnswerBody, WebhookBody):
    """What else the documents name is refused when it would change what the call does
    (`UNAVAILABLE`), and accepted without effect otherwise.
    """

    connection_id: Text
    from_: Annotated[str, Between(1, 256), Field(alias="from")]
    to: Target
    from_display_name: Annotated[str, Between(0, 128)] = ""
    timeout_secs: Annotated[int, Between(5, 600)] = 30
    time_limit_secs: Annotated[int, Between(30, 14_400)] = 14_400
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    custom_headers: Annotated[list[Header], Field(default_factory=list, max_length=50)]
    media_encryption: Literal["disabled", "SRTP", "DTLS"] = "disabled"
    sip_transport_protocol: Literal["UDP", "TCP", "TLS"] = "UDP"
    answering_machine_detection: Text = "disabled"
    bridge_on_answer: bool = False
    bridge_intent: bool = False
    transcription: bool = False
    conference_config: ConferenceConfigBody | None = None
    supervise_call_control_id: Text | None = None
    link_to: Text | None = None
    audio_url: HttpUrl | None = None
    media_name: Text | None = None
    send_digits_on_answer: Annotated[str, Between(0, 64)] | None = None
    sip_auth_username: Text | None = None
    sip_auth_password: Text | None = None
    stream_url: Text | None = None


# Parameters of dial that would change what the call does, with the value that asks for nothing.
UNAVAILABLE: Mapping[str, object] = {
    "sip_transport_protocol": "UDP",
    "answering_machine_detection": "disabled",
    "bridge_on_answer": False,
    "bridge_intent": False,
    "transcription": False,
    "supervise_call_control_id": None,
    "link_to": None,
    "audio_url": None,
    "media_name": None,
    "sip_auth_username": None,
    "sip_auth_password": None,
    "stream_url": None,
}


class AnswerBody(RecordOnAnswerBody, WebhookBody):
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    transcription: bool = False
    stream_url: Text | None = None


class HangUpBody(Body):
    client_state: ClientState | None = None
    command_id: CommandId | None = None


class RejectBody(Body):
    cause: Literal["CALL_REJECTED", "USER_BUSY", "NOT_FOUND", "TEMPORARILY_UNAVAILABLE"]
    client_state: ClientState | None = None
    command_id: CommandId | None = None


class StateBody(Body):
    client_state: ClientState


class CallBody(ResponseBody):
    record_type: Literal["call"] = "call"
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    is_alive: bool
    call_duration: int
    client_state: str | None
    start_time: str | None
    end_time: str | None


class ActiveCallBody(ResponseBody):
    record_type: Literal["call"] = "call"
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    call_duration: int
    client_state: str


# dial and look


def read_dial(request: WireRequest, account: Account) -> CreateCall:
    body = read_body(DialBody, request)
    for field, nothing in UNAVAILABLE.items():
        if getattr(body, field) != nothing:
            raise NotAvailable(field)
    check_target(body.to, body.media_encryption)
    return CreateCall(
        once=once(account, "dial", body.command_id),
        account_id=account.id,
        application_id=ApplicationId(body.connection_id),
        target=body.to,
        caller=body.from_,
        caller_name=body.from_display_name,
        headers={each.name: each.value for each in body.custom_headers},
        ring_limit_ms=body.timeout_secs * 1_000,
        time_limit_ms=body.time_limit_secs * 1_000,
        dialect=words.NAME,
        extras={**state_extras(body.client_state), **webhook_extras(body)},
        record=record_on_answer(body, request, "OutboundAPI"),
        keys=Keys(digits=body.send_digits_on_answer) if body.send_digits_on_answer else None,
        joins=join_on_answer(body.conference_config),
    )


def check_target(target: str, encryption: str) -> None:
    """Raises Invalid for what cannot be dialled."""
    if encryption != "disabled":
        raise NoMediaEncryption("media_encryption", encryption)
    if not (_E164.fullmatch(target) or _SIP_URI.fullmatch(target)):
        raise NotE164("to", target)
    if ";secure=" in target.lower():
        raise NoMediaEncryption("to", target)


def write_dialled(call: Call, request: WireRequest, _account: Account) -> WireResponse:
    """The call is not alive yet: what becomes of it is told by webhooks."""
    body = call_body(call, request.now_ms).model_copy(update={"is_alive": False})
    return answer(One[CallBody](data=body))


def read_call(request: WireRequest, account: Account) -> GetCall:
    return GetCall(account_id=account.id, call_id=_call_id(request))


def write_call(call: Call, request: WireRequest, _account: Account) -> WireResponse:
    return answer(One[CallBody](data=call_body(call, request.now_ms)))


def call_body(call: Call, now_ms: int) -> CallBody:
    return CallBody(
        call_control_id=words.call_control_id(call.id),
        call_leg_id=call.id,
        call_session_id=call.session_id,
        is_alive=call.state is not CallState.ENDED,
        call_duration=_duration_s(call, now_ms),
        client_state=call.extras.get(words.CLIENT_STATE),
        start_time=words.iso(call.created_at_ms),
        end_time=None if call.ended_at_ms is None else words.iso(call.ended_at_ms),
    )


def _duration_s(call: Call, now_ms: int) -> int:
    end_ms = now_ms if call.ended_at_ms is None else call.ended_at_ms
    return max(end_ms - call.created_at_ms, 0) // 1_000


def read_active_calls(request: WireRequest, account: Account) -> ListCalls:
    return ListCalls(
        account_id=account.id,
        only_live=True,
        application_id=ApplicationId(request.params["connection_id"]),
        limit=MOST_LISTED,
    )


def write_active_calls(
    calls: tuple[Call, ...], request: WireRequest, _account: Account
) -> WireResponse:
    items = [
        ActiveCallBody(
            call_control_id=words.call_control_id(call.id),
            call_leg_id=call.id,
            call_session_id=call.session_id,
            call_duration=_duration_s(call, request.now_ms),
            client_state=call.extras.get(words.CLIENT_STATE, ""),
        )
        for call in calls
    ]
    return answer_part(ActiveCallBody, items, request)


# commands


def _call_id(request: WireRequest) -> Any:
    return words.read_call_control_id(request.params["call_control_id"])


def read_answer(request: WireRequest, account: Account) -> AnswerCall:
    body = read_body(AnswerBody, request)
    for field in ("transcription", "stream_url"):
        if getattr(body, field):
            raise NotAvailable(field)
    call_id = _call_id(request)
    return AnswerCall(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        extras={**state_extras(body.client_state), **webhook_extras(body)},
        record=record_on_answer(body, request, "StartCallRecordingAPI"),
    )


def read_hangup(request: WireRequest, account: Account) -> HangUpCall:
    body = read_body(HangUpBody, request)
    call_id = _call_id(request)
    return HangUpCall(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        extras=state_extras(body.client_state),
    )


def read_reject(request: WireRequest, account: Account) -> RejectCall:
    body = read_body(RejectBody, request)
    call_id = _call_id(request)
    return RejectCall(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        sip_status=REJECTIONS[body.cause],
        extras=state_extras(body.client_state),
    )


def read_state(request: WireRequest, account: Account) -> UpdateCall:
    body = read_body(StateBody, request)
    return UpdateCall(
        account_id=account.id,
        call_id=_call_id(request),
        extras=state_extras(body.client_state),
    )
