"""Whatever comes to the Telnyx dialect by HTTP: an answer in its shape, no 5xx, no deed by
accident.
"""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.api.asgi import Answer
from tests.unit.api.telnyx.support import CONTROL_ID, ROWS, Obliging, request

WORDS = [
    "format",
    "channels",
    "command_id",
    "custom_file_name",
    "play_beep",
    "trim",
    "region",
    "client_state",
    "recording_id",
    "call_control_id",
    "call_control_ids",
    "name",
    "max_participants",
    "duration_minutes",
    "supervisor_role",
    "connection_id",
    "from",
    "to",
    "timeout_secs",
    "custom_headers",
    "webhook_urls",
    "webhook_retries_policies",
    "application_name",
    "webhook_event_url",
    "inbound",
    "ids",
    "cause",
]
VALUES = st.sampled_from(
    ["wav", "dual", "x", "sip:a@b", "https://h/", "", CONTROL_ID, "USER_BUSY", ["x"], [None], {}]
)
JSON_VALUES = VALUES | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(max_size=300),
    st.dictionaries(st.sampled_from(WORDS) | st.text(), JSON_VALUES, max_size=6).map(
        lambda fields: json.dumps(fields).encode()
    ),
)
SEGMENT = st.one_of(
    st.sampled_from(["conferences", "calls", "actions", "record_start", CONTROL_ID, "recordings"]),
    st.text(max_size=8).map(lambda text: quote(text, safe="", errors="replace")),
    st.binary(max_size=6).map(quote),
)
QUERY_KEYS = st.sampled_from(
    [
        "page[number]",
        "page[size]",
        "filter[created_at][gte]",
        "filter[end_time][lte]",
        "filter[call_control_id]",
        "filter[muted]",
        "filter[status]",
        "filter[application_name][contains]",
        "filter[status][eq]",
        "region",
        "sort",
    ]
)
CONTROL = Obliging()
ALLOWED = {400, 404, 422}


def answer_of(method: str, path: str, body: bytes = b"") -> tuple[Answer, Obliging]:
    CONTROL.seen.clear()
    return asyncio.run(request(CONTROL, method, path, body)), CONTROL


def check(answer: Answer) -> None:
    assert answer.status < 500
    if answer.body:
        assert isinstance(answer.json, dict)
    if answer.status >= 400:
        (error,) = answer.json["errors"]
        assert isinstance(error["code"], str)
        assert error["title"]


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
@given(body=BODIES)
@settings(max_examples=30, deadline=None)
def test_bodies(row: Any, body: bytes) -> None:
    path = row.path.format(
        conference_id="MyConf",
        call_control_id=CONTROL_ID,
        participant_id="10",
        connection_id="7",
        application_id="7",
        recording_id="rec-1",
        transcription_id="words-1",
        delivery_id="delivery-1",
    )

    answer, control = answer_of(row.method, path, body)

    check(answer)
    assert answer.status in {*row.responses, *ALLOWED}
    assert len(control.seen) == (answer.status < 300)


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD"]),
    segments=st.lists(SEGMENT, max_size=6),
    query=st.text(alphabet="ab=&%+;[]0f", max_size=30),
)
@settings(max_examples=200, deadline=None)
def test_paths(method: str, segments: list[str], query: str) -> None:
    answer, _ = answer_of(method, "/" + "/".join([*segments]) + f"?{query}")

    check(answer)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.query], ids=lambda r: r.name)
@given(pairs=st.lists(st.tuples(QUERY_KEYS, st.text(max_size=24)), max_size=4))
@settings(max_examples=50, deadline=None)
def test_queries(row: Any, pairs: list[tuple[str, str]]) -> None:
    path = row.path.format(conference_id="c", connection_id="7")
    query = "&".join(f"{key}={quote(value, errors='replace')}" for key, value in pairs)

    answer, _ = answer_of("GET", f"{path}?{query}")

    check(answer)
    assert answer.status in {200, 422}
