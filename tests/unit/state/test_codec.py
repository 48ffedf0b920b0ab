"""Whatever a thing holds comes back from its row: every field, so that none is forgotten."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract import stores

from tapeline.domain.account import AccountSettings, RecordingHabits
from tapeline.domain.delivery import CallbackMessage, Failure, RetryPolicy
from tapeline.domain.event import ParticipantJoined, TranscriptFinished
from tapeline.domain.id import EpochMs, EventId
from tapeline.domain.recording import HealthNote, Starter
from tapeline.state import codec

text = st.text(max_size=20)
words = st.dictionaries(text, text, max_size=3)
settings = st.builds(
    AccountSettings,
    link_life_s=st.integers(),
    keep_announcing=st.booleans(),
    webhook_url=st.none() | text,
    webhook_failover_url=st.none() | text,
    max_recordings_per_target=st.integers(),
    recording=st.builds(RecordingHabits, pause_limit_s=st.integers(), tracks=st.booleans()),
    dialect=st.dictionaries(text, words, max_size=2),
)
starters = st.builds(Starter, callback_url=st.none() | text, callback_method=text, extras=words)
retries = st.builds(
    RetryPolicy,
    connect_timeout_ms=st.integers(),
    read_timeout_ms=st.integers(),
    total_ms=st.integers(),
    waits_ms=st.lists(st.integers()).map(tuple),
    retry_on=st.frozensets(st.sampled_from(list(Failure))),
)
messages = st.builds(
    CallbackMessage,
    fields=st.dictionaries(text, st.none() | text | st.integers() | st.booleans()),
    link_fields=st.lists(text, max_size=2).map(tuple),
    failover_url=st.none() | text,
    retry=retries,
    announces_finished=st.booleans(),
    order_key=st.none() | text,
    extras=words,
)
notes = st.lists(
    st.builds(HealthNote, missing_ms=st.integers(), odd_ms=st.integers()), max_size=3
).map(tuple)


def there_and_back(encode: Callable[[Any], Any], decode: Callable[[Any], Any], value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value))))


@given(settings, starters, messages, notes)
def test_every_field_comes_back(
    chosen: AccountSettings,
    starter: Starter,
    message: CallbackMessage,
    health: tuple[HealthNote, ...],
) -> None:
    assert there_and_back(codec.encode_settings, codec.decode_settings, chosen) == chosen
    assert there_and_back(codec.encode_starter, codec.decode_starter, starter) == starter
    assert there_and_back(codec.encode_message, codec.decode_message, message) == message
    assert there_and_back(codec.encode_health, codec.decode_health, health) == health


def test_a_message_keeps_the_order_of_its_fields() -> None:
    message = replace(stores.message(), fields={"z": 1, "a": 2, "m": 3})

    back = there_and_back(codec.encode_message, codec.decode_message, message)

    assert list(back.fields) == ["z", "a", "m"]


def test_an_event_becomes_plain_json_without_its_account() -> None:
    event = ParticipantJoined(
        id=EventId("event-1"),
        at_ms=EpochMs(1),
        account=stores.account(),
        conference=stores.conference(),
        participant=stores.participant("1", "call-1", 5),
        call=stores.call(),
    )

    body = json.loads(json.dumps(codec.encode_event(event)))

    assert "account" not in body
    assert body["participant"]["state"] == "joined"
    assert stores.account().auth_token not in json.dumps(body)


@pytest.mark.parametrize("value", [stores.account(), b"seed", object(), {"x": stores.account()}])
def test_what_has_no_place_in_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        codec._plain(value)


def test_a_stored_event_has_no_words_of_a_transcript() -> None:
    transcript = replace(stores.transcript("transcript-1"), text="my card number is")
    event = TranscriptFinished(
        id=EventId("event-1"),
        at_ms=EpochMs(1),
        account=stores.account(),
        recording=stores.recording(),
        link="http://x/",
        transcript=transcript,
    )

    body = codec.encode_event(event)

    assert body["transcript"] == {**asdict(transcript), "text": ""}
