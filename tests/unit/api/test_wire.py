"""Vobiz requests to commands."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.unit.api.things import ACCOUNT_ID, NOW_MS, account

from tapeline.api.dialect import WireRequest, find_dialects
from tapeline.domain.command import (
    ConferenceRef,
    ListRecordings,
    RecordingFilter,
    StartConferenceRecording,
)
from tapeline.domain.error import Invalid, TapelineError
from tapeline.domain.recording import (
    RecordingFormat,
    RecordingOptions,
    Starter,
    TargetKind,
)

ROWS = {row.name: row for row in find_dialects()["vobiz"].operations}
REQUEST = WireRequest(
    method="POST",
    path="/",
    segments=(),
    params={"auth_id": ACCOUNT_ID, "conference_name": "MyConf"},
    query=(),
    headers={"content-type": "application/json"},
    body=b"",
    request_id="api-1",
    now_ms=NOW_MS,
)
FORM = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
WAV = RecordingOptions(format=RecordingFormat.WAV)
URL = "https://cust.example/done#ct=500&rc=3"


def start(**changes: Any) -> StartConferenceRecording:
    starter = Starter(dialect="vobiz", request_id="api-1", **changes.pop("starter", {}))
    command = StartConferenceRecording(
        conference=ConferenceRef(account_id=ACCOUNT_ID, name="MyConf"), starter=starter
    )
    return replace(command, **changes)


@pytest.mark.parametrize(
    ("headers", "body", "command"),
    [
        ({}, b"", start()),
        ({}, b"{}", start()),
        ({}, b'{"file_format": null, "callback_url": "", "more": [1]}', start()),
        ({}, b'{"file_format": "WAV"}', start(options=WAV)),
        (FORM, b"file_format=wav", start(options=WAV)),
        (FORM, b'{"file_format": "wav"}', start(options=WAV)),
        (
            {"content-type": ""},
            b'{"time_limit": 60}',
            start(options=RecordingOptions(limit_ms=60_000)),
        ),
        (FORM, b"time_limit=60", start(options=RecordingOptions(limit_ms=60_000))),
        (
            FORM,
            urlencode({"callback_url": URL, "callback_method": "get"}).encode(),
            start(starter={"callback_url": URL, "callback_method": "GET"}),
        ),
        (
            {},
            b'{"recording_callback_url": "http://r/", "recording_callback_method": "GET"}',
            start(starter={"callback_url": "http://r/", "callback_method": "GET"}),
        ),
        (
            {},
            (
                b'{"recording_callback_url": "http://r/", "callback_url": "http://c/",'
                b' "recording_callback_method": "GET", "callback_method": "POST"}'
            ),
            start(starter={"callback_url": "http://c/", "callback_method": "POST"}),
        ),
    ],
)
def test_start(headers: dict[str, str], body: bytes, command: StartConferenceRecording) -> None:
    request = replace(REQUEST, headers={**REQUEST.headers, **headers}, body=body)

    assert ROWS["start-conference-recording"].read(request, account()) == command


def wanted(limit: int = 20, offset: int = 0, **changes: Any) -> ListRecordings:
    return ListRecordings(
        account_id=ACCOUNT_ID, limit=limit, offset=offset, filter=RecordingFilter(**changes)
    )


@pytest.mark.parametrize(
    ("query", "command"),
    [
        ({}, wanted()),
        ({"limit": "100", "offset": "5", "cursor": "x", "unknown": "y"}, wanted(100, 5)),
        (
            {"call_uuid": "c", "conference_name": "a b", "conference_uuid": "u"},
            wanted(call_id="c", conference_name="a b", conference_id="u"),
        ),
        ({"from_number": "+1", "to_number": "2"}, wanted(caller="+1", called="2")),
        ({"recording_type": "conference"}, wanted(target=TargetKind.CONFERENCE)),
        ({"recording_type": "normal"}, wanted(target=TargetKind.CALL)),
        ({"recording_format": "wav"}, wanted(format=RecordingFormat.WAV)),
        (
            {"add_time__gte": "1970-01-01 00:00:01", "add_time__lt": "1970-01-01 00:00:02"},
            wanted(from_ms=1_000, to_ms=2_000),
        ),
        (
            {"recording_storage_duration__gte": "1"},
            wanted(to_ms=NOW_MS - 86_400_000 + 1),
        ),
    ],
)
def test_list(query: dict[str, str], command: ListRecordings) -> None:
    request = replace(REQUEST, method="GET", query=tuple(query.items()))

    assert ROWS["list-recordings"].read(request, account()) == command


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "many"},
        {"offset": "-1"},
        {"recording_type": "video"},
        {"recording_format": "ogg"},
        {"add_time__gt": "soon"},
        {"recording_storage_duration": "old"},
    ],
)
def test_a_bad_filter_is_refused(query: dict[str, str]) -> None:
    request = replace(REQUEST, method="GET", query=tuple(query.items()))

    with pytest.raises(Invalid) as caught:
        ROWS["list-recordings"].read(request, account())

    assert isinstance(caught.value, TapelineError)
    assert next(iter(query)) in str(caught.value)
