"""Conferences and who is in them."""

from dataclasses import dataclass, field

from tapeline.domain.call import Call
from tapeline.domain.command.base import Command, Done
from tapeline.domain.conference import Conference, ConferenceState, Participant, Role
from tapeline.domain.id import AccountId, CallId, EpochMs, MemberId
from tapeline.domain.signal import LegLevels
from tapeline.domain.sound import Sound


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantView:
    """`levels` are the leg's live figures, where this node has the leg."""

    participant: Participant
    call: Call
    levels: LegLevels | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceView:
    """Participants that have not left, in the order they joined; `creator` is the call that made
    it, even when that has left.
    """

    conference: Conference
    participants: tuple[ParticipantView, ...]
    now_ms: EpochMs
    creator: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConferences(Command["tuple[ConferenceView, ...]"]):
    account_id: AccountId | None = None
    only_live: bool = True
    name: str | None = None
    state: ConferenceState | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceRef:
    """Which conference is meant.

    A name means the live one of that name. With `may_be_id` an id of the account's is tried first,
    then the live one of that name, then the one of that name that ended last (ConferenceHasEnded
    where a live one is needed).
    """

    account_id: AccountId
    name: str
    may_be_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GetConference(Command[ConferenceView]):
    """Raises ConferenceNotFound. `even_ended`: one that has ended is found too."""

    conference: ConferenceRef
    even_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateConference(Command[ConferenceView]):
    """Made by an answered call, which joins it. Raises CallNotFound, CallHasEnded,
    CallNotAnswered, AlreadyExists (a live one has that name), AlreadyInConference.
    """

    account_id: AccountId
    name: str
    call_id: CallId
    max_participants: int | None = None
    duration_limit_ms: int | None = None
    starts_on_create: bool = True
    hold_sound: Sound | None = None
    """What everybody hears until it starts; None: silence."""
    dialect: str
    extras: dict[str, str] = field(default_factory=dict)
    """Kept with the conference and merged into the creator's `Call.extras`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCall(Command[Done]):
    """Takes an answered call into a conference.

    Raises as CreateConference does, ConferenceNotFound, ConferenceHasEnded, ConferenceFull.
    """

    conference: ConferenceRef
    call_id: CallId
    muted: bool = False
    on_hold: bool = False
    hold_sound: Sound | None = None
    """What it hears on hold, again and again; None: silence."""
    role: Role = Role.NONE
    whispers_to: tuple[CallId, ...] = ()
    end_on_exit: bool = False
    hangs_up_on_exit: bool = False
    """With `end_on_exit`: the calls of all participants end then."""
    starts_conference: bool = False
    extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOnAnswer:
    """A conference that a dialled call joins when it is answered. What goes wrong then is logged:
    the call stays as it is. The fields are JoinCall's.
    """

    conference: str
    """A name: where no live conference has it the call makes one."""
    is_id: bool = False
    muted: bool = False
    on_hold: bool = False
    hold_sound: Sound | None = None
    role: Role = Role.NONE
    whispers_to: tuple[CallId, ...] = ()
    end_on_exit: bool = False
    hangs_up_on_exit: bool = False
    starts_on_create: bool = True
    """CreateConference's, when the call makes it."""
    starts_conference: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveCall(Command[Done]):
    """The call goes back to its private room. Raises ConferenceNotFound, NotInConference."""

    conference: ConferenceRef
    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Participants by member id, by call, or (both empty) all of them."""

    member_ids: tuple[MemberId, ...] = ()
    call_ids: tuple[CallId, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """Empty: everybody is meant."""
        return (*self.member_ids, *self.call_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetParticipants(Command["tuple[Participant, ...]"]):
    """What is None stays as it is. Raises ConferenceNotFound, ConferenceHasEnded,
    ParticipantNotFound when none of the named is there, and for `hold_sound` as PlayToCall does.
    """

    conference: ConferenceRef
    members: Members = field(default_factory=Members)
    muted: bool | None = None
    deaf: bool | None = None
    on_hold: bool | None = None
    """Neither heard nor hearing."""
    hold_sound: Sound | None = None
    """With `on_hold`: what they hear meanwhile, again and again; None: silence."""
    role: Role | None = None
    whispers_to: tuple[CallId, ...] = ()
    """With `role`."""
    end_on_exit: bool | None = None
    hangs_up_on_exit: bool | None = None
    """As in JoinCall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCallRole(Command[Done]):
    """Of a call in a conference; a whisper reaches whom it reached before. Raises CallNotFound,
    CallHasEnded, NotInConference, Invalid for a whisper to nobody.
    """

    account_id: AccountId
    call_id: CallId
    role: Role
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveParticipants(Command["tuple[Participant, ...]"]):
    """Out of the conference: their programs go on, or with `hang_up` their calls end. Raises as
    SetParticipants does.
    """

    conference: ConferenceRef
    members: Members = field(default_factory=Members)
    hang_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndConference(Command[Done]):
    """Ends it and, with `hang_up`, its participants' calls. Raises ConferenceNotFound,
    ConferenceHasEnded.
    """

    conference: ConferenceRef
    hang_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EndConferences(Command[Done]):
    """Every live conference of the account, as EndConference ends one; none is as good."""

    account_id: AccountId
    hang_up: bool = True
