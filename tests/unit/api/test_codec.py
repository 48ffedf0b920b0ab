"""Domain values as JSON and back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.api import things

from tapeline.api.codec import (
    CodecError,
    command_kinds,
    decode,
    decode_command,
    encode,
    encode_command,
    outcome_kind,
)
from tapeline.domain.account import Account, LinkPolicy
from tapeline.domain.command import (
    AccountCreated,
    Command,
    ConferenceRef,
    ConferenceView,
    CreateAccount,
    DeliveryView,
    Done,
    ListDeliveries,
    ListRecordings,
    ParticipantView,
    RecordingFilter,
    RecordingView,
    SetAccount,
    StartConferenceRecording,
)
from tapeline.domain.delivery import (
    Attempt,
    CallbackMessage,
    Delivery,
    DeliveryState,
    Encoding,
    Failure,
)
from tapeline.domain.id import DeliveryId, EpochMs, EventId
from tapeline.domain.recording import (
    Health,
    HealthNote,
    RecordingFormat,
    RecordingOptions,
    Starter,
    TargetKind,
)
from tapeline.domain.signal import LegLevels

COMMANDS: list[Command[Any]] = [
    CreateAccount(name="Zoë"),
    SetAccount(account_id=things.ACCOUNT_ID, dialect_settings={"vobiz.vobiz_v3": "sdk"}),
    StartConferenceRecording(
        conference=ConferenceRef(account_id=things.ACCOUNT_ID, name="a/b"),
        starter=Starter(dialect="vobiz", request_id="r", extras={"k": "v"}),
        options=RecordingOptions(format=RecordingFormat.WAV),
    ),
    ListRecordings(
        filter=RecordingFilter(target=TargetKind.CONFERENCE, from_ms=EpochMs(5)), limit=3
    ),
]

LEVELS = LegLevels(
    packets_received=1,
    packets_sent=2,
    packets_lost=3,
    packets_late=4,
    frames_concealed=5,
    remote_lost=7,
    jitter_ms=8,
    round_trip_ms=9.5,
    mos=None,
    buffer_delay_ms=6,
    level_rx_db=-20.5,
    level_tx_db=-90,
)
DELIVERY = DeliveryView(
    delivery=Delivery(
        id=DeliveryId("d"),
        event_id=EventId("e"),
        account_id=things.ACCOUNT_ID,
        dialect="vobiz",
        event_name="recording_finished",
        message=CallbackMessage(
            url="http://h/", method="POST", encoding=Encoding.JSON, fields={"a": 1, "b": "c"}
        ),
        state=DeliveryState.PENDING,
        attempts=1,
        next_attempt_at_ms=None,
        created_at_ms=EpochMs(1),
    ),
    attempts=(
        Attempt(
            delivery_id=DeliveryId("d"),
            number=1,
            at_ms=EpochMs(2),
            url="http://h/",
            status=None,
            failure=Failure.READ_TIMEOUT,
            reason="slow",
            duration_ms=3,
        ),
    ),
)
NOTE = HealthNote(flag=Health.DEGRADED, reason="late", missing_ms=40)
VALUES: list[tuple[Any, Any]] = [
    (Account, things.account(link_policy=LinkPolicy.AUTH, dialect={"vobiz": {"a": "b"}})),
    (AccountCreated, AccountCreated(account=things.account(), auth_token="t", api_key="k")),
    (
        tuple[ConferenceView, ...],
        (
            ConferenceView(
                conference=things.conference(),
                participants=(
                    ParticipantView(
                        participant=things.participant(), call=things.call(), levels=LEVELS
                    ),
                ),
                now_ms=things.NOW_MS,
            ),
        ),
    ),
    (RecordingView, RecordingView(recording=things.recording(health=(NOTE,)), link="http://l")),
    (tuple[DeliveryView, ...], (DELIVERY,)),
    (Done, Done()),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_come_back_as_they_went(command: Command[Any]) -> None:
    assert decode_command(json.loads(json.dumps(encode_command(command)))) == command


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_outcomes_come_back_as_they_went(kind: Any, value: Any) -> None:
    assert decode(kind, json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize("name", sorted(command_kinds()))
def test_every_command_says_its_outcome(name: str) -> None:
    assert outcome_kind(command_kinds()[name]) is not None


def test_an_outcome_named_in_quotes_is_found() -> None:
    assert outcome_kind(ListDeliveries) == tuple[DeliveryView, ...]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "expected an object"),
        ({"type": "Explode"}, "'Explode' is no command"),
        ({"type": "Command"}, "is no command"),
        ({"type": "CreateAccount"}, "fields: "),
        ({"type": "CreateAccount", "fields": {"name": 5}}, "fields.name: expected str, not int"),
        ({"type": "CreateAccount", "fields": {"name": "x", "root": 1}}, "fields.root"),
        ({"type": "CreateAccount", "fields": []}, "fields: expected an object"),
        (
            {
                "type": "ListRecordings",
                "fields": {"filter": {"type": "RecordingFilter", "format": "ogg"}},
            },
            "fields.filter.format: 'ogg' is no RecordingFormat",
        ),
        ({"type": "ListRecordings", "fields": {"limit": True}}, "expected int, not bool"),
        ({"type": "ListRecordings", "fields": {"filter": {"type": "Account"}}}, "is no Recording"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(body: Any, said: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode_command(body)

    assert said in str(caught.value)


def test_mappings_keep_their_kinds() -> None:
    value = {"call-1": LEVELS}

    assert decode(Mapping[str, LegLevels], encode(value)) == value
