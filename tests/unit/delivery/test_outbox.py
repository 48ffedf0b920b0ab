"""In whose words an event is told."""

from dataclasses import replace

import pytest
from tests.contract import stores

from tapeline.delivery.outbox import concerned_dialects
from tapeline.domain.event import ConferenceStarted, Event, ParticipantJoined
from tapeline.domain.id import EpochMs, EventId

HEAD = {"id": EventId("event-1"), "at_ms": EpochMs(1), "account": stores.account()}
CONFERENCE = replace(stores.conference(), dialect="made")


def joined(dialect: str) -> Event:
    return ParticipantJoined(
        **HEAD,
        conference=CONFERENCE,
        participant=stores.participant("10", "call-1", 5),
        call=replace(stores.call(), dialect=dialect),
    )


@pytest.mark.parametrize(
    ("event", "dialects"),
    [
        (stores.finished("event-1", stores.recording()), ("plain",)),
        (stores.arrived(), (stores.call().dialect,)),
        (ConferenceStarted(**HEAD, conference=CONFERENCE), ("made",)),
        (joined("made"), ("made",)),
        (joined("other"), ("other", "made")),
    ],
)
def test_who_is_told(event: Event, dialects: tuple[str, ...]) -> None:
    assert concerned_dialects(event) == dialects
