"""Lists by limit and offset, and filters over instants and ages."""

from datetime import UTC, datetime

import pytest

from tapeline.api.accountstyle.page import (
    DAY_MS,
    age_days,
    page_meta,
    read_age_range,
    read_time_range,
    utc_text,
)
from tapeline.domain.error import Invalid
from tapeline.domain.id import EpochMs

NOON_MS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("offset", "following", "previous"),
    [
        (0, "/r/?a=b+c&limit=20&offset=20", None),
        (20, "/r/?a=b+c&limit=20&offset=40", "/r/?a=b+c&limit=20&offset=0"),
        (30, "/r/?a=b+c&limit=20&offset=50", "/r/?a=b+c&limit=20&offset=10"),
        (40, None, "/r/?a=b+c&limit=20&offset=20"),
    ],
)
def test_a_page_names_its_neighbours(
    offset: int, following: str | None, previous: str | None
) -> None:
    query = [("a", "b c"), ("limit", "20"), ("offset", "7")]

    meta = page_meta("/r/", query, limit=20, offset=offset, total=60 if offset != 30 else 61)

    assert (meta["next"], meta["previous"]) == (following, previous)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, (None, None)),
        ({"t__gte": "2026-03-01 12:00"}, (NOON_MS, None)),
        ({"t__gt": "2026-03-01 12:00:00"}, (NOON_MS + 1, None)),
        ({"t__gt": "2026-03-01 12:00:00.000500"}, (NOON_MS + 1, None)),
        ({"t__gte": "2026-03-01 12:00:00.0005"}, (NOON_MS + 1, None)),
        ({"t__lt": "2026-03-01T12:00:00Z"}, (None, NOON_MS)),
        ({"t__lte": "2026-03-01 12:00:00"}, (None, NOON_MS + 1)),
        ({"t__gt": "2026-03-01", "t__gte": "2026-03-01 12:00"}, (NOON_MS, None)),
    ],
)
def test_instants_bound_a_range(
    query: dict[str, str], wanted: tuple[int | None, int | None]
) -> None:
    assert read_time_range("t", query) == wanted


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2026-02-30 10:00", "2026-03-01 25:00"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_time_range("t", {"t__gte": text})


@pytest.mark.parametrize(
    ("query", "ages"),
    [
        ({"d": "2"}, {2}),
        ({"d__gt": "2"}, {3, 4, 5}),
        ({"d__gte": "2"}, {2, 3, 4, 5}),
        ({"d__lt": "2"}, {0, 1}),
        ({"d__lte": "2"}, {0, 1, 2}),
        ({"d__gte": "1", "d__lt": "3"}, {1, 2}),
    ],
)
@pytest.mark.parametrize("within_ms", [0, DAY_MS - 1])
def test_ages_are_whole_days(query: dict[str, str], ages: set[int], within_ms: int) -> None:
    now = EpochMs(NOON_MS)
    low, high = read_age_range("d", query, now)

    found = set()
    for age in range(6):
        began = now - age * DAY_MS - within_ms
        assert age_days(EpochMs(began), now) == age
        if (low is None or began >= low) and (high is None or began < high):
            found.add(age)

    assert found == ages


def test_what_is_no_number_of_days_is_refused() -> None:
    with pytest.raises(Invalid):
        read_age_range("d", {"d": "-1"}, EpochMs(0))


def test_instants_are_written_with_microseconds_and_offset() -> None:
    assert utc_text(NOON_MS + 5) == "2026-03-01 12:00:00.005000+00:00"
