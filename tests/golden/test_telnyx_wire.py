"""What the Telnyx dialect answers and tells, as kept in `telnyx/*.json`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import VerifyKey
from telnyx import Telnyx
from tests.unit.api import things
from tests.unit.api.telnyx import support

from tapeline.api.dialects.telnyx.callbacks.seal import signature
from tapeline.domain import command as commands
from tapeline.domain import event as events
from tapeline.domain.call import CallQuality, CallState, Direction, EndCause, EndSource
from tapeline.domain.conference import ConferenceEnd, ConferenceState
from tapeline.domain.delivery import CallbackMessage, DeliveryState, Secrets
from tapeline.domain.event import Event
from tapeline.domain.id import EpochMs, EventId
from tapeline.domain.recording import (
    Layout,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Starter,
    TargetKind,
)
from tapeline.domain.transcript import TranscriptState

GOLDEN = Path(__file__).parent / "telnyx"
SEED = bytes(range(32))
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
SECRETS = Secrets(auth_token=things.TOKEN, signing_seed=SEED)
STATE = "aGVsbG8="
HEAD: dict[str, Any] = {
    "id": EventId("0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"),
    "at_ms": things.NOW_MS,
    "account": things.account(),
}


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


# answers


ENDED_ROOM = support.view(
    conference=support.conference(
        state=ConferenceState.COMPLETED,
        ended_at_ms=things.NOW_MS,
        end_reason=ConferenceEnd.TIME_LIMIT,
        expires_at_ms=things.NOW_MS,
        extras={"region": "US"},
    ),
    participants=(),
)
DUAL = support.recorded(
    target=TargetKind.CALL,
    conference_id=None,
    options=RecordingOptions(
        format=RecordingFormat.WAV, layout=Layout.OWN_REST, custom_name="my name"
    ),
    starter=Starter(dialect="telnyx", request_id="r", extras={"initiated_by": "OutboundAPI"}),
)
TUNED = support.application(
    fallback_url=None,
    extras={
        "active": "false",
        "inbound": '{"channel_limit": 3}',
        "webhook_api_version": '"1"',
        "webhook_timeout_secs": "5",
    },
)


@pytest.mark.parametrize(
    ("name", "method", "path", "body", "outcome"),
    [
        ("conference", "GET", "/conferences/c", b"", None),
        ("conference-ended", "GET", "/conferences/c", b"", (commands.GetConference, ENDED_ROOM)),
        (
            "conference-created",
            "POST",
            "/conferences",
            {"call_control_id": "x", "name": "x"},
            None,
        ),
        ("conferences", "GET", "/conferences", b"", None),
        ("participants", "GET", "/conferences/c/participants", b"", None),
        ("participant", "GET", "/conferences/c/participants/10", b"", None),
        ("done", "POST", "/conferences/c/actions/end", {}, None),
        ("record-started", "POST", "/conferences/c/actions/record_start", {"format": "mp3"}, None),
        ("call", "GET", "/calls/x", b"", None),
        (
            "call-ended",
            "GET",
            "/calls/x",
            b"",
            (
                commands.GetCall,
                support.call(
                    state=CallState.ENDED,
                    ended_at_ms=things.NOW_MS,
                    extras={"client_state": STATE},
                ),
            ),
        ),
        (
            "dialled",
            "POST",
            "/calls",
            {"connection_id": "7", "from": "a", "to": "sip:b@h"},
            (
                commands.CreateCall,
                support.call(state=CallState.DIALING, created_at_ms=things.NOW_MS),
            ),
        ),
        ("active-calls", "GET", "/connections/7/active_calls", b"", None),
        (
            "answered",
            "POST",
            "/calls/x/actions/answer",
            {"record": "record-from-answer"},
            None,
        ),
        ("application", "GET", "/call_control_applications/7", b"", None),
        (
            "application-tuned",
            "GET",
            "/call_control_applications/7",
            b"",
            (commands.GetApplication, TUNED),
        ),
        ("applications", "GET", "/call_control_applications", b"", None),
        ("recording", "GET", "/recordings/rec-1", b"", None),
        ("recording-dual", "GET", "/recordings/rec-1", b"", (commands.GetRecording, DUAL)),
        ("recordings", "GET", "/recordings", b"", None),
        ("recordings-deleted", "POST", "/recordings/actions/delete", {"ids": ["a"]}, None),
        ("transcription", "GET", "/recording_transcriptions/words-1", b"", None),
        ("transcription", "DELETE", "/recording_transcriptions/words-1", b"", None),
        (
            "transcription-pending",
            "GET",
            "/recording_transcriptions/words-1",
            b"",
            (
                commands.GetTranscript,
                support.transcript(
                    state=TranscriptState.PENDING, text="", duration_ms=0, finished_at_ms=None
                ),
            ),
        ),
        ("transcriptions", "GET", "/recording_transcriptions", b"", None),
        ("webhook-delivery", "GET", "/webhook_deliveries/delivery-1", b"", None),
        (
            "webhook-deliveries",
            "GET",
            "/webhook_deliveries?filter[event_type]=call.answered,call.hangup",
            b"",
            (
                commands.ListDeliveries,
                (support.delivery(state=DeliveryState.PENDING, finished_at_ms=None),),
            ),
        ),
    ],
)
async def test_answers(
    name: str, method: str, path: str, body: Any, outcome: tuple[type, Any] | None
) -> None:
    control = support.Obliging()
    if outcome is not None:
        control.outcomes[outcome[0]] = outcome[1]

    answer = await support.request(control, method, path, body)

    assert answer.status == (201 if name == "application-created" else 200)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == golden(name)


async def test_a_new_application_is_201() -> None:
    body = {"application_name": "Rooms", "webhook_event_url": "https://cust.example/hook"}

    answer = await support.request(support.Obliging(), "POST", "/call_control_applications", body)

    assert (answer.status, answer.json) == (201, golden("application"))


async def test_deleting_many_by_delete_has_no_answer() -> None:
    answer = await support.request(
        support.Obliging(), "DELETE", "/recordings/actions/delete", {"ids": ["a"]}
    )

    assert (answer.status, answer.body) == (204, b"")


# webhooks


def call_event(kind: type[events.CallEvent], **changes: Any) -> Event:
    more = {key: changes.pop(key) for key in ("other", "digit", "quality") if key in changes}
    changes = {"extras": {"client_state": STATE}, "headers": {"X-Team": "blue"}, **changes}
    return kind(**HEAD, call=support.call(**changes), application=support.application(), **more)


def ended_call() -> Event:
    return call_event(
        events.CallEnded,
        state=CallState.ENDED,
        ended_at_ms=things.NOW_MS,
        end_cause=EndCause.BUSY,
        end_source=EndSource.CALLEE,
        quality=CallQuality(
            mos=4.321,
            packets_received=500,
            packets_lost=3,
            packets_late=2,
            jitter_max_ms=7,
            packets_sent=510,
            remote_lost=1,
        ),
    )


def conference_event(kind: type[events.ConferenceEvent], **more: Any) -> Event:
    of_conference = more.pop("conference", support.conference(extras={"client_state": STATE}))
    return kind(
        **HEAD,
        conference=of_conference,
        creator=support.call(),
        application=support.application(),
        **more,
    )


def moved(kind: type[events.ParticipantEvent]) -> Event:
    return conference_event(
        kind,
        participant=things.participant(),
        call=support.call(id="call-2", session_id="session-2"),
    )


def saved(**changes: Any) -> events.RecordingFinished:
    recording = support.recording(**changes)
    is_call = recording.target is TargetKind.CALL
    return events.RecordingFinished(
        **HEAD,
        recording=recording,
        link=support.LINK,
        call=support.call(extras={"client_state": STATE}),
        application=support.application(),
        conference=None if is_call else support.conference(),
    )


def spoken() -> Event:
    finished = saved(target=TargetKind.CALL)
    return events.TranscriptFinished(
        **HEAD,
        recording=finished.recording,
        link=finished.link,
        call=finished.call,
        application=finished.application,
        transcript=support.transcript(),
    )


EVENTS = {
    "call.initiated": call_event(events.CallArrived, state=CallState.RINGING, answered_at_ms=None),
    "call.initiated-outgoing": call_event(
        events.CallDialled, state=CallState.DIALING, direction=Direction.OUTBOUND
    ),
    "call.answered": call_event(events.CallAnswered),
    "call.hangup": ended_call(),
    "call.hangup-unheard": replace(ended_call(), quality=None),
    "call.bridged": call_event(events.CallsBridged, other=support.call(id="call-2")),
    "call.dtmf.received": call_event(events.DigitReceived, digit="5"),
    "call.recording.saved": saved(target=TargetKind.CALL, conference_id=None),
    "call.recording.error": saved(
        target=TargetKind.CALL, state=RecordingState.FAILED, reason="the disk is full"
    ),
    "call.recording.transcription.saved": spoken(),
    "conference.created": conference_event(events.ConferenceCreated),
    "conference.ended": conference_event(
        events.ConferenceEnded,
        conference=support.conference(
            state=ConferenceState.COMPLETED, end_reason=ConferenceEnd.HOST_LEFT
        ),
    ),
    "conference.participant.joined": moved(events.ParticipantJoined),
    "conference.participant.left": moved(events.ParticipantLeft),
    "conference.recording.saved": saved(),
    "conference.recording.saved-dual": saved(
        options=RecordingOptions(
            format=RecordingFormat.WAV, layout=Layout.OWN_REST, custom_name="my name"
        ),
        starter=Starter(dialect="telnyx", request_id="r", extras={"client_state": "c3RvcA=="}),
    ),
}


def render(event: Event) -> CallbackMessage:
    message = support.TELNYX.render_event(event)
    assert message is not None
    return message


@pytest.mark.parametrize("name", EVENTS)
def test_webhooks(name: str) -> None:
    message = render(EVENTS[name])

    assert message.fields == golden(f"webhook-{name}")
    assert message.fields["data"]["event_type"] == name.partition("-")[0]  # type: ignore[index]
    assert (message.url, message.failover_url) == (
        "https://cust.example/hook",
        "https://cust.example/spare",
    )


@pytest.mark.parametrize("name", EVENTS)
def test_the_sdk_knows_each_webhook(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own check of the signature, and its own class for the event."""
    monkeypatch.setattr("time.time", lambda: things.NOW_MS / 1_000)
    sealed = support.TELNYX.seal(
        render(EVENTS[name]), 3, things.NOW_MS, SECRETS, lambda link: f"{link}?signature=s"
    )
    client = Telnyx(api_key="k", public_key=PUBLIC_KEY)

    received = client.webhooks.unwrap(sealed.body.decode(), headers=sealed.headers)

    words = name.partition("-")[0]
    wanted = "".join(word.title() for word in words.replace("_", ".").split("."))
    assert type(received).__name__ in {f"{wanted}WebhookEvent", f"{wanted}WebhookEvent1"} or (
        wanted == "CallDtmfReceived"
    )
    assert received.data.id == HEAD["id"]
    assert received.data.payload.connection_id == support.APP_ID
    assert received.meta == {"attempt": 3, "delivered_to": "https://cust.example/hook"}


@pytest.mark.parametrize(
    "event",
    [
        call_event(events.CallRinging),
        call_event(events.CallAnswered, dialect="other"),
        saved(state=RecordingState.FAILED, reason="x"),
        saved(starter=Starter(dialect="other", request_id="r")),
        conference_event(events.ConferenceEnded, conference=support.conference(dialect="other")),
        replace(call_event(events.CallAnswered), application=None),
    ],
)
def test_nobody_is_told_who_did_not_ask_here(event: Event) -> None:
    assert support.TELNYX.render_event(event) is None


# the seal


def test_the_signature_is_the_contracts_vector() -> None:
    body = (GOLDEN / "signed-body.txt").read_bytes()

    signed = signature(SEED, "1763700000", body)

    assert signed == (
        "656tYqL6LrQkUBo4Ce8Mmn1OLBzx9AUWx1MZbVp6Xk8k8Mq578M23YjLXYBXuTaBZbwR0x5xMzFtgji+u6ZXDA=="
    )


def test_what_belongs_to_an_attempt_is_made_at_it() -> None:
    message = render(EVENTS["conference.recording.saved"])

    sealed = [
        support.TELNYX.seal(
            replace(message, url=url),
            attempt,
            EpochMs(things.NOW_MS + later_ms),
            SECRETS,
            lambda link, later_ms=later_ms: f"{link}?at={later_ms}",  # type: ignore[misc]
        )
        for attempt, url, later_ms in (
            (1, "https://cust.example/hook", 0),
            (2, "https://cust.example/spare", 7_200_500),
        )
    ]

    contents = [json.loads(each.body) for each in sealed]
    assert contents[0]["data"]["id"] == contents[1]["data"]["id"]
    assert [each["meta"] for each in contents] == [
        {"attempt": 1, "delivered_to": "https://cust.example/hook"},
        {"attempt": 2, "delivered_to": "https://cust.example/spare"},
    ]
    assert [each["data"]["payload"]["recording_urls"] for each in contents] == [
        {"mp3": f"{support.LINK}?at=0"},
        {"mp3": f"{support.LINK}?at=7200500"},
    ]
    assert [each.headers["Telnyx-Timestamp"] for each in sealed] == ["1763700000", "1763707200"]
    assert message.link_life_s == 600
    for each in sealed:
        signed = f"{each.headers['Telnyx-Timestamp']}|".encode() + each.body
        raw = support.unbase64(each.headers["Telnyx-Signature-Ed25519"])
        assert VerifyKey(support.unbase64(PUBLIC_KEY)).verify(signed, raw) == signed
        assert each.headers["User-Agent"] == "telnyx-webhooks"
        assert each.headers["Content-Type"] == "application/json"
