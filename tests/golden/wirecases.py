"""What the account-style dialects' golden tests render: things, requests and a place to look."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.unit.api import things

from tapeline.api.dialect import CallMoment, Dialect, WireRequest
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command import (
    CallPage,
    ConferenceView,
    ParticipantView,
    RecordingPage,
    RecordingView,
    TranscriptView,
)
from tapeline.domain.delivery import OutgoingRequest, Secrets
from tapeline.domain.event import (
    CallEnded,
    CallRinging,
    ParticipantJoined,
    ParticipantLeft,
    ProgramToldCall,
    RecordingFinished,
    RecordingStarted,
    TranscriptFinished,
)
from tapeline.domain.id import ApplicationId, CallId, ConferenceId, EpochMs, EventId, TranscriptId
from tapeline.domain.recording import (
    RecordingOptions,
    RecordingState,
    Starter,
    TargetKind,
    TranscriptionRequest,
)
from tapeline.domain.transcript import Transcript, TranscriptState

LINK = "http://node/media/Account/A/Recording/rec-1.mp3"
SECRETS = Secrets(auth_token=things.TOKEN, signing_seed=bytes(32))
URL = "https://cust.example/done?c=1#rc=3"
CALL_TARGET: dict[str, Any] = {
    "target": TargetKind.CALL,
    "conference_id": None,
    "conference_name": None,
}


def golden(dialect: Dialect, name: str) -> Any:
    path = Path(__file__).parent / dialect.name / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def request(**changes: Any) -> WireRequest:
    params = {
        "auth_id": things.ACCOUNT_ID,
        "conference_name": "MyConf",
        "call_uuid": "call-1",
        "member_id": "10,15",
        "recording_id": "rec-1",
    }
    query = (("limit", "1"), ("conference_name", "MyConf"))
    return replace(
        WireRequest(
            method="GET",
            path="/",
            segments=(),
            params=params,
            query=query,
            headers={},
            body=b"",
            request_id="api-1",
            now_ms=things.NOW_MS,
        ),
        **changes,
    )


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
        state=RecordingState.RECORDING,
        ended_at_ms=None,
        sample_count=0,
        **CALL_TARGET,
    )
    return RecordingView(recording=row, link=LINK)


def page(offset: int = 0) -> RecordingPage:
    view = RecordingView(recording=things.recording(), link=LINK)
    return RecordingPage(views=(view,), total=3, limit=1, offset=offset)


def ended_call(**changes: Any) -> Call:
    parts: dict[str, Any] = {
        "state": CallState.ENDED,
        "ended_at_ms": things.NOW_MS,
        "end_cause": EndCause.NORMAL,
        "end_source": EndSource.CALLER,
        "headers": {"X-VH-Team": "blue", "X-PH-Team": "red", "X-Other": "no"},
    }
    return things.call(**{**parts, **changes})


def call_page(*calls: Call) -> CallPage:
    return CallPage(calls=calls, total=3, limit=1, offset=1)


def application(dialect: str, **changes: Any) -> Application:
    return replace(
        Application(
            id=ApplicationId("17"),
            account_id=things.ACCOUNT_ID,
            dialect=dialect,
            name="Rooms",
            answer_url="https://cust.example/answer",
            hangup_url="https://cust.example/bye",
            ring_url="https://cust.example/ring",
            created_at_ms=EpochMs(1),
        ),
        **changes,
    )


# events


def about(**more: Any) -> dict[str, Any]:
    return {
        "id": EventId("event-1"),
        "at_ms": things.NOW_MS,
        "account": things.account(transcription_rate=0.02),
        **more,
    }


def starter(dialect: str, **changes: Any) -> Starter:
    made = Starter(dialect=dialect, request_id="api-1", callback_url=URL)
    return replace(made, **changes)


def started(dialect: str, verb: str) -> RecordingStarted:
    recording = things.recording(
        starter=starter(dialect, extras={"verb": verb}),
        state=RecordingState.RECORDING,
        ended_at_ms=None,
        sample_count=0,
    )
    call = things.call(dialect=dialect)
    return RecordingStarted(**about(recording=recording, link=LINK, call=call))


def finished(dialect: str, verb: str | None = None, **changes: Any) -> RecordingFinished:
    extras = {} if verb is None else {"verb": verb}
    recording = things.recording(**{"starter": starter(dialect, extras=extras), **changes})
    call = things.call(dialect=dialect)
    return RecordingFinished(**about(recording=recording, link=LINK, call=call))


def transcribed(dialect: str, **changes: Any) -> TranscriptFinished:
    wanted = TranscriptionRequest(callback_url="https://cust.example/words#rt=9000")
    recording = things.recording(
        starter=starter(dialect), options=RecordingOptions(transcription=wanted)
    )
    made = Transcript(
        id=TranscriptId("t-1"),
        recording_id=recording.id,
        account_id=things.ACCOUNT_ID,
        state=TranscriptState.DONE,
        text="good morning",
        duration_ms=12_345,
        rate=0.02,
        created_at_ms=things.NOW_MS,
    )
    transcript = replace(made, **changes)
    return TranscriptFinished(**about(recording=recording, link=LINK, transcript=transcript))


def transcript_view() -> TranscriptView:
    event = transcribed("plain")
    return TranscriptView(transcript=event.transcript, recording=event.recording)


def joined(dialect: str, **changes: Any) -> ParticipantJoined:
    return ParticipantJoined(**_moved(dialect), is_first=True, **changes)


def left(dialect: str, **changes: Any) -> ParticipantLeft:
    return ParticipantLeft(**_moved(dialect), **changes)


def _moved(dialect: str) -> dict[str, Any]:
    return about(
        conference=things.conference(),
        participant=things.participant(),
        call=things.call(dialect=dialect),
        callback_url="https://cust.example/room",
    )


def told(dialect: str, topic: str, **extra: str) -> ProgramToldCall:
    return ProgramToldCall(
        **about(call=things.call(dialect=dialect), topic=topic, url=URL, method="POST", extra=extra)
    )


def rings(dialect: str) -> CallRinging:
    call = things.call(
        dialect=dialect,
        direction=Direction.OUTBOUND,
        state=CallState.RINGING,
        answered_at_ms=None,
    )
    return CallRinging(**about(call=call, application=application(dialect)))


def ended(dialect: str) -> CallEnded:
    return CallEnded(**about(call=ended_call(dialect=dialect), application=application(dialect)))


# questions


def moment(event: str = "start", **extra: str) -> CallMoment:
    call = things.call(state=CallState.RINGING, answered_at_ms=None)
    return CallMoment(event=event, call=call, extra=extra)


IN_ROOM = {
    "verb": "conference",
    "conference_name": "MyConf",
    "conference_id": ConferenceId("conf-1"),
    "member_id": "10",
    "recording_id": "rec-1",
    "record_url": LINK,
}
RECORDED = {
    "verb": "record",
    "recording_id": "rec-1",
    "record_url": LINK,
    "recording_duration": "12",
    "recording_duration_ms": "12345",
    "recording_start_ms": "1763613600000",
    "recording_end_ms": "1763613612345",
    "digits": "#",
    "end_reason": "finish_key",
}
DIALLED = {
    "verb": "dial",
    "dial_status": "completed",
    "dial_ring_status": "true",
    "dial_hangup_cause": "normal",
    "dial_aleg_id": CallId("call-1"),
    "dial_bleg_id": CallId("call-2"),
}
LEG = {
    "dial_aleg_id": CallId("call-1"),
    "dial_bleg_id": CallId("call-2"),
    "dial_bleg_status": "answered",
    "dial_bleg_from": "+15551230000",
    "dial_bleg_to": "sip:b@h",
    "dial_bleg_position": "1",
}
LEG_END = {
    "dial_bleg_duration": "9",
    "dial_bleg_bill_duration": "7",
    "dial_hangup_cause": "normal",
    "dial_hangup_source": "callee",
}
MATCHED = {
    "conference_name": "MyConf",
    "conference_id": "conf-1",
    "member_id": "10",
    "digits": "42",
}
KEYED = {"verb": "digits", "digits": "42"}


def fields_of(sent: OutgoingRequest) -> dict[str, str]:
    return dict(parse_qsl(sent.body.decode(), keep_blank_values=True))
