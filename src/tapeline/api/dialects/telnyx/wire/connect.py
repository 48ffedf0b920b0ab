"""Connecting calls: to one that is there, or to an address that is dialled."""

from typing import Annotated, Literal

from pydantic import Field

from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.errors import NotAvailable
from tapeline.api.dialects.telnyx.wire.body import (
    ClientState,
    CommandId,
    Text,
    once,
    read_body,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.calls import (
    Header,
    Target,
    WebhookBody,
    check_target,
    webhook_extras,
)
from tapeline.api.dialects.telnyx.wire.record import RecordOnAnswerBody, record_on_answer
from tapeline.api.schema import Between
from tapeline.domain.account import Account
from tapeline.domain.command import BridgeCalls, TransferToAddress


class BridgeBody(RecordOnAnswerBody):
    """Ring tones and `prevent_double_bridge` have no effect: both calls are answered, and either
    may be connected anew.
    """

    call_control_id: Text
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    park_after_unbridge: Literal["self"] | None = None
    queue: Text | None = None


class TransferBody(RecordOnAnswerBody, WebhookBody):
    to: Target
    from_: Annotated[str, Between(0, 256), Field(alias="from")] = ""
    from_display_name: Annotated[str, Between(0, 128)] = ""
    timeout_secs: Annotated[int, Between(5, 600)] = 30
    time_limit_secs: Annotated[int, Between(30, 14_400)] = 14_400
    client_state: ClientState | None = None
    target_leg_client_state: ClientState | None = None
    command_id: CommandId | None = None
    custom_headers: Annotated[list[Header], Field(default_factory=list, max_length=50)]
    media_encryption: Literal["disabled", "SRTP", "DTLS"] = "disabled"
    answering_machine_detection: Text = "disabled"


def read_bridge(request: WireRequest, account: Account) -> BridgeCalls:
    body = read_body(BridgeBody, request)
    if body.queue is not None:
        raise NotAvailable("queue")
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return BridgeCalls(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        other_id=words.read_call_control_id(body.call_control_id),
        parks=body.park_after_unbridge is not None,
        extras=state_extras(body.client_state),
        record=record_on_answer(body, request, "StartCallRecordingAPI"),
    )


def read_transfer(request: WireRequest, account: Account) -> TransferToAddress:
    body = read_body(TransferBody, request)
    if body.answering_machine_detection != "disabled":
        raise NotAvailable("answering_machine_detection")
    check_target(body.to, body.media_encryption)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return TransferToAddress(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        target=body.to,
        caller=body.from_,
        caller_name=body.from_display_name,
        headers={each.name: each.value for each in body.custom_headers},
        ring_limit_ms=body.timeout_secs * 1_000,
        time_limit_ms=body.time_limit_secs * 1_000,
        extras=state_extras(body.client_state),
        target_extras={**state_extras(body.target_leg_client_state), **webhook_extras(body)},
        record=record_on_answer(body, request, "StartCallRecordingAPI"),
    )
