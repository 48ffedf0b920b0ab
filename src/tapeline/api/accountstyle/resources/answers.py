"""Answers as JSON, and those that say no more than that it was done."""

import json
from typing import Any

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import ResponseBody
from tapeline.domain.account import Account


class MessageBody(ResponseBody):
    api_id: str
    message: str


def answer(status: int, body: ResponseBody) -> WireResponse:
    fields = body.model_dump(mode="json", by_alias=True)
    return WireResponse(status=status, body=json.dumps(fields, ensure_ascii=False).encode())


def write_nothing(_outcome: Any, _request: WireRequest, _account: Account) -> WireResponse:
    return WireResponse(status=204)


def write_message(
    _outcome: Any, request: WireRequest, _account: Account, *, status: int, message: str
) -> WireResponse:
    return answer(status, MessageBody(api_id=request.request_id, message=message))
