"""Whatever comes by HTTP to account-style dialects: an answer in the dialect's shape, no 5xx, no
deed by accident.
"""

import asyncio
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.api.asgi import Answer, ask
from tests.unit.api.things import ACCOUNT_ID, TOKEN, MemoryControl, make_app

from tapeline.api.dialect import find_dialects

BASE = f"/api/v1/Account/{ACCOUNT_ID}"
BASIC = b64encode(f"{ACCOUNT_ID}:{TOKEN}".encode()).decode()
HEADERS = {
    "X-Auth-ID": ACCOUNT_ID,
    "X-Auth-Token": TOKEN,
    "Authorization": f"Basic {BASIC}",
}
KEYS = st.sampled_from(
    [
        "file_format",
        "callback_url",
        "callback_method",
        "recording_callback_url",
        "time_limit",
        "limit",
        "offset",
        "add_time__gte",
        "recording_type",
        "transcription_type",
        "transcription_url",
        "record_channel_type",
        "URL",
        "recording_id",
        "from",
        "to",
        "answer_url",
        "sip_headers",
        "ring_timeout",
        "legs",
        "aleg_url",
        "app_name",
        "status",
        "end_time__gte",
        "hangup_cause_code",
        "hangup_source",
        "page",
        "size",
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(max_size=300),
    st.dictionaries(KEYS | st.text(), JSON_VALUES, max_size=4).map(
        lambda fields: json.dumps(fields).encode()
    ),
    st.dictionaries(KEYS | st.text(), st.text(), max_size=4).map(
        lambda fields: "&".join(
            f"{quote(k, errors='replace')}={quote(v, errors='replace')}" for k, v in fields.items()
        ).encode()
    ),
)
TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "", "text/plain", "a/b; charset=x"]
)
ROWS = [
    (dialect, row)
    for dialect in find_dialects().values()
    for row in dialect.operations
    if "{auth_id}" in row.path
]
"""Of the account-style dialects."""
NAMES = {
    "auth_id": ACCOUNT_ID,
    "conference_name": "MyConf",
    "recording_id": "rec-1",
    "call_uuid": "call-1",
    "member_id": "10",
    "app_id": "1",
}
SEGMENT = st.one_of(
    st.sampled_from(
        ["Account", ACCOUNT_ID, "Conference", "MyConf", "Record", "Recording", "Call", "Member", ""]
    ),
    st.text(max_size=8).map(lambda text: quote(text, safe="", errors="replace")),
    st.binary(max_size=6).map(quote),
)


def answer_of(method: str, target: str, **more: Any) -> tuple[Answer, MemoryControl]:
    control = MemoryControl()
    control.open_room("MyConf")
    control.calls.add("call-1")
    answer = asyncio.run(ask(make_app(control), method, target, **more))
    return answer, control


def check(answer: Answer) -> None:
    assert answer.status < 500
    if answer.body and answer.headers["content-type"] == "application/json":
        assert isinstance(answer.json, dict)


@pytest.mark.parametrize(("dialect", "row"), ROWS, ids=lambda each: each.name)
@given(body=BODIES, content_type=TYPES)
@settings(max_examples=25, deadline=None)
def test_bodies(dialect: Any, row: Any, body: bytes, content_type: str) -> None:
    answer, control = answer_of(
        row.method,
        dialect.prefix + row.path.format(**NAMES),
        headers={**HEADERS, "Content-Type": content_type},
        body=body,
    )

    check(answer)
    assert answer.status in {*row.responses, 400, 404}
    is_started = row.method == "POST" and row.path.endswith("/Record/")
    assert len(control.recordings) == (answer.status < 300 and is_started)


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]),
    segments=st.lists(SEGMENT, max_size=7),
    start=st.sampled_from(["", "/v1", "/api/v1", BASE, f"/media/Account/{ACCOUNT_ID}/Recording"]),
    query=st.text(alphabet="ab=&%+;[]0f", max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_paths(method: str, segments: list[str], start: str, query: str) -> None:
    target = "/".join([start, *segments]) or "/"

    answer, _ = answer_of(method, f"{target}?{query}", headers=HEADERS)

    check(answer)


@pytest.mark.parametrize("base", [BASE, f"/v1/Account/{ACCOUNT_ID}"])
@pytest.mark.parametrize("resource", ["Recording", "Call", "Application", "Call/call-1"])
@given(pairs=st.lists(st.tuples(KEYS, st.text(max_size=20)), max_size=4))
@settings(max_examples=60, deadline=None)
def test_filters(base: str, resource: str, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{key}={quote(value, errors='replace')}" for key, value in pairs)

    answer, _ = answer_of("GET", f"{base}/{resource}/?{query}", headers=HEADERS)

    check(answer)
    assert answer.status in {200, 400} or (resource, answer.status) == ("Call/call-1", 404)


@given(
    headers=st.dictionaries(
        st.sampled_from(["X-Auth-ID", "X-Auth-Token", "Authorization", "Range", "If-Range"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    ),
    path=st.sampled_from([f"{BASE}/Conference/", f"/media/Account/{ACCOUNT_ID}/Recording/r.mp3"]),
)
@settings(max_examples=200, deadline=None)
def test_headers(headers: dict[str, str], path: str) -> None:
    answer, _ = answer_of("GET", path, headers=headers)

    check(answer)
