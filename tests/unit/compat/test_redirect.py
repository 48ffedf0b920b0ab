"""What is sent to a vendor's host goes to ours."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from tapeline import compat
from tapeline.compat.redirect import redirect

ORIGIN = "https://api.vendor.example"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """Answers with the address that was asked."""

    def send(_adapter: HTTPAdapter, request: requests.PreparedRequest, **_: object) -> object:
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url or "", request
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", send)
    with requests.Session() as made:
        yield made


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"])
def test_path_and_query_stay(session: requests.Session, base: str) -> None:
    redirect(session, ORIGIN, base)

    answer = session.get(f"{ORIGIN}/v1/Account/MA/Conference/My%20Conf/?a=b%2Fc")

    assert answer.url == "http://127.0.0.1:8080/v1/Account/MA/Conference/My%20Conf/?a=b%2Fc"


def test_a_base_may_have_a_path(session: requests.Session) -> None:
    redirect(session, ORIGIN, "https://node.example/voice")

    assert session.get(f"{ORIGIN}/v1/x").url == "https://node.example/voice/v1/x"


def test_other_hosts_are_left_alone(session: requests.Session) -> None:
    redirect(session, ORIGIN, "http://127.0.0.1:8080")

    assert session.get("https://elsewhere.example/v1/").url == "https://elsewhere.example/v1/"


@pytest.mark.parametrize("base", ["", "127.0.0.1:8080", "ftp://h/", "http://"])
def test_a_base_that_is_no_address_is_refused(session: requests.Session, base: str) -> None:
    with pytest.raises(ValueError, match="http or https address"):
        redirect(session, ORIGIN, base)


def test_nothing_of_the_server_is_imported() -> None:
    folder = Path(compat.__file__).parent

    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            own = [name for name in names if name and name.startswith("tapeline")]
            assert all(name.startswith("tapeline.compat") for name in own), path
