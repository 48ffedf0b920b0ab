"""What the Plivo dialect answers and tells, byte for byte as kept in `plivo/*.json`."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.golden import wirecases as cases
from tests.golden.wirecases import URL, finished, golden, joined, request, starter
from tests.unit.api import things

from tapeline.api.dialect import CallMoment, find_dialects
from tapeline.domain.call import CallState, Direction
from tapeline.domain.event import Event
from tapeline.domain.recording import Health, HealthNote, RecordingEnd, RecordingState
from tapeline.domain.transcript import TranscriptLimit, TranscriptState

PLIVO = find_dialects()["plivo"]
NAME = "plivo"
ROWS = {row.name: row for row in PLIVO.operations}
DONE = "https://cust.example/done?c=1"
LIVE = (("status", "live"),)


@pytest.mark.parametrize(
    ("name", "operation", "outcome", "status", "query"),
    [
        ("conference-started", "start-conference-recording", cases.running(), 202, ()),
        ("call-started", "start-call-recording", cases.running(), 202, ()),
        ("conferences", "list-conferences", (cases.room(),), 200, ()),
        ("conference", "get-conference", cases.room(), 200, ()),
        ("kicked", "kick-member", (), 202, ()),
        ("muted", "mute-member", (), 202, ()),
        ("deaf", "deafen-member", (), 202, ()),
        ("recordings-first-page", "list-recordings", cases.page(), 200, (("limit", "1"),)),
        ("recordings-last-page", "list-recordings", cases.page(2), 200, (("limit", "1"),)),
        ("recording", "get-recording", cases.page().views[0], 200, ()),
        ("recording-of-a-running-call", "get-recording", cases.running(), 200, ()),
        ("call-fired", "create-call", things.call(state=CallState.DIALING), 201, ()),
        ("live-calls", "list-calls", cases.call_page(things.call()), 200, LIVE),
        ("live-call", "get-call", things.call(direction=Direction.OUTBOUND), 200, LIVE),
        (
            "queued-call",
            "get-call",
            things.call(state=CallState.QUEUED),
            200,
            (("status", "queued"),),
        ),
        ("call-records", "list-calls", cases.call_page(cases.ended_call()), 200, ()),
        ("call-record", "get-call", cases.ended_call(), 200, ()),
        ("transferred", "transfer-call", things.call(), 202, ()),
        ("transcribing", "transcribe-recording", cases.transcript_view().transcript, 201, ()),
        ("transcript", "get-transcription", cases.transcript_view(), 200, ()),
        ("transcript-deleted", "delete-transcription", (), 202, ()),
        ("application-created", "create-application", cases.application(NAME), 201, ()),
        ("application", "get-application", cases.application(NAME), 200, ()),
        ("applications", "list-applications", (cases.application(NAME),) * 3, 200, ()),
        ("application-changed", "update-application", cases.application(NAME), 202, ()),
    ],
)
def test_answers(name: str, operation: str, outcome: Any, status: int, query: Any) -> None:
    answer = ROWS[operation].write(outcome, request(query=query), things.account())

    assert answer.status == status
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == golden(PLIVO, name)


@pytest.mark.parametrize("row", [row for row in PLIVO.operations if 204 in row.responses])
def test_what_is_deleted_is_204_without_a_body(row: Any) -> None:
    answer = row.write((), request(), things.account())

    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    ("name", "event", "url"),
    [
        ("callback-conference-recording", finished(NAME), DONE),
        (
            "callback-call-recording",
            finished(NAME, **cases.CALL_TARGET),
            DONE,
        ),
        (
            "callback-recording-absent",
            finished(NAME, state=RecordingState.ABSENT, reason="nothing was heard", sample_count=0),
            DONE,
        ),
        (
            "callback-recording-degraded",
            finished(NAME, health=(HealthNote(flag=Health.DEGRADED, reason="late"),)),
            DONE,
        ),
        (
            "callback-record-verb",
            finished(NAME, "record", end_reason=RecordingEnd.SILENCE_LIMIT, **cases.CALL_TARGET),
            DONE,
        ),
        (
            "callback-conference-verb-start",
            cases.started(NAME, "conference"),
            DONE,
        ),
        (
            "callback-conference-verb-end",
            finished(NAME, "conference"),
            DONE,
        ),
        ("callback-transcript", cases.transcribed(NAME), "https://cust.example/words"),
        ("callback-enter", joined(NAME), "https://cust.example/room"),
        ("callback-exit", cases.left(NAME), "https://cust.example/room"),
        ("told-answer", cases.told(NAME, "dial_answer", **cases.LEG), DONE),
        ("told-connected", cases.told(NAME, "dial_connected", **cases.LEG), DONE),
        ("told-hangup", cases.told(NAME, "dial_hangup", **cases.LEG, **cases.LEG_END), DONE),
        ("told-digits", cases.told(NAME, "conference_digits", **cases.MATCHED), DONE),
        ("told-record-action", cases.told(NAME, "action", **cases.RECORDED), DONE),
        ("callback-ring", cases.rings(NAME), "https://cust.example/ring"),
        ("callback-hangup", cases.ended(NAME), "https://cust.example/bye"),
    ],
)
def test_callbacks(name: str, event: Event, url: str) -> None:
    message = PLIVO.render_event(event)

    assert message is not None
    assert (message.encoding.value, message.url, message.method) == ("form", url, "POST")
    assert message.fields == golden(PLIVO, name)


@pytest.mark.parametrize(
    ("changes", "error", "charge"),
    [
        ({}, "", 0.02),
        (
            {"state": TranscriptState.REFUSED, "limit": TranscriptLimit.TOO_LONG, "text": ""},
            "Recording duration too long for transcription",
            0.0,
        ),
        (
            {"state": TranscriptState.REFUSED, "limit": TranscriptLimit.TOO_LARGE, "text": ""},
            "Recording file size too large for transcription",
            0.0,
        ),
        ({"state": TranscriptState.FAILED, "reason": "no model", "text": ""}, "no model", 0.0),
    ],
)
def test_why_there_is_no_transcript(changes: Any, error: str, charge: float) -> None:
    message = PLIVO.render_event(cases.transcribed(NAME, **changes))

    assert message is not None
    assert message.fields["error"] == error
    assert message.fields["transcription_charge"] == charge


def test_a_finished_recording_is_announced_until_it_is_heard() -> None:
    message = PLIVO.render_event(finished(NAME))

    assert message is not None
    assert message.announces_finished
    assert message.order_key == "rec-1"
    assert message.retry.waits_ms == (1_000, 2_000, 4_000)


@pytest.mark.parametrize(
    "event",
    [
        finished(NAME, starter=starter(NAME, callback_url=None)),
        finished("other"),
        cases.started(NAME, "record"),
        cases.started("other", "conference"),
        cases.transcribed("other"),
        replace(cases.ended(NAME), application=None),
        replace(cases.rings(NAME), application=cases.application(NAME, ring_url=None)),
        cases.ended("other"),
        cases.told("other", "dial_answer"),
        cases.told(NAME, "weather"),
        replace(joined(NAME), callback_url=None),
    ],
)
def test_nobody_is_told_who_did_not_ask_here(event: Event) -> None:
    assert PLIVO.render_event(event) is None


def test_the_account_may_have_all_fields_as_json_in_one() -> None:
    account = things.account(dialect={NAME: {"response_field": "true"}})
    message = PLIVO.render_event(replace(finished(NAME), account=account))
    assert message is not None

    sealed = PLIVO.seal(message, 1, things.NOW_MS, cases.SECRETS, lambda link: f"{link}?s=1")

    fields = cases.fields_of(sealed)
    inner = json.loads(fields.pop("response"))
    assert {key: str(value) for key, value in inner.items()} == fields
    assert inner["record_url"].endswith("?s=1")


@pytest.mark.parametrize("facts", [{}, {"end_reason": ""}, {"dial_hangup_cause": ""}])
def test_what_is_not_known_is_empty(facts: dict[str, str]) -> None:
    asked = cases.moment("action", verb="record", **facts)

    sent, _ = PLIVO.answers.ask(URL, "POST", asked, things.account(), things.NOW_MS, cases.SECRETS)

    assert cases.fields_of(sent)["Event"] == "Record"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("ask-start", cases.moment()),
        ("ask-redirect", cases.moment("redirect")),
        ("ask-transfer", cases.moment("transfer")),
        ("ask-conference-action", cases.moment("action", **cases.IN_ROOM)),
        ("ask-record-action", cases.moment("action", **cases.RECORDED)),
        ("ask-dial-action", cases.moment("action", **cases.DIALLED)),
        ("ask-digits-action", cases.moment("action", **cases.KEYED)),
    ],
)
def test_questions(name: str, asked: CallMoment) -> None:
    sent, retry = PLIVO.answers.ask(
        URL, "POST", asked, things.account(), things.NOW_MS, cases.SECRETS
    )

    assert sent.url == DONE
    assert cases.fields_of(sent) == golden(PLIVO, name)
    assert retry.waits_ms == (1_000, 2_000, 4_000)
