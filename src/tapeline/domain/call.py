"""A call is one leg: a SIP dialog and its audio."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import AccountId, ApplicationId, CallId, EpochMs, NodeId


class CallState(StrEnum):
    QUEUED = "queued"
    DIALING = "dialing"
    RINGING = "ringing"
    """A dialled call's far end rings, or a call that came in has not been answered."""
    ANSWERED = "answered"
    ENDED = "ended"


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class EndCause(StrEnum):
    """Why a call ended, in the field's words; each dialect has its own codes for them."""

    NORMAL = "normal"
    CANCELED = "canceled"
    BUSY = "busy"
    REJECTED = "rejected"
    NO_ANSWER = "no_answer"
    UNKNOWN_NUMBER = "unknown_number"
    END_OF_DOCUMENT = "end_of_document"
    HANG_UP_VERB = "hang_up_verb"
    ANSWER_UNREACHABLE = "answer_unreachable"
    ANSWER_INVALID = "answer_invalid"
    ACTION_UNREACHABLE = "action_unreachable"
    ACTION_INVALID = "action_invalid"
    REDIRECT_UNREACHABLE = "redirect_unreachable"
    REDIRECT_INVALID = "redirect_invalid"
    TRANSFER_UNREACHABLE = "transfer_unreachable"
    TRANSFER_INVALID = "transfer_invalid"
    TIME_LIMIT = "time_limit"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    NETWORK = "network"
    NODE_LOST = "node_lost"
    NODE_STOPPED = "node_stopped"
    FAULT = "fault"


class EndSource(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"
    API = "api"
    DOCUMENT = "document"
    SYSTEM = "system"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    id: CallId
    account_id: AccountId
    application_id: ApplicationId | None
    dialect: str
    node_id: NodeId
    direction: Direction
    caller: str
    caller_name: str
    called: str
    matched: str = ""
    """What the `*` of the number's pattern stood for."""
    session_id: str
    """Groups the legs of one conversation."""
    state: CallState
    parent_id: CallId | None = None
    """The call whose program dialled this one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """`X-…` headers of the INVITE."""
    created_at_ms: EpochMs
    answered_at_ms: EpochMs | None = None
    ended_at_ms: EpochMs | None = None
    end_cause: EndCause | None = None
    end_source: EndSource | None = None
    end_detail: str | None = None
    extras: Mapping[str, str] = field(default_factory=dict)
    """What only the dialect understands; handed back to it with every event."""
    """For people: what exactly went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuality:
    """How the audio of a call was, from its first packet to its last."""

    mos: float | None
    """Estimated from delay and loss (ITU-T G.107), 1.0 to 4.5; None: nothing came."""
    packets_received: int
    packets_lost: int
    packets_late: int
    """They came, but after their time."""
    jitter_max_ms: int
    packets_sent: int
    remote_lost: int
    """Of those sent, by the far end's last report."""
