"""The one form in which JSON is signed: keys in order, no spaces, UTF-8, integers only.

A subset of RFC 8785: without floating point numbers its rules for numbers are not needed.
"""

import json
from typing import Any

DEPTH_LIMIT = 16


class NotCanonical(ValueError):
    """A value that has no signed form, or text in which one name stands twice."""


def encode(value: Any) -> bytes:
    """Raises NotCanonical."""
    _check(value, DEPTH_LIMIT)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("a text holds half a character") from error


def decode(text: bytes) -> Any:
    """JSON whose every object has each name once. Raises NotCanonical."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_no_fraction,
            parse_constant=_no_fraction,
        )
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"it is no JSON of ours: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("an object has one name twice")
    return found


def _no_fraction(text: str) -> Any:
    raise NotCanonical(f"{text} is no whole number")


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise NotCanonical("it is nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical(f"{key!r} is no name")
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    elif not (value is None or isinstance(value, str | int)):
        raise NotCanonical(f"a {type(value).__name__} has no signed form")
