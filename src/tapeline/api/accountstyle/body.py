"""Reading what a request holds: JSON, form or nothing in the body, and the query."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tapeline.api.dialect import WireRequest
from tapeline.domain.error import InvalidBody

MAX_FIELDS = 1_000
_FORM = "application/x-www-form-urlencoded"


def read_fields(request: WireRequest) -> dict[str, Any]:
    """Body before query; a key given twice keeps its last value.

    A body that begins with a brace is JSON whatever its content type says: `curl -d` calls
    everything a form. Raises InvalidBody.
    """
    return {**dict(request.query), **_read_body(request)}


def _read_body(request: WireRequest) -> Mapping[str, Any]:
    body = request.body.strip()
    if not body:
        return {}
    if request.content_type == _FORM and not body.startswith(b"{"):
        return _read_form(body)
    return read_json(body)


def _read_form(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
            errors="strict",
        )
    except ValueError as error:
        raise InvalidBody(f"the form cannot be read: {error}") from error
    return dict(pairs)


def read_json(body: bytes) -> Mapping[str, Any]:
    """The object that the body is. Raises InvalidBody."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidBody(f"malformed JSON: {error.msg} at {place}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidBody(f"malformed JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise InvalidBody(f"the JSON body must be an object, not {type(value).__name__}")
    _check_texts(value)
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _check_texts(value: object) -> None:
    """JSON can spell half a surrogate pair, which no database and no UTF-8 can hold."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InvalidBody("the body holds a text that is no Unicode") from error
            if "\x00" in item:
                raise InvalidBody("the body holds a NUL character")
