"""Calls: made, steered, ended, looked at."""

from dataclasses import dataclass, field

from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command.base import Command, Done
from tapeline.domain.command.conferences import JoinOnAnswer
from tapeline.domain.command.recordings import RecordingView
from tapeline.domain.id import AccountId, ApplicationId, CallId, EpochMs
from tapeline.domain.recording import RecordingOptions, Starter
from tapeline.domain.sound import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCalls(Command["tuple[Call, ...]"]):
    """Newest first. `account_id` None: of all accounts (the CLI)."""

    account_id: AccountId | None = None
    only_live: bool = False
    state: CallState | None = None
    application_id: ApplicationId | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Everything that is not None must hold; instants are inclusive from and exclusive to.

    Calls that run have no end, so a bound on it leaves them out.
    """

    is_live: bool | None = None
    state: CallState | None = None
    direction: Direction | None = None
    caller: str | None = None
    called: str | None = None
    parent_id: str | None = None
    end_causes: tuple[EndCause, ...] | None = None
    """Any of these."""
    end_source: EndSource | None = None
    ended_from_ms: EpochMs | None = None
    ended_to_ms: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPage:
    calls: tuple[Call, ...]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCalls(Command[CallPage]):
    """Newest first."""

    account_id: AccountId
    filter: CallFilter = field(default_factory=CallFilter)
    limit: int = 20
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCall(Command[Call]):
    """Raises CallNotFound."""

    account_id: AccountId
    call_id: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCall(Command[Call]):
    """Dials a `sip:` URI, a telephone number or an endpoint; answers when an INVITE is on its way.

    Steered by `application_id`, or by `instructions`: an application made for this call (its
    `is_ad_hoc` is set). Raises ApplicationNotFound, Invalid, EngineFailed,
    NotRegistered, TrunksFull, Draining.
    """

    account_id: AccountId
    application_id: ApplicationId | None = None
    instructions: Application | None = None
    target: str
    caller: str
    caller_name: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    ring_limit_ms: int = 120_000
    time_limit_ms: int = 14_400_000
    dialect: str
    extras: dict[str, str] = field(default_factory=dict)
    session_id: str | None = None
    """Joins another call's conversation."""
    record: "RecordOnAnswer | None" = None
    keys: Keys | None = None
    """Pressed when it is answered."""
    joins: JoinOnAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOnAnswer:
    """A recording of the call that starts when it is answered."""

    starter: Starter
    options: RecordingOptions = field(default_factory=RecordingOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCall(Command[RecordingView | None]):
    """For a call that commands steer. With `record` the outcome is the recording.

    Answering twice is once. Raises CallNotFound, CallHasEnded.
    """

    account_id: AccountId
    call_id: CallId
    extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""
    record: RecordOnAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectCall(Command[Done]):
    """Before the answer only: `sip_status` is the final response. Raises CallNotFound,
    CallHasEnded.
    """

    account_id: AccountId
    call_id: CallId
    sip_status: int
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpCall(Command[Done]):
    """Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCall(Command[Call]):
    """Merges `extras` into the call's. Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCall(Command[Done]):
    """The call's program gives way to the document at `url`. Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeCalls(Command[Done]):
    """Two answered calls hear each other, from wherever they are; they end together unless the one
    that is left `parks`. Raises CallNotFound, CallHasEnded, CallNotAnswered, Conflict.
    """

    account_id: AccountId
    call_id: CallId
    other_id: CallId
    parks: bool = False
    extras: dict[str, str] = field(default_factory=dict)
    record: RecordOnAnswer | None = None
    """Of the first call, from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferToAddress(Command[Done]):
    """Dials as CreateCall does and connects the answered call once that answers; until then, and if
    it does not, the call stays where it is. Raises as CreateCall and BridgeCalls do.
    """

    account_id: AccountId
    call_id: CallId
    target: str
    caller: str = ""
    """Empty: what this call had called."""
    caller_name: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    ring_limit_ms: int = 30_000
    time_limit_ms: int | None = None
    extras: dict[str, str] = field(default_factory=dict)
    target_extras: dict[str, str] = field(default_factory=dict)
    """The new call's."""
    record: RecordOnAnswer | None = None
    """Of this call, from the connection on."""
