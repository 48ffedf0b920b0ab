"""What the Vobiz dialect answers and tells, byte for byte as kept in `vobiz/*.json`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.unit.api import things

from tapeline.api.dialect import CallMoment, WireRequest, find_dialects
from tapeline.domain.application import Application
from tapeline.domain.call import CallState, Direction, EndCause, EndSource
from tapeline.domain.command import ConferenceView, ParticipantView, RecordingPage, RecordingView
from tapeline.domain.delivery import CallbackMessage, Secrets
from tapeline.domain.event import (
    CallEnded,
    Event,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFinished,
)
from tapeline.domain.id import ApplicationId, EpochMs, EventId
from tapeline.domain.recording import Health, HealthNote, RecordingState, Starter

GOLDEN = Path(__file__).parent / "vobiz"
VOBIZ = find_dialects()["vobiz"]
ROWS = {row.name: row for row in VOBIZ.operations}
LINK = "http://node/media/Account/A/Recording/rec-1.mp3"
SECRETS = Secrets(auth_token=things.TOKEN, signing_seed=bytes(32))


def request(**changes: Any) -> WireRequest:
    return replace(
        WireRequest(
            method="GET",
            path="/",
            segments=(),
            params={"auth_id": things.ACCOUNT_ID},
            query=(("limit", "1"), ("conference_name", "MyConf")),
            headers={},
            body=b"",
            request_id="api-1",
            now_ms=things.NOW_MS,
        ),
        **changes,
    )


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def room() -> ConferenceView:
    outbound = things.call("call-2", direction=Direction.OUTBOUND, caller="7001", caller_name="")
    late = things.participant(
        member_id="11", muted=False, deaf=True, joined_at_ms=things.NOW_MS - 999
    )
    return ConferenceView(
        conference=things.conference(),
        participants=(
            ParticipantView(participant=things.participant(), call=things.call()),
            ParticipantView(participant=late, call=outbound),
        ),
        now_ms=things.NOW_MS,
    )


def running() -> RecordingView:
    row = things.recording(
        state=RecordingState.RECORDING, ended_at_ms=None, sample_count=0, conference_name=None
    )
    return RecordingView(recording=row, link=LINK)


def page(offset: int = 0) -> RecordingPage:
    view = RecordingView(recording=things.recording(), link=LINK)
    return RecordingPage(views=(view,), total=3, limit=1, offset=offset)


@pytest.mark.parametrize(
    ("name", "operation", "outcome", "status"),
    [
        ("started", "start-conference-recording", running(), 200),
        ("conferences", "list-conferences", (room(),), 200),
        ("no-conferences", "list-conferences", (), 200),
        ("conference", "get-conference", room(), 200),
        ("recordings-first-page", "list-recordings", page(), 200),
        ("recordings-last-page", "list-recordings", page(offset=2), 200),
        ("recording", "get-recording", page().views[0], 200),
        ("recording-running", "get-recording", running(), 200),
    ],
)
def test_answers(name: str, operation: str, outcome: Any, status: int) -> None:
    answer = ROWS[operation].write(outcome, request(), things.account())

    assert answer.status == status
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == golden(name)


@pytest.mark.parametrize("operation", ["stop-conference-recording", "delete-recording"])
def test_what_is_done_is_204_without_a_body(operation: str) -> None:
    answer = ROWS[operation].write((), request(), things.account())

    assert (answer.status, answer.body) == (204, b"")


# callbacks


def finished(**changes: Any) -> RecordingFinished:
    starter = Starter(
        dialect="vobiz", request_id="api-1", callback_url="https://cust.example/done?c=1#rc=3"
    )
    changes = {"starter": starter, **changes}
    return RecordingFinished(
        id=EventId("event-1"),
        at_ms=things.NOW_MS,
        account=things.account(),
        recording=things.recording(**changes),
        link=LINK,
    )


def moved(kind: type[ParticipantJoined | ParticipantLeft], **changes: Any) -> Event:
    return kind(
        id=EventId("event-2"),
        at_ms=things.NOW_MS,
        account=things.account(),
        conference=things.conference(),
        participant=things.participant(),
        call=things.call(),
        callback_url="https://cust.example/room",
        **changes,
    )


def ended() -> CallEnded:
    application = Application(
        id=ApplicationId("1"),
        account_id=things.ACCOUNT_ID,
        dialect="vobiz",
        name="Rooms",
        hangup_url="https://cust.example/bye",
        created_at_ms=EpochMs(1),
    )
    call = things.call(
        state=CallState.ENDED,
        ended_at_ms=things.NOW_MS,
        end_cause=EndCause.NORMAL,
        end_source=EndSource.CALLER,
        headers={"X-VH-Team": "blue", "X-Other": "no"},
    )
    return CallEnded(
        id=EventId("event-3"),
        at_ms=things.NOW_MS,
        account=things.account(),
        call=call,
        application=application,
    )


DEGRADED = (
    HealthNote(flag=Health.RECOVERED, reason="node lost"),
    HealthNote(flag=Health.DEGRADED, reason="late ticks", missing_ms=40),
)


def render(event: Event) -> CallbackMessage:
    message = VOBIZ.render_event(event)
    assert message is not None
    return message


@pytest.mark.parametrize(
    ("name", "event", "encoding", "url"),
    [
        ("callback-recording", finished(), "json", "https://cust.example/done?c=1"),
        (
            "callback-recording-degraded",
            finished(health=DEGRADED),
            "json",
            "https://cust.example/done?c=1",
        ),
        (
            "callback-recording-absent",
            finished(
                state=RecordingState.ABSENT, reason="nothing was heard", sample_count=0, health=()
            ),
            "json",
            "https://cust.example/done?c=1",
        ),
        (
            "callback-enter",
            moved(ParticipantJoined, is_first=True),
            "form",
            "https://cust.example/room",
        ),
        ("callback-exit", moved(ParticipantLeft), "form", "https://cust.example/room"),
        ("callback-hangup", ended(), "form", "https://cust.example/bye"),
    ],
)
def test_callbacks(name: str, event: Event, encoding: str, url: str) -> None:
    message = render(event)

    assert (message.encoding.value, message.url, message.method) == (encoding, url, "POST")
    assert message.fields == golden(name)


def test_a_finished_recording_is_announced_until_it_is_heard() -> None:
    message = render(finished())

    assert message.announces_finished
    assert message.order_key == "rec-1"
    assert message.retry.waits_ms == (1_000, 2_000, 4_000)


@pytest.mark.parametrize(
    "event",
    [
        finished(starter=Starter(dialect="vobiz", request_id="r")),
        finished(
            starter=Starter(dialect="other", request_id="r", callback_url="https://h/", extras={})
        ),
        replace(ended(), application=None),
        replace(ended(), call=things.call(dialect="other")),
        replace(moved(ParticipantJoined), callback_url=None),
    ],
)
def test_nobody_is_told_who_did_not_ask_here(event: Event) -> None:
    assert VOBIZ.render_event(event) is None


@pytest.mark.parametrize(
    ("choice", "event", "encoding"),
    [
        ("form", finished(), "form"),
        ("json", finished(), "json"),
        ("json", ended(), "json"),
        ("documented", ended(), "form"),
    ],
)
def test_the_account_chooses_the_encoding(choice: str, event: Event, encoding: str) -> None:
    account = things.account(dialect={"vobiz": {"callback_encoding": choice}})

    assert render(replace(event, account=account)).encoding.value == encoding


def test_get_callbacks_have_their_fields_in_the_query() -> None:
    starter = Starter(
        dialect="vobiz",
        request_id="api-1",
        callback_url="https://cust.example/done?c=1",
        callback_method="GET",
    )
    message = render(finished(starter=starter))

    sealed = VOBIZ.seal(message, 1, things.NOW_MS, SECRETS, lambda link: f"{link}?signature=s")

    assert (sealed.method, sealed.body) == ("GET", b"")
    query = dict(parse_qsl(sealed.url.partition("?")[2]))
    assert query["c"] == "1"
    assert query["recording_url"] == f"{LINK}?signature=s"
    assert query["recording_duration"] == "12"


# questions


def moment(event: str = "start", **extra: str) -> CallMoment:
    call = things.call(state=CallState.RINGING, answered_at_ms=None)
    return CallMoment(event=event, call=call, extra=extra)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("ask-start", moment()),
        ("ask-redirect", moment("redirect")),
        (
            "ask-action",
            moment("action", conference_name="MyConf", conference_id="conf-1", member_id="10"),
        ),
    ],
)
def test_questions(name: str, asked: CallMoment) -> None:
    request_, retry = VOBIZ.answers.ask(
        "https://cust.example/answer#rt=3000",
        "POST",
        asked,
        things.account(),
        things.NOW_MS,
        SECRETS,
    )

    assert request_.url == "https://cust.example/answer"
    assert request_.headers["Content-Type"] == "application/x-www-form-urlencoded"
    fields = dict(parse_qsl(request_.body.decode(), keep_blank_values=True))
    assert fields == golden(name)
    assert retry.read_timeout_ms == 3_000
