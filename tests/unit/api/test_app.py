"""The HTTP side as a whole: raw paths, credentials, bounds, errors, health."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.api.asgi import ask
from tests.unit.api.things import (
    ACCOUNT_ID,
    OTHER_ID,
    TOKEN,
    MemoryControl,
    account,
    make_app,
)

from tapeline.api.dialect import find_dialects
from tapeline.domain.command import Command
from tapeline.domain.error import EngineFailed

HEADERS = {"X-Auth-ID": ACCOUNT_ID, "X-Auth-Token": TOKEN}
BASE = f"/api/v1/Account/{ACCOUNT_ID}"
RECORD = f"{BASE}/Conference/MyConf/Record/"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def control() -> MemoryControl:
    memory = MemoryControl()
    for name in ("MyConf", "a/b", "my room", "Zoë 会議", "100%"):
        memory.open_room(name)
    return memory


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("MyConf", "MyConf"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("my%20room", "my room"),
        ("Zo%C3%AB%20%E4%BC%9A%E8%AD%B0", "Zoë 会議"),
        ("100%25", "100%"),
    ],
)
@pytest.mark.parametrize("end", ["/", ""])
async def test_names_are_decoded_after_the_path_was_split(
    control: MemoryControl, raw: str, name: str, end: str
) -> None:
    app = make_app(control)

    started = await ask(app, "POST", f"{BASE}/Conference/{raw}/Record{end}", headers=HEADERS)

    assert started.status == 200
    found = await ask(app, "GET", f"{BASE}/Conference/{raw}{end}", headers=HEADERS)
    assert found.json["conference_name"] == name


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "body"),
    [
        ("POST", RECORD, {}, 401, None),
        ("POST", RECORD, {"X-Auth-ID": ACCOUNT_ID}, 401, None),
        ("POST", RECORD, {**HEADERS, "X-Auth-Token": "wrong"}, 401, None),
        ("POST", RECORD, {**HEADERS, "X-Auth-ID": "MA" + "Z" * 18}, 401, None),
        ("POST", RECORD.replace(ACCOUNT_ID, OTHER_ID), HEADERS, 401, None),
        ("POST", RECORD.replace("Account", "account"), HEADERS, 401, None),
        ("POST", RECORD.replace("Conference", "conference"), HEADERS, 401, None),
        ("POST", RECORD.replace("Record", "record"), {}, 401, None),
        ("GET", f"{BASE}/Nothing/", HEADERS, 404, {"message": "Not Found"}),
        ("PUT", RECORD, HEADERS, 404, {"message": "Not Found"}),
        ("PROPFIND", RECORD, HEADERS, 404, {"message": "Not Found"}),
        ("GET", f"{BASE}//Conference/", HEADERS, 404, {"message": "Not Found"}),
        ("GET", f"{BASE}/Conference/nobody/", HEADERS, 404, {"error": "conference not found"}),
        (
            "POST",
            f"{BASE}/Conference/nobody/Record/",
            HEADERS,
            404,
            {"error": "conference not found"},
        ),
        ("DELETE", RECORD, HEADERS, 404, {"error": "recording not found"}),
        ("GET", f"{BASE}/Recording/none/", HEADERS, 404, {"error": "recording not found"}),
        ("DELETE", f"{BASE}/Recording/none/", HEADERS, 404, {"error": "recording not found"}),
    ],
)
async def test_what_cannot_be_done_is_told_in_the_dialects_shape(
    control: MemoryControl,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    body: dict[str, str] | None,
) -> None:
    answer = await ask(make_app(control), method, path, headers=headers)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == body if body else isinstance(answer.json["error"], str)
    assert not control.recordings


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b'{"file_format": "ogg"}', "application/json", "file_format: one of mp3, wav"),
        (b"file_format=ogg", "application/x-www-form-urlencoded", "'ogg'"),
        (b'{"callback_url": "ftp://x/"}', "application/json", "an http or https URL"),
        (b'{"callback_url": "nothing"}', "application/json", "callback_url"),
        (b'{"recording_callback_url": "http:///x"}', "application/json", "recording_callback_url"),
        (b'{"callback_url": 5}', "application/json", "callback_url"),
        (b'{"callback_method": "PUT"}', "application/json", "one of GET, POST"),
        (b'{"time_limit": 0}', "application/json", "time_limit"),
        (b'{"file_format": ', "application/json", "malformed JSON"),
        (b"[1, 2]", "application/json", "must be an object"),
        (b'{"a": NaN}', "application/json", "malformed JSON"),
        (b'{"a": "\\ud800"}', "application/json", "no Unicode"),
        (b"[" * 100_000, "application/json", "malformed JSON"),
        (b"\xff\xfe", "application/json", "malformed JSON"),
        (b" " * (1024 * 1024 + 1), "application/json", "larger than 1048576 bytes"),
    ],
)
async def test_a_bad_body_is_refused_with_what_was_wrong(
    control: MemoryControl, body: bytes, content_type: str, said: str
) -> None:
    headers = {**HEADERS, "Content-Type": content_type}

    answer = await ask(make_app(control), "POST", RECORD, headers=headers, body=body)

    assert answer.status == 400
    assert said in answer.json["error"]
    assert not control.recordings


async def test_a_body_that_lies_about_its_length_is_bounded_too(control: MemoryControl) -> None:
    headers = {**HEADERS, "Content-Length": "10"}

    answer = await ask(make_app(control), "POST", RECORD, headers=headers, body=b" " * 2_000_000)

    assert answer.status == 400


async def test_more_query_fields_than_allowed_are_refused(control: MemoryControl) -> None:
    target = f"{BASE}/Recording/?" + "&".join(f"a{n}=1" for n in range(1_001))

    assert (await ask(make_app(control), "GET", target, headers=HEADERS)).status == 400


@pytest.mark.parametrize("raw", ["%FF", "a%00b", "%0A"])
async def test_a_name_that_nothing_can_have_is_not_found(control: MemoryControl, raw: str) -> None:
    answer = await ask(make_app(control), "GET", f"{BASE}/Conference/{raw}/", headers=HEADERS)

    assert answer.status == 404


async def test_a_second_start_by_the_same_dialect_is_refused(control: MemoryControl) -> None:
    app = make_app(control)
    await ask(app, "POST", RECORD, headers=HEADERS)

    again = await ask(app, "POST", RECORD, headers=HEADERS)

    assert (again.status, again.json) == (400, {"error": "conference is already being recorded"})


async def test_stop_is_204_without_a_body_or_its_type(control: MemoryControl) -> None:
    app = make_app(control)
    await ask(app, "POST", RECORD, headers=HEADERS)

    answer = await ask(app, "DELETE", RECORD, headers={**HEADERS, **JSON}, body=b"{}")

    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers


async def test_an_idempotent_stop_is_the_accounts_choice() -> None:
    control = MemoryControl(account(dialect={"vobiz": {"idempotent_stop": "true"}}))
    control.open_room("MyConf")

    answer = await ask(make_app(control), "DELETE", RECORD, headers=HEADERS)

    assert answer.status == 204


async def test_each_request_has_an_id_of_its_own(control: MemoryControl) -> None:
    app = make_app(control)

    first = await ask(app, "GET", f"{BASE}/Conference/", headers=HEADERS)
    second = await ask(app, "GET", f"{BASE}/Conference/", headers=HEADERS)

    assert first.json["api_id"] == first.headers["x-request-id"]
    assert first.json["api_id"] != second.json["api_id"]


class _Raising(MemoryControl):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def execute(self, command: Command[Any]) -> Any:
        self.seen.append(command)
        raise self._error


async def test_a_bug_is_a_counted_500_that_says_nothing_of_itself() -> None:
    faults: list[str] = []
    app = make_app(_Raising(KeyError("secret")), faults=faults)

    answer = await ask(app, "POST", RECORD, headers=HEADERS)

    assert answer.status == 500
    assert answer.headers["x-request-id"] in answer.json["error"]
    assert "secret" not in answer.text
    assert len(faults) == 1


async def test_a_bug_after_the_deed_is_counted_but_no_5xx(control: MemoryControl) -> None:
    def write(*_: object) -> Any:
        raise ValueError("cannot be written")

    vobiz = find_dialects()["vobiz"]
    rows = tuple(replace(row, write=write) for row in vobiz.operations)
    faults: list[str] = []
    app = make_app(control, dialects={"vobiz": replace(vobiz, operations=rows)}, faults=faults)

    started = await ask(app, "POST", RECORD, headers=HEADERS)
    listed = await ask(app, "GET", f"{BASE}/Conference/", headers=HEADERS)

    assert (started.status, started.json) == (200, {})
    assert listed.status == 500
    assert len(control.recordings) == 1
    assert len(faults) == 2


async def test_a_core_that_refuses_is_503() -> None:
    app = make_app(_Raising(EngineFailed("start_recording", "no room")))

    answer = await ask(app, "POST", RECORD, headers=HEADERS)

    assert answer.status == 503
    assert "no room" in answer.json["error"]


async def test_health_and_readiness() -> None:
    reasons = iter([None, "the SIP port is not open"])
    app = make_app(MemoryControl(), not_ready=lambda: next(reasons))

    alive, ready, waiting = [
        await ask(app, "GET", path) for path in ("/healthz", "/readyz", "/readyz")
    ]

    assert (alive.status, ready.status, waiting.status) == (200, 200, 503)
    assert "the SIP port is not open" in waiting.text


async def test_the_metrics_page_is_there_where_it_is_wanted() -> None:
    async def page() -> bytes:
        return b"tapeline_ready 1.0\n"

    shown = await ask(make_app(MemoryControl(), metrics=page), "GET", "/metrics")
    assert (shown.status, shown.text) == (200, "tapeline_ready 1.0\n")
    assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (await ask(make_app(MemoryControl()), "GET", "/metrics")).status == 404


async def test_what_no_dialect_has_is_404() -> None:
    assert (await ask(make_app(MemoryControl()), "GET", "/else")).status == 404


def _dangling(node: Any, document: Any) -> list[str]:
    """References that lead nowhere."""
    if isinstance(node, list):
        return [name for item in node for name in _dangling(item, document)]
    if not isinstance(node, dict):
        return []
    lost = [name for item in node.values() for name in _dangling(item, document)]
    if "$ref" in node:
        there = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            there = there.get(part, {})
        lost += [] if there else [node["$ref"]]
    return lost


async def test_openapi_describes_every_operation() -> None:
    answer = await ask(make_app(MemoryControl()), "GET", "/api/v1/openapi.json")
    document = answer.json

    assert document["openapi"] == "3.1.0"
    path = "/api/v1/Account/{auth_id}/Conference/{conference_name}/Record/"
    start = document["paths"][path]["post"]
    assert set(start["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
    }
    body = start["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["file_format"]["enum"] == ["mp3", "wav"]
    answered = start["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answered["required"]) == {"api_id", "message", "recording_id", "url"}
    assert "content" not in document["paths"][path]["delete"]["responses"]["204"]
    assert not _dangling(document, document)
    rows = [method for methods in document["paths"].values() for method in methods]
    assert len(rows) == len(find_dialects()["vobiz"].operations)
    assert json.loads(json.dumps(document)) == document
