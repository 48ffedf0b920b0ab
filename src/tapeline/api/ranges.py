"""Which bytes of a file a request wants (RFC 9110 §14). Pure."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True, slots=True)
class Slice:
    """`length` bytes from `offset`; `is_part` is False for the whole file."""

    offset: int
    length: int
    is_part: bool


class Unsatisfiable(Exception):
    """A range that holds no byte of the file: 416."""


def choose_slice(header: str | None, size: int) -> Slice:
    """A single range, or a suffix; several ranges and what is no range mean the whole file, as
    the RFC allows. Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return Slice(0, size, is_part=False)
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return Slice(size - length, length, is_part=True)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return Slice(0, size, is_part=False)
    if start >= size:
        raise Unsatisfiable
    return Slice(start, end - start + 1, is_part=True)


def names_etag(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match list holds the tag (weakly compared)."""
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag in tags
