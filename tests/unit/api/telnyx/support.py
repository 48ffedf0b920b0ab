"""A control plane that does whatever it is asked, and remembers it; and things in its words."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.unit.api import things
from tests.unit.api.asgi import Answer, ask

from tapeline.api.app import App
from tapeline.api.dialect import find_dialects
from tapeline.domain import command as commands
from tapeline.domain.account import Account, Credentials
from tapeline.domain.application import Application
from tapeline.domain.call import Call
from tapeline.domain.command import Command, ConferenceView, ParticipantView, RecordingView
from tapeline.domain.conference import Conference
from tapeline.domain.delivery import (
    Attempt,
    CallbackMessage,
    Delivery,
    DeliveryState,
    Encoding,
    Failure,
)
from tapeline.domain.error import TapelineError, Unauthenticated
from tapeline.domain.id import (
    ApplicationId,
    CallId,
    DeliveryId,
    EpochMs,
    EventId,
    RecordingId,
    TranscriptId,
)
from tapeline.domain.recording import Recording, RecordingOptions, Starter
from tapeline.domain.transcript import Transcript, TranscriptState

TELNYX = find_dialects()["telnyx"]
ROWS = {row.name: row for row in TELNYX.operations}
KEY = "KEY0123"
APP_ID = ApplicationId("10000000000000001")
CALL_ID = "5b2e6f0e-6b1f-4f0a-9a53-0d5c8ba1f001"
CONTROL_ID = "v3:NWIyZTZmMGUtNmIxZi00ZjBhLTlhNTMtMGQ1YzhiYTFmMDAx"
LINK = "http://node/media/Account/A/Recording/rec-1.mp3"


def call(**changes: Any) -> Call:
    made = things.call(CALL_ID, dialect="telnyx", application_id=APP_ID)
    return replace(made, **changes)


def conference(**changes: Any) -> Conference:
    made = replace(things.conference(), dialect="telnyx", creator_call_id=CallId(CALL_ID))
    return replace(made, **changes)


def view(**changes: Any) -> ConferenceView:
    participant = things.participant(call_id=CallId(CALL_ID))
    made = ConferenceView(
        conference=conference(),
        participants=(ParticipantView(participant=participant, call=call()),),
        now_ms=things.NOW_MS,
        creator=call(),
    )
    return replace(made, **changes)


def recording(**changes: Any) -> Recording:
    made = things.recording(
        call_id=CallId(CALL_ID),
        starter=Starter(dialect="telnyx", request_id="api-1"),
        options=RecordingOptions(),
    )
    return replace(made, **changes)


def recorded(**changes: Any) -> RecordingView:
    return RecordingView(recording=recording(**changes), link=LINK, call=call())


def application(**changes: Any) -> Application:
    made = Application(
        id=APP_ID,
        account_id=things.ACCOUNT_ID,
        dialect="telnyx",
        name="Rooms",
        answer_url="https://cust.example/hook",
        fallback_url="https://cust.example/spare",
        created_at_ms=EpochMs(things.NOW_MS - 86_400_000),
    )
    return replace(made, **changes)


def transcript(**changes: Any) -> Transcript:
    made = Transcript(
        id=TranscriptId("words-1"),
        recording_id=RecordingId("rec-1"),
        account_id=things.ACCOUNT_ID,
        state=TranscriptState.DONE,
        text="good morning",
        duration_ms=12_345,
        created_at_ms=things.NOW_MS,
        finished_at_ms=EpochMs(things.NOW_MS + 1_500),
    )
    return replace(made, **changes)


def delivery(**changes: Any) -> commands.DeliveryView:
    message = CallbackMessage(
        url="https://cust.example/hook",
        method="POST",
        encoding=Encoding.JSON,
        fields={
            "data": {
                "record_type": "event",
                "event_type": "call.answered",
                "id": "event-1",
                "occurred_at": "2025-11-21T04:40:00.000000Z",
                "payload": {"call_leg_id": CALL_ID},
            }
        },
    )
    row = Delivery(
        id=DeliveryId("delivery-1"),
        event_id=EventId("event-1"),
        account_id=things.ACCOUNT_ID,
        dialect="telnyx",
        event_name="call_answered",
        message=message,
        state=DeliveryState.DELIVERED,
        attempts=2,
        next_attempt_at_ms=None,
        created_at_ms=things.NOW_MS,
        finished_at_ms=EpochMs(things.NOW_MS + 120),
    )
    first = Attempt(
        delivery_id=row.id,
        number=1,
        at_ms=things.NOW_MS,
        url=message.url,
        status=503,
        failure=Failure.SERVER_ERROR,
        reason="answered 503",
        duration_ms=40,
    )
    second = replace(
        first,
        number=2,
        at_ms=EpochMs(things.NOW_MS + 100),
        url="https://cust.example/spare",
        status=200,
        failure=None,
        reason=None,
        duration_ms=20,
    )
    return commands.DeliveryView(delivery=replace(row, **changes), attempts=(first, second))


class Obliging:
    """Every command succeeds with what `outcomes` has for its type, or raises it."""

    def __init__(self, **settings: Any) -> None:
        self.account = things.account(**settings)
        self.seen: list[Command[Any]] = []
        self.app: App | None = None
        done, member = commands.Done(), things.participant()
        self.outcomes: dict[type, Any] = {
            commands.CreateConference: view(),
            commands.ListConferences: (view(),),
            commands.GetConference: view(),
            commands.JoinCall: done,
            commands.LeaveCall: done,
            commands.SetParticipants: (member,),
            commands.EndConference: done,
            commands.PlayToConference: (member,),
            commands.StopPlayingToConference: (member,),
            commands.PlayToCall: done,
            commands.SendDigits: done,
            commands.SendDigitsToConference: (member,),
            commands.GatherDigits: done,
            commands.StopGathering: done,
            commands.BridgeCalls: done,
            commands.TransferToAddress: done,
            commands.SetCallRole: done,
            commands.StopPlayingToCall: done,
            commands.StartConferenceRecording: recorded(),
            commands.StopConferenceRecording: (RecordingId("rec-1"),),
            commands.PauseConferenceRecording: (RecordingId("rec-1"),),
            commands.StartCallRecording: recorded(),
            commands.StopCallRecording: (RecordingId("rec-1"),),
            commands.PauseCallRecording: (RecordingId("rec-1"),),
            commands.CreateCall: call(),
            commands.GetCall: call(),
            commands.ListCalls: (call(),),
            commands.AnswerCall: recorded(),
            commands.HangUpCall: done,
            commands.RejectCall: done,
            commands.UpdateCall: call(),
            commands.CreateApplication: application(),
            commands.ListApplications: (application(),),
            commands.GetApplication: application(),
            commands.UpdateApplication: application(),
            commands.DeleteApplication: application(),
            commands.ListRecordings: commands.RecordingPage(
                views=(recorded(),), total=1, limit=20, offset=0
            ),
            commands.GetRecording: recorded(),
            commands.DeleteRecording: recorded(),
            commands.DeleteRecordings: (RecordingId("rec-1"),),
            commands.ListTranscripts: (transcript(),),
            commands.GetTranscript: transcript(),
            commands.DeleteTranscript: transcript(),
            commands.ListDeliveries: (delivery(),),
        }

    async def execute(self, command: Command[Any]) -> Any:
        self.seen.append(command)
        outcome = self.outcomes[type(command)]
        if isinstance(outcome, TapelineError):
            raise outcome
        return outcome

    async def authenticate(self, credentials: Credentials) -> Account:
        if credentials.api_key != KEY:
            raise Unauthenticated
        return self.account

    @property
    def asked(self) -> Any:
        (command,) = self.seen
        return command


def app_of(control: Obliging) -> App:
    """This dialect alone; built once for each control."""
    if control.app is None:
        dialects = {TELNYX.name: TELNYX}
        control.app = things.make_app(control, dialects=dialects)  # type: ignore[arg-type]
    return control.app


async def request(
    control: Obliging,
    method: str,
    path: str,
    body: Mapping[str, Any] | bytes = b"",
) -> Answer:
    """Below `/v2`, as the account of `KEY`."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(app_of(control), method, f"/v2{path}", headers=headers, body=text)


def fault_of(answer: Answer) -> tuple[int, str, str | None]:
    """Status, code and pointer or parameter of the only error."""
    (error,) = answer.json["errors"]
    source = error.get("source", {})
    assert error["meta"]["url"].endswith(error["code"])
    assert error["title"]
    assert error["detail"]
    return answer.status, error["code"], source.get("pointer") or source.get("parameter")


def unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
