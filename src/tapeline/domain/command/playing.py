"""What calls and conferences are to hear: files, speech, digits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.command.base import Command, Done
from tapeline.domain.command.conferences import ConferenceRef, Members
from tapeline.domain.conference import Participant
from tapeline.domain.gather import GatherRules
from tapeline.domain.id import AccountId, CallId
from tapeline.domain.sound import Keys, Sound, SoundUse

Participants = tuple[Participant, ...]


class Legs(StrEnum):
    """Of a call that is connected to another one."""

    OWN = "own"
    OTHER = "other"
    BOTH = "both"


class Before(StrEnum):
    """What becomes of what is heard, or waits to be heard, there already."""

    KEPT = "kept"
    """The new one waits behind it."""
    CURRENT_STOPS = "current_stops"
    ALL_STOPS = "all_stops"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Sounds that follow each other, and how they are heard."""

    sounds: tuple[Sound, ...]
    use: SoundUse
    loops: int = 1
    """Of them all; 0: until they are stopped."""
    limit_ms: int | None = None
    instead: bool = False
    """Of everything else that would be heard meanwhile; else mixed into it."""
    before: Before = Before.KEPT
    is_told: bool = False
    """Its start and end are events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayToCall(Command[Done]):
    """Answered when the first file is there, or has not come in time; it is heard when what was
    asked for before it is over.

    Raises CallNotFound, CallHasEnded, CallNotAnswered, NotBridged, TooManySounds,
    DestinationFault, CannotBeSpoken, SynthesiserFailed.
    """

    account_id: AccountId
    call_id: CallId
    hearing: Hearing
    legs: Legs = Legs.OWN
    extras: Mapping[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayToConference(Command[Participants]):
    """As PlayToCall; when nobody is named it is heard, and recorded, in the room. Raises
    ConferenceNotFound, ConferenceHasEnded, ParticipantNotFound when none of the named is there.
    """

    conference: ConferenceRef
    members: Members = field(default_factory=Members)
    hearing: Hearing


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlayingToCall(Command[Done]):
    """Nothing to stop is as good. Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    uses: frozenset[SoundUse]
    only_current: bool = False
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlayingToConference(Command[Participants]):
    """When nobody is named: in the room and to everybody. Raises as PlayToConference does."""

    conference: ConferenceRef
    members: Members = field(default_factory=Members)
    uses: frozenset[SoundUse]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherDigits(Command[Done]):
    """Collects digits after `prompt`, which the first key stops; what came of it is an event. A
    second one cancels the first. Raises as PlayToCall does.
    """

    account_id: AccountId
    call_id: CallId
    rules: GatherRules = field(default_factory=GatherRules)
    prompt: Hearing | None = None
    invalid_prompt: Hearing | None = None
    """Before another try; None: `prompt` again."""
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopGathering(Command[Done]):
    """Nothing to stop is as good. Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits(Command[Done]):
    """Answered when the keys are about to be pressed. Raises CallNotFound, CallHasEnded,
    CallNotAnswered, NotBridged, Invalid for what is no key.
    """

    account_id: AccountId
    call_id: CallId
    keys: Keys
    legs: Legs = Legs.OWN
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigitsToConference(Command[Participants]):
    """As SendDigits, to each of them; raises as PlayToConference does."""

    conference: ConferenceRef
    members: Members = field(default_factory=Members)
    keys: Keys
