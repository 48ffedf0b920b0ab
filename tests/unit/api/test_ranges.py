"""Which bytes a Range header wants of a file of 100 bytes."""

import pytest

from tapeline.api.ranges import Slice, Unsatisfiable, choose_slice, names_etag

WHOLE = Slice(0, 100, is_part=False)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, WHOLE),
        ("bytes=0-", Slice(0, 100, is_part=True)),
        ("bytes=0-0", Slice(0, 1, is_part=True)),
        ("bytes=10-19", Slice(10, 10, is_part=True)),
        ("bytes=90-1000", Slice(90, 10, is_part=True)),
        ("bytes=-10", Slice(90, 10, is_part=True)),
        ("bytes=-1000", Slice(0, 100, is_part=True)),
        ("bytes=0-1,5-6", WHOLE),
        ("bytes=9-5", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("items=0-1", WHOLE),
        ("bytes=" + "9" * 50 + "-", WHOLE),
    ],
)
def test_a_range_is_chosen(header: str | None, wanted: Slice) -> None:
    assert choose_slice(header, 100) == wanted


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_a_range_without_a_byte_is_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        choose_slice(header, size)


@pytest.mark.parametrize(
    ("header", "named"),
    [(None, False), ("*", True), ('"a"', True), ('"b", W/"a"', True), ('"b"', False)],
)
def test_an_etag_is_found_in_a_list(header: str | None, *, named: bool) -> None:
    assert names_etag(header, '"a"') is named
