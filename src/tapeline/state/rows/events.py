"""Rows of events: what happened, without the account's secrets, in the order it happened."""

import sqlalchemy as sa

from tapeline.domain.event import (
    CallEvent,
    ConferenceEvent,
    Event,
    ParticipantEvent,
    RecordingEvent,
    SoundEvent,
)
from tapeline.state.codec import encode_event
from tapeline.state.rows.base import Rows
from tapeline.state.schema import events

_INSERT = events.insert()


class EventRows(Rows):
    def add(self, event: Event) -> None:
        self._insert(
            _INSERT,
            {
                "id": event.id,
                "account_id": event.account.id,
                "name": event.name,
                "at_ms": event.at_ms,
                "call_id": _call_id(event),
                "conference_id": _conference_id(event),
                "recording_id": event.recording.id if isinstance(event, RecordingEvent) else None,
                "body": encode_event(event),
            },
        )

    def names(self) -> list[str]:
        """All events' names, oldest first."""
        statement = sa.select(events.c.name).order_by(events.c.seq)
        return [row.name for row in self._all(statement)]


def _call_id(event: Event) -> str | None:
    match event:
        case CallEvent() | ParticipantEvent():
            return event.call.id
        case SoundEvent():
            return None if event.call is None else event.call.id
        case RecordingEvent():
            return event.recording.call_id
    return None


def _conference_id(event: Event) -> str | None:
    match event:
        case ConferenceEvent():
            return event.conference.id
        case SoundEvent():
            return None if event.conference is None else event.conference.id
        case RecordingEvent():
            return event.recording.conference_id
    return None
