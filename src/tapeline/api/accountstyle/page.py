"""Lists by limit and offset, and the filters over instants that they share."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tapeline.domain.error import Invalid
from tapeline.domain.id import EpochMs

DAY_MS = 86_400_000
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(?:Z|\+00:00)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page_link(path: str, query: Sequence[tuple[str, str]], *, limit: int, offset: int) -> str:
    """The relative address of another page with the same filters."""
    filters = [(key, value) for key, value in query if key not in {"limit", "offset", "cursor"}]
    pairs = [*filters, ("limit", str(limit)), ("offset", str(offset))]
    return f"{path}?{urlencode(pairs)}"


def page_meta(
    path: str, query: Sequence[tuple[str, str]], *, limit: int, offset: int, total: int
) -> dict[str, Any]:
    """`next` and `previous` are None at the ends."""
    after, before = offset + limit, max(offset - limit, 0)
    return {
        "limit": limit,
        "offset": offset,
        "next": page_link(path, query, limit=limit, offset=after) if after < total else None,
        "previous": page_link(path, query, limit=limit, offset=before) if offset else None,
        "total_count": total,
    }


def read_instant_us(field: str, text: str) -> int:
    """Microseconds since the epoch of `YYYY-MM-DD[ HH:MM[:ss[.uuuuuu]]]` in UTC. Raises Invalid."""
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        raise Invalid(field=field, value=text[:100], expected="YYYY-MM-DD HH:MM[:ss[.uuuuuu]]")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    micros = int((match.group(7) or "").ljust(6, "0"))
    try:
        instant = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    except ValueError as error:
        raise Invalid(field=field, value=text[:100], expected=str(error)) from error
    return (instant - _EPOCH) // timedelta(microseconds=1)


def read_time_range(field: str, query: Mapping[str, str]) -> tuple[EpochMs | None, EpochMs | None]:
    """`field__gt|gte|lt|lte` as milliseconds, inclusive from and exclusive to."""
    lows, highs = [], []
    for comparison in ("gt", "gte", "lt", "lte"):
        text = query.get(f"{field}__{comparison}", "")
        if not text:
            continue
        micros = read_instant_us(f"{field}__{comparison}", text)
        at_or_after, after = -(-micros // 1_000), micros // 1_000 + 1
        if comparison in {"gt", "gte"}:
            lows.append(after if comparison == "gt" else at_or_after)
        else:
            highs.append(at_or_after if comparison == "lt" else after)
    return (
        EpochMs(max(lows)) if lows else None,
        EpochMs(min(highs)) if highs else None,
    )


def read_age_range(
    field: str, query: Mapping[str, str], now_ms: EpochMs
) -> tuple[EpochMs | None, EpochMs | None]:
    """`field[__gt|gte|lt|lte]`, an age in whole days, as instants: inclusive from, exclusive to.

    A thing is n days old from n to n+1 times 24 hours after it began.
    """
    lows, highs = [], []
    for comparison in ("", "__gt", "__gte", "__lt", "__lte"):
        text = query.get(field + comparison, "")
        if not text:
            continue
        if not (text.isascii() and text.isdecimal() and len(text) < 7):  # noqa: PLR2004
            raise Invalid(field=field + comparison, value=text[:100], expected="a number of days")
        days = int(text)
        if comparison in {"", "__gte", "__gt"}:
            highs.append(now_ms - (days + (comparison == "__gt")) * DAY_MS + 1)
        if comparison in {"", "__lte", "__lt"}:
            lows.append(now_ms - (days + (comparison != "__lt")) * DAY_MS + 1)
    return (
        EpochMs(max(lows)) if lows else None,
        EpochMs(min(highs)) if highs else None,
    )


def age_days(began_ms: EpochMs, now_ms: EpochMs) -> int:
    return max(now_ms - began_ms, 0) // DAY_MS


def narrow(
    *ranges: tuple[EpochMs | None, EpochMs | None],
) -> tuple[EpochMs | None, EpochMs | None]:
    """Where all of them hold."""
    lows = [low for low, _ in ranges if low is not None]
    highs = [high for _, high in ranges if high is not None]
    return max(lows, default=None), min(highs, default=None)


def utc_text(at_ms: int) -> str:
    """`2014-08-05 16:15:15.852000+00:00`."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
