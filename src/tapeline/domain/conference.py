"""A conference: its name, its life, and who is in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import AccountId, CallId, ConferenceId, EpochMs, MemberId, NodeId


class ConferenceState(StrEnum):
    INIT = "init"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class ConferenceEnd(StrEnum):
    ALL_LEFT = "all_left"
    API = "ended_via_api"
    HOST_LEFT = "host_left"
    TIME_LIMIT = "time_limit"
    NODE_LOST = "node_lost"
    NODE_STOPPED = "node_stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conference:
    """At most one conference of an account and name is not completed at a time; names are
    case-sensitive.
    """

    id: ConferenceId
    account_id: AccountId
    name: str
    node_id: NodeId
    state: ConferenceState
    dialect: str
    """Its creator's: whose words its events are told in."""
    creator_call_id: CallId
    """The first leg that joined."""
    max_participants: int | None = None
    created_at_ms: EpochMs
    expires_at_ms: EpochMs | None = None
    """When it is ended whoever is still in it."""
    ended_at_ms: EpochMs | None = None
    end_reason: ConferenceEnd | None = None
    extras: Mapping[str, str] = field(default_factory=dict)
    """What only the dialect understands; handed back to it with every event."""


class Role(StrEnum):
    """Whom a participant's voice reaches; everybody who is not deaf hears the others either way."""

    NONE = "none"
    BARGE = "barge"
    """A supervisor whom everybody hears."""
    MONITOR = "monitor"
    """Heard by nobody."""
    WHISPER = "whisper"
    """Heard by `whispers_to` only."""


MOST_WHISPERED_TO = 8


class ParticipantState(StrEnum):
    JOINING = "joining"
    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    member_id: MemberId
    conference_id: ConferenceId
    call_id: CallId
    state: ParticipantState
    muted: bool = False
    deaf: bool = False
    on_hold: bool = False
    role: Role = Role.NONE
    whispers_to: tuple[CallId, ...] = ()
    """Calls; those that are not in the conference hear nothing."""
    end_conference_on_exit: bool = False
    hangs_up_on_exit: bool = False
    """With `end_conference_on_exit`: everybody's call ends."""
    label: str = ""
    leg: int = 0
    """The core's handle of its call; good within one life of the node."""
    joined_at_ms: EpochMs
    left_at_ms: EpochMs | None = None
