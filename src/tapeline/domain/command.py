"""What can be asked of the control plane: a command in, an outcome out (`control.Control.execute`).

Dialects, the CLI and call programs build these; differences in meaning between dialects are
fields here.
Every command that belongs to an account names it; another account's things are not found.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.call import Call
from tapeline.domain.conference import Conference, Participant
from tapeline.domain.delivery import Attempt, Delivery
from tapeline.domain.id import AccountId, ApplicationId, EpochMs, RecordingId
from tapeline.domain.recording import Recording, RecordingFormat, Starter, TargetKind
from tapeline.domain.signal import LegLevels

OutcomeT_co = TypeVar("OutcomeT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[OutcomeT_co]):
    """Base; the parameter is the outcome's type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing more to say than that it is done."""


# accounts, applications, numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCreated:
    """The only time that the two secrets are shown."""

    account: Account
    auth_token: str = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount(Command[AccountCreated]):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAccount(Command[Account]):
    """Fields that are None stay as they are; `dialect_settings` maps `dialect.key` to a value."""

    account_id: AccountId
    link_policy: str | None = None
    link_life_s: int | None = None
    keep_announcing: bool | None = None
    webhook_url: str | None = None
    webhook_failover_url: str | None = None
    dialect_settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAccount(Command[Account]):
    """Raises AccountNotFound."""

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAccounts(Command["tuple[Account, ...]"]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApplication(Command[Application]):
    """Exactly one of `answer_url` and `answer_document`; the document is parsed before it is
    kept.
    """

    account_id: AccountId
    dialect: str
    name: str
    answer_url: str | None = None
    answer_method: str = "POST"
    answer_document: str | None = None
    hangup_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApplications(Command["tuple[Application, ...]"]):
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNumber(Command[Number]):
    """`pattern` is unique per node."""

    pattern: str
    application_id: ApplicationId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNumbers(Command["tuple[Number, ...]"]):
    account_id: AccountId | None = None


# calls and conferences


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCalls(Command["tuple[Call, ...]"]):
    """Newest first. `account_id` None: of all accounts (the CLI)."""

    account_id: AccountId | None = None
    only_live: bool = False
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantView:
    """`levels` are the leg's live figures, where this node has the leg."""

    participant: Participant
    call: Call
    levels: LegLevels | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceView:
    """Participants that have not left, in the order they joined."""

    conference: Conference
    participants: tuple[ParticipantView, ...]
    now_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConferences(Command["tuple[ConferenceView, ...]"]):
    account_id: AccountId | None = None
    only_live: bool = True
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GetConference(Command[ConferenceView]):
    """The live conference of that name. Raises ConferenceNotFound."""

    account_id: AccountId
    name: str


# recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """`link` is the address the customer gets: signed when the account's policy says so."""

    recording: Recording
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConferenceRecording(Command[RecordingView]):
    """Answers once armed (design.md §5.3): every packet that arrives afterwards is in the file.

    Raises ConferenceNotFound, AlreadyRecording (a recording that the same dialect started runs and
    `allows_parallel` is false), TooManyRecordings, DiskFull, EngineFailed.
    """

    account_id: AccountId
    conference_name: str
    starter: Starter
    format: RecordingFormat = RecordingFormat.MP3
    limit_ms: int = 0
    allows_parallel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConferenceRecording(Command["tuple[RecordingId, ...]"]):
    """Stops what `dialect` started on that conference; answers when the stop has been applied.

    Raises ConferenceNotFound, and NotRecording when nothing of it runs (`is_idempotent` false).
    """

    account_id: AccountId
    conference_name: str
    dialect: str
    is_idempotent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """Everything that is not None must hold; times are inclusive from and exclusive to."""

    target: TargetKind | None = None
    format: RecordingFormat | None = None
    call_id: str | None = None
    conference_id: str | None = None
    conference_name: str | None = None
    caller: str | None = None
    called: str | None = None
    from_ms: EpochMs | None = None
    to_ms: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPage:
    views: tuple[RecordingView, ...]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRecordings(Command[RecordingPage]):
    """Newest first; deleted ones are left out."""

    account_id: AccountId | None = None
    filter: RecordingFilter = field(default_factory=RecordingFilter)
    limit: int = 20
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRecording(Command[RecordingView]):
    account_id: AccountId
    recording_id: RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording(Command[Done]):
    """Stops it first when it runs; the bytes go, a tombstone stays."""

    account_id: AccountId
    recording_id: RecordingId
    because: str = "api"


# deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    delivery: Delivery
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDeliveries(Command["tuple[DeliveryView, ...]"]):
    account_id: AccountId | None = None
    recording_id: RecordingId | None = None
    limit: int = 100
