"""What happened: one event per state change, stored in the same transaction.

An event carries the things as they stood after the change, so that whoever renders it needs
nothing else.
"""

from dataclasses import dataclass

from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call
from tapeline.domain.conference import Conference, Participant
from tapeline.domain.id import EpochMs, EventId
from tapeline.domain.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    id: EventId
    at_ms: EpochMs
    account: Account

    @property
    def name(self) -> str:
        """`recording_completed` for RecordingCompleted."""
        words = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in words).lstrip("_")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Event):
    call: Call
    application: Application | None = None


class CallArrived(CallEvent):
    pass


class CallAnswered(CallEvent):
    pass


class CallEnded(CallEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceEvent(Event):
    conference: Conference


class ConferenceStarted(ConferenceEvent):
    pass


class ConferenceEnded(ConferenceEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantEvent(ConferenceEvent):
    participant: Participant
    call: Call
    is_first: bool = False
    is_last: bool = False
    callback_url: str | None = None
    """Where the call program asked to be told, if it did."""
    callback_method: str = "POST"


class ParticipantJoined(ParticipantEvent):
    pass


class ParticipantLeft(ParticipantEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEvent(Event):
    recording: Recording
    link: str
    """The recording's address without a signature; its path never changes."""


class RecordingStarted(RecordingEvent):
    pass


class RecordingFinished(RecordingEvent):
    """Terminal: completed, failed or absent. The file, if any, can be read before this is sent."""


class RecordingDeleted(RecordingEvent):
    pass
