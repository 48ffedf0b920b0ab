"""Credentials of account-style requests."""

from base64 import b64encode
from dataclasses import replace

import pytest
from tests.unit.api.things import ACCOUNT_ID, NOW_MS, OTHER_ID, account

from tapeline.api.accountstyle.access import (
    basic_credentials,
    check_path_account,
    header_credentials,
)
from tapeline.api.dialect import WireRequest
from tapeline.domain.account import Credentials
from tapeline.domain.error import Unauthenticated

REQUEST = WireRequest(
    method="GET",
    path="/",
    segments=(),
    params={},
    query=(),
    headers={},
    body=b"",
    request_id="r",
    now_ms=NOW_MS,
)


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize("header", [basic("MA1:tok:en"), basic("MA1:tok:en").replace("B", "b", 1)])
def test_basic(header: str) -> None:
    request = replace(REQUEST, headers={"authorization": header})

    assert basic_credentials(request) == Credentials(account_id="MA1", auth_token="tok:en")


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", basic("MA1"), basic(":x"), basic("x:"), "Bearer abc"]
)
def test_what_is_no_basic(header: str) -> None:
    with pytest.raises(Unauthenticated):
        basic_credentials(replace(REQUEST, headers={"authorization": header}))


@pytest.mark.parametrize("headers", [{}, {"a": "1"}, {"b": "2"}, {"a": "1", "b": ""}])
def test_both_headers_are_needed(headers: dict[str, str]) -> None:
    request = replace(REQUEST, headers=headers)

    with pytest.raises(Unauthenticated):
        header_credentials(request, id_header="a", token_header="b")


def test_the_path_must_name_the_credentials_account() -> None:
    check_path_account(replace(REQUEST, params={"auth_id": ACCOUNT_ID}), account())
    check_path_account(REQUEST, account())

    with pytest.raises(Unauthenticated):
        check_path_account(replace(REQUEST, params={"auth_id": OTHER_ID}), account())


def test_secrets_are_in_no_repr() -> None:
    assert "tok" not in repr(Credentials(account_id="MA1", auth_token="tok", api_key="tokkey"))
