"""Answers' envelopes and pages."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.command import RecordingView
from tapeline.domain.error import InvalidChoice

SIZE, MOST, LAST_PAGE = 20, 250, 1_000_000
_DIGITS = 9

ItemT = TypeVar("ItemT")


class One(ResponseBody, Generic[ItemT]):
    data: ItemT


class Meta(ResponseBody):
    page_number: int
    page_size: int
    total_pages: int
    total_results: int


class Many(ResponseBody, Generic[ItemT]):
    data: list[ItemT]
    meta: Meta


class Result(ResponseBody):
    """What is beside `result` is ours, in the answer of what starts a recording (contract §2)."""

    result: Literal["ok"] = "ok"
    recording_id: str | None = None
    recording_url: str | None = None


class ErrorSource(ResponseBody):
    pointer: str | None = None
    parameter: str | None = None


class Error(ResponseBody):
    code: str
    title: str
    detail: str
    source: ErrorSource | None = None
    meta: Annotated[dict[str, str], Field(default_factory=dict)]


class Errors(ResponseBody):
    errors: list[Error]


def answer(body: ResponseBody, status: int = 200) -> WireResponse:
    fields = body.model_dump(mode="json", by_alias=True)
    return WireResponse(status=status, body=json.dumps(fields, ensure_ascii=False).encode())


def write_ok(outcome: object, _request: WireRequest, _account: Account) -> WireResponse:
    return answer_ok(outcome)


def answer_ok(outcome: object = None) -> WireResponse:
    """Any outcome: a key that another command had gets the other's (contract §7)."""
    data = {"result": "ok"}
    if isinstance(outcome, RecordingView):
        data |= {"recording_id": outcome.recording.id, "recording_url": outcome.link}
    return WireResponse(status=200, body=json.dumps({"data": data}).encode())


# pages


class Page(ResponseBody):
    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


def read_page(request: WireRequest) -> Page:
    """Out of range, or no number at all, is clamped to what is allowed (contract §0)."""
    query = dict(request.query)
    return Page(
        number=_clamped(query.get("page[number]"), 1, LAST_PAGE),
        size=_clamped(query.get("page[size]"), SIZE, MOST),
    )


def _clamped(text: str | None, default: int, high: int) -> int:
    if text is None or not (text.isascii() and text.isdecimal()):
        return default
    return high if len(text) > _DIGITS else min(max(int(text), 1), high)


def answer_page(
    kind: type[ResponseBody], items: Sequence[ResponseBody], request: WireRequest, total: int
) -> WireResponse:
    """`items` are this page's."""
    page = read_page(request)
    meta = Meta(
        page_number=page.number,
        page_size=page.size,
        total_pages=-(-total // page.size),
        total_results=total,
    )
    return answer(Many[kind](data=list(items), meta=meta))  # type: ignore[valid-type]


def answer_part(
    kind: type[ResponseBody], items: Sequence[ResponseBody], request: WireRequest
) -> WireResponse:
    """`items` are all there are; this page of them."""
    page = read_page(request)
    part = items[page.offset : page.offset + page.size]
    return answer_page(kind, part, request, len(items))


# filters


PAGE_QUERY: Mapping[str, Mapping[str, Any]] = {
    "page[number]": {"type": "integer", "default": 1},
    "page[size]": {"type": "integer", "default": SIZE},
}
REGIONS = ("Australia", "Europe", "Middle East", "US")
REGION_QUERY: Mapping[str, Mapping[str, Any]] = {
    "region": {"type": "string", "enum": list(REGIONS)}
}
TEXT_QUERY: Mapping[str, Any] = {"type": "string"}
BOOLEAN_QUERY: Mapping[str, Any] = {"type": "boolean"}


def filters(request: WireRequest) -> dict[str, str]:
    """What is given and not empty, by its key as it stands in the query."""
    return {key: value for key, value in request.query if value}


def choose(given: Mapping[str, str], key: str, choices: tuple[str, ...]) -> str | None:
    """Raises InvalidChoice."""
    value = given.get(key)
    if value is not None and value not in choices:
        raise InvalidChoice(field=key, value=value[:100], choices=choices)
    return value


def choose_boolean(given: Mapping[str, str], key: str) -> bool | None:
    word = choose(given, key, ("true", "false"))
    return None if word is None else word == "true"
