"""What happened: one event per state change, stored in the same transaction.

An event carries the things as they stood after the change, so that whoever renders it needs
nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallQuality
from tapeline.domain.conference import Conference, Participant
from tapeline.domain.gather import GatherOutcome
from tapeline.domain.id import EpochMs, EventId
from tapeline.domain.recording import Recording
from tapeline.domain.sound import SoundOutcome
from tapeline.domain.transcript import Transcript


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


class CallDialled(CallEvent):
    """A call to a phone is on its way."""


class CallRinging(CallEvent):
    """The phone that was dialled rings."""


class CallAnswered(CallEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallEvent):
    quality: CallQuality | None = None
    """None: it never had audio, or the node that had it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsBridged(CallEvent):
    """Two legs hear each other; `other` is the second."""

    other: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitReceived(CallEvent):
    """Not emitted while a recording of the call is paused."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsGathered(CallEvent):
    """A command has collected `digits`, which are withheld when a recording was paused."""

    digits: str
    outcome: GatherOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramToldCall(CallEvent):
    """A call program has something for a URL that its document named; `topic` and `extra` are in
    tapeline's words, which the dialect translates.
    """

    topic: str
    url: str
    method: str
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceEvent(Event):
    """`creator` is the first leg that joined, `application` what steers it."""

    conference: Conference
    creator: Call | None = None
    application: Application | None = None


class ConferenceCreated(ConferenceEvent):
    """There is a room; it may start later, or never."""


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
class SoundEvent(Event):
    """What a command plays is heard by `call`, or by everybody in `conference`; with both by that
    participant alone.
    """

    is_speech: bool
    url: str | None = None
    """Of the file; what is said is not in an event."""
    call: Call | None = None
    conference: Conference | None = None
    creator: Call | None = None
    application: Application | None = None
    """What steers the call, of a conference its creator's."""


class SoundStarted(SoundEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEnded(SoundEvent):
    outcome: SoundOutcome
    detail: str = ""
    """For people: why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEvent(Event):
    recording: Recording
    link: str
    """The recording's address without a signature; its path never changes."""
    call: Call | None = None
    """The recorded call; of a conference its creator's."""
    application: Application | None = None
    """What steers that call."""
    conference: Conference | None = None


class RecordingStarted(RecordingEvent):
    pass


class RecordingFinished(RecordingEvent):
    """Terminal: completed, failed or absent. The file, if any, can be read before this is sent."""


class RecordingMissed(RecordingEvent):
    """A policy wanted the call recorded, and it is not; `recording.reason` says why."""


class RecordingDeleted(RecordingEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFinished(RecordingEvent):
    """Terminal: done, refused or failed."""

    transcript: Transcript
