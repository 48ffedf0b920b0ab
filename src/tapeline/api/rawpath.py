"""Routing on the raw path: split on `/` first, decode each segment after, so that a conference
called `a/b` can be named as `a%2Fb`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

MAX_SEGMENTS = 32


def split_path(raw_path: bytes) -> tuple[str, ...] | None:
    """The decoded segments, without the empty ones before the first and after the last slash.

    What is not UTF-8 and control characters become U+FFFD: nothing has such a name, and whoever
    answers for the prefix says so in its own words. None when it is no path.
    """
    if not raw_path.startswith(b"/"):
        return None
    pieces = raw_path[1:].split(b"/")
    if pieces[-1] == b"":
        pieces.pop()
    if len(pieces) > MAX_SEGMENTS:
        return None
    return tuple(_named(unquote_to_bytes(piece).decode("utf-8", "replace")) for piece in pieces)


def _named(text: str) -> str:
    return "".join(
        "\ufffd" if character < " " or character == "\x7f" else character for character in text
    )


@dataclass(frozen=True, slots=True)
class Template:
    """A path with parameters, like `/Account/{auth_id}/Conference/{name}/`."""

    parts: tuple[tuple[bool, str], ...]
    """Whether it is a parameter, and its name or the literal text."""

    @staticmethod
    def parse(text: str) -> "Template":
        pieces = [piece for piece in text.split("/") if piece]
        return Template(
            tuple(
                (True, piece[1:-1]) if piece.startswith("{") else (False, piece) for piece in pieces
            )
        )

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The parameters' values; a parameter is never empty."""
        if len(segments) != len(self.parts):
            return None
        values: dict[str, str] = {}
        for (is_parameter, text), segment in zip(self.parts, segments, strict=True):
            if is_parameter and segment:
                values[text] = segment
            elif is_parameter or segment != text:
                return None
        return values

    def is_case_variant(self, segments: Sequence[str]) -> bool:
        """Whether the segments would match if letter case did not matter."""
        return len(segments) == len(self.parts) and all(
            bool(segment) if is_parameter else segment.lower() == text.lower()
            for (is_parameter, text), segment in zip(self.parts, segments, strict=True)
        )

    @property
    def literals(self) -> int:
        return sum(not is_parameter for is_parameter, _ in self.parts)


class Routed(Protocol):
    """What can be put in a table: a dialect's operation."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


RoutedT = TypeVar("RoutedT", bound=Routed)


@dataclass(frozen=True, slots=True)
class Found(Generic[RoutedT]):
    """`route` is None when no row fits; `allowed` are then the methods that the path does have."""

    route: RoutedT | None
    params: Mapping[str, str]
    allowed: tuple[str, ...] = ()


class RouteTable(Generic[RoutedT]):
    """Rows with more literal segments win: `Recording/BulkDelete/` before `Recording/{id}/`."""

    def __init__(self, routes: Sequence[RoutedT]) -> None:
        rows = [(Template.parse(route.path), route) for route in routes]
        self._rows = sorted(rows, key=lambda row: -row[0].literals)

    def find(self, method: str, segments: Sequence[str]) -> Found[RoutedT]:
        allowed: list[str] = []
        for template, route in self._rows:
            params = template.match(segments)
            if params is None:
                continue
            if route.method == method:
                return Found(route, params)
            allowed.append(route.method)
        return Found(None, {}, tuple(sorted(set(allowed))))
