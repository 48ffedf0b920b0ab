"""The stores that the contract tests run over, and small domain objects to put into them."""

from dataclasses import replace
from pathlib import Path

from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState, Direction
from tapeline.domain.conference import (
    Conference,
    ConferenceState,
    Participant,
    ParticipantState,
)
from tapeline.domain.delivery import CallbackMessage, Delivery, DeliveryState, Encoding
from tapeline.domain.event import CallArrived, Event, RecordingFinished
from tapeline.domain.id import (
    AccountId,
    ApplicationId,
    CallId,
    ConferenceId,
    DeliveryId,
    EpochMs,
    EventId,
    MemberId,
    NodeId,
    RecordingId,
    TranscriptId,
)
from tapeline.domain.port import Transaction
from tapeline.domain.recording import (
    Recording,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Starter,
    TargetKind,
)
from tapeline.domain.transcript import Transcript, TranscriptState
from tapeline.state import SqlStore, Vault

VAULT = Vault(bytes(range(32)))
ACCOUNT_ID = AccountId("MA" + "A" * 18)
OTHER_ID = AccountId("MA" + "B" * 18)
NODE = NodeId("node-1")


async def open_sqlite(folder: Path, vault: Vault = VAULT) -> SqlStore:
    return await SqlStore.open(folder / "tapeline.db", vault)


def account(account_id: AccountId = ACCOUNT_ID) -> Account:
    return Account(
        id=account_id,
        name=f"Account {account_id}",
        auth_token="token-of-" + account_id,
        api_key_hash="hash-of-" + account_id,
        signing_seed=bytes(32),
        public_key="cHVibGlj",
        created_at_ms=EpochMs(1),
    )


def application(account_id: AccountId = ACCOUNT_ID) -> Application:
    return Application(
        id=ApplicationId("1" * 17),
        account_id=account_id,
        dialect="plain",
        name="Rooms",
        answer_document="<Response/>",
        created_at_ms=EpochMs(2),
    )


def call(call_id: str = "call-1", account_id: AccountId = ACCOUNT_ID) -> Call:
    return Call(
        id=CallId(call_id),
        account_id=account_id,
        application_id=None,
        dialect="plain",
        node_id=NODE,
        direction=Direction.INBOUND,
        caller="+1",
        caller_name="",
        called="room-1",
        session_id=call_id,
        state=CallState.RINGING,
        created_at_ms=EpochMs(3),
    )


def conference(
    conference_id: str = "conf-1", name: str = "Room", account_id: AccountId = ACCOUNT_ID
) -> Conference:
    return Conference(
        id=ConferenceId(conference_id),
        account_id=account_id,
        name=name,
        node_id=NODE,
        dialect="plain",
        state=ConferenceState.IN_PROGRESS,
        creator_call_id=CallId("call-1"),
        created_at_ms=EpochMs(4),
    )


def participant(member_id: str, call_id: str, joined_at_ms: int) -> Participant:
    return Participant(
        member_id=MemberId(member_id),
        conference_id=ConferenceId("conf-1"),
        call_id=CallId(call_id),
        state=ParticipantState.JOINED,
        joined_at_ms=EpochMs(joined_at_ms),
    )


def recording(
    recording_id: str = "rec-1",
    *,
    account_id: AccountId = ACCOUNT_ID,
    started_at_ms: int = 5,
    state: RecordingState = RecordingState.RECORDING,
) -> Recording:
    return Recording(
        id=RecordingId(recording_id),
        account_id=account_id,
        node_id=NODE,
        starter=Starter(dialect="plain", request_id="request-1"),
        target=TargetKind.CONFERENCE,
        call_id=CallId("call-1"),
        conference_id=ConferenceId("conf-1"),
        conference_name="Room",
        caller="+1",
        called="room-1",
        options=RecordingOptions(format=RecordingFormat.WAV),
        state=state,
        started_at_ms=EpochMs(started_at_ms),
        storage_key=f"recordings/{account_id}/2026/11/21/{recording_id}.wav",
    )


def transcript(
    transcript_id: str, recording_id: str = "rec-1", account_id: AccountId = ACCOUNT_ID
) -> Transcript:
    return Transcript(
        id=TranscriptId(transcript_id),
        recording_id=RecordingId(recording_id),
        account_id=account_id,
        state=TranscriptState.PENDING,
        duration_ms=61_000,
        rate=0.0095,
        created_at_ms=EpochMs(8),
    )


def arrived(event_id: str = "event-1", of: Account | None = None) -> Event:
    owner = of or account()
    return CallArrived(
        id=EventId(event_id), at_ms=EpochMs(6), account=owner, call=call(account_id=owner.id)
    )


def finished(event_id: str, of: Recording) -> RecordingFinished:
    return RecordingFinished(
        id=EventId(event_id), at_ms=EpochMs(7), account=account(), recording=of, link="http://x/"
    )


def message(url: str = "https://example.com/cb", order_key: str | None = None) -> CallbackMessage:
    return CallbackMessage(
        url=url,
        method="POST",
        encoding=Encoding.JSON,
        fields={"event": "hello", "n": 1},
        order_key=order_key,
    )


def delivery(
    delivery_id: str, *, due_at_ms: int | None, of: CallbackMessage | None = None
) -> Delivery:
    return Delivery(
        id=DeliveryId(delivery_id),
        event_id=EventId("event-1"),
        account_id=ACCOUNT_ID,
        dialect="plain",
        event_name="call_arrived",
        message=of or message(),
        state=DeliveryState.PENDING,
        attempts=0,
        next_attempt_at_ms=None if due_at_ms is None else EpochMs(due_at_ms),
        created_at_ms=EpochMs(8),
    )


def add_basics(tx: Transaction) -> None:
    """Two accounts, the first one's call and conference, and one event."""
    tx.accounts.add(account())
    tx.accounts.add(replace(account(OTHER_ID), signing_seed=b"\x01" * 32))
    tx.calls.add(call())
    tx.conferences.add(conference())
    tx.emit(arrived())
