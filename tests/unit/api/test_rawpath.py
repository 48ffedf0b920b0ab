"""Paths are split before they are decoded."""

from dataclasses import dataclass

import pytest

from tapeline.api.rawpath import RouteTable, Template, split_path


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/", ()),
        (b"/a", ("a",)),
        (b"/a/", ("a",)),
        (b"/a//", ("a", "")),
        (b"/a%2Fb/c", ("a/b", "c")),
        (b"/%E4%BC%9A%20x", ("会 x",)),
        (b"/a+b", ("a+b",)),
        (b"/..", ("..",)),
        (b"/%zz", ("%zz",)),
        (b"", None),
        (b"a/b", None),
        (b"/%ff", ("\ufffd",)),
        (b"/a%00%7f", ("a\ufffd\ufffd",)),
        (b"/" + b"a/" * 33, None),
    ],
)
def test_split(raw: bytes, segments: tuple[str, ...] | None) -> None:
    assert split_path(raw) == segments


@dataclass(frozen=True)
class Row:
    method: str
    path: str


TABLE = RouteTable(
    [
        Row("GET", "/Recording/{id}/"),
        Row("DELETE", "/Recording/{id}/"),
        Row("DELETE", "/Recording/BulkDelete/"),
    ]
)


@pytest.mark.parametrize(
    ("method", "segments", "path", "allowed"),
    [
        ("GET", ("Recording", "1"), "/Recording/{id}/", ()),
        ("DELETE", ("Recording", "BulkDelete"), "/Recording/BulkDelete/", ()),
        ("GET", ("Recording", "BulkDelete"), "/Recording/{id}/", ()),
        ("PUT", ("Recording", "1"), None, ("DELETE", "GET")),
        ("GET", ("recording", "1"), None, ()),
        ("GET", ("Recording", ""), None, ()),
        ("GET", ("Recording",), None, ()),
    ],
)
def test_rows_are_found(
    method: str, segments: tuple[str, ...], path: str | None, allowed: tuple[str, ...]
) -> None:
    found = TABLE.find(method, segments)

    assert (found.route.path if found.route else None) == path
    assert found.allowed == allowed


def test_letter_case_is_told_apart() -> None:
    template = Template.parse("/Account/{id}/")

    assert template.is_case_variant(("account", "1"))
    assert not template.is_case_variant(("accounts", "1"))
