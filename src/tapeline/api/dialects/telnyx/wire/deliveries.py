"""Webhooks that were sent, with every attempt."""

import json
from typing import Any, Literal

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.wire.answer import One, answer, answer_part, choose, filters
from tapeline.api.schema import ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.command import DeliveryView, ListDeliveries
from tapeline.domain.delivery import Attempt, DeliveryState
from tapeline.domain.error import NotFound

MOST_LISTED = 1_000
STATUSES = ("delivered", "failed")


class HttpRequestBody(ResponseBody):
    url: str


class HttpResponseBody(ResponseBody):
    status: int


class HttpBody(ResponseBody):
    request: HttpRequestBody
    response: HttpResponseBody | None


class FaultBody(ResponseBody):
    code: int
    title: str
    detail: str


class AttemptBody(ResponseBody):
    status: Literal["delivered", "failed"]
    started_at: str
    finished_at: str
    http: HttpBody
    errors: list[FaultBody]


class WebhookBody(ResponseBody):
    record_type: Literal["event"] = "event"
    id: str
    event_type: str
    occurred_at: str
    payload: dict[str, Any]


class DeliveryBody(ResponseBody):
    """One that is still being tried has no status yet."""

    record_type: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    user_id: str
    status: Literal["delivered", "failed"] | None
    started_at: str
    finished_at: str | None
    webhook: WebhookBody
    attempts: list[AttemptBody]


def read_deliveries(request: WireRequest, account: Account) -> ListDeliveries:
    choose(filters(request), "filter[status][eq]", STATUSES)
    return ListDeliveries(account_id=account.id, limit=MOST_LISTED)


def write_deliveries(
    views: tuple[DeliveryView, ...], request: WireRequest, _account: Account
) -> WireResponse:
    given = filters(request)
    status = given.get("filter[status][eq]")
    kinds = set(filter(None, given.get("filter[event_type]", "").split(",")))
    items = [
        body
        for body in (_delivery(view) for view in _own(views))
        if (status is None or body.status == status)
        and (not kinds or body.webhook.event_type in kinds)
    ]
    return answer_part(DeliveryBody, items, request)


def write_delivery(
    views: tuple[DeliveryView, ...], request: WireRequest, _account: Account
) -> WireResponse:
    """Raises NotFound."""
    wanted = request.params["delivery_id"]
    for view in _own(views):
        if view.delivery.id == wanted:
            return answer(One[DeliveryBody](data=_delivery(view)))
    raise NotFound(wanted)


def _own(views: tuple[DeliveryView, ...]) -> list[DeliveryView]:
    """Other dialects' messages have other shapes."""
    return [view for view in views if view.delivery.dialect == words.NAME]


def _delivery(view: DeliveryView) -> DeliveryBody:
    delivery = view.delivery
    status: Literal["delivered", "failed"] | None = None
    if delivery.state is not DeliveryState.PENDING:
        status = "delivered" if delivery.state is DeliveryState.DELIVERED else "failed"
    finished_ms = delivery.finished_at_ms
    return DeliveryBody(
        id=delivery.id,
        user_id=delivery.account_id,
        status=status,
        started_at=words.iso(delivery.created_at_ms),
        finished_at=None if finished_ms is None else words.iso(finished_ms),
        webhook=WebhookBody.model_validate_json(json.dumps(delivery.message.fields["data"])),
        attempts=[_attempt(each) for each in view.attempts],
    )


def _attempt(attempt: Attempt) -> AttemptBody:
    response = None if attempt.status is None else HttpResponseBody(status=attempt.status)
    faults = []
    if attempt.failure is not None:
        code = attempt.status or 0
        detail = attempt.reason or attempt.failure.value
        faults.append(FaultBody(code=code, title=attempt.failure.value, detail=detail))
    return AttemptBody(
        status="failed" if faults else "delivered",
        started_at=words.iso(attempt.at_ms),
        finished_at=words.iso(attempt.at_ms + attempt.duration_ms),
        http=HttpBody(request=HttpRequestBody(url=attempt.url), response=response),
        errors=faults,
    )
