"""What can be asked of the control plane: a command in, an outcome out (`control.Control.execute`).

Dialects, the CLI and call programs build these; differences in meaning between dialects are
fields here.
Every command that belongs to an account names it; another account's things are not found.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.conference import Conference, ConferenceState, Participant
from tapeline.domain.delivery import Attempt, Delivery
from tapeline.domain.id import (
    AccountId,
    ApplicationId,
    CallId,
    EpochMs,
    MemberId,
    RecordingId,
    TranscriptId,
)
from tapeline.domain.recording import (
    Recording,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Starter,
    TargetKind,
    TranscriptionRequest,
)
from tapeline.domain.signal import LegLevels
from tapeline.domain.transcript import Transcript

OutcomeT_co = TypeVar("OutcomeT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The same key in the same scope is carried out once: whoever comes later gets the first
    outcome, whoever comes meanwhile waits for it. What failed may be asked again.
    """

    account_id: AccountId
    scope: str
    """The thing it is asked of: a call's id, or the id or name in the command's `conference`."""
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[OutcomeT_co]):
    """Base; the parameter is the outcome's type."""

    once: Once | None = None


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
    transcription_rate: float | None = None
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
    fallback_url: str | None = None
    fallback_method: str = "POST"
    hangup_url: str | None = None
    hangup_method: str = "POST"
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateApplication(Command[Application]):
    """Fields that are None stay as they are; an empty text removes; `extras` are merged. Raises
    ApplicationNotFound, also when it is not of `dialect`.
    """

    account_id: AccountId
    application_id: ApplicationId
    dialect: str | None = None
    name: str | None = None
    answer_url: str | None = None
    answer_method: str | None = None
    fallback_url: str | None = None
    fallback_method: str | None = None
    hangup_url: str | None = None
    hangup_method: str | None = None
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetApplication(Command[Application]):
    """Raises ApplicationNotFound, also when it is not of `dialect`."""

    account_id: AccountId
    application_id: ApplicationId
    dialect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteApplication(Command[Application]):
    """Its numbers lead nowhere afterwards; calls that it steers go on. Raises as GetApplication."""

    account_id: AccountId
    application_id: ApplicationId
    dialect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApplications(Command["tuple[Application, ...]"]):
    account_id: AccountId | None = None
    dialect: str | None = None


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
    """Dials a `sip:` URI and answers when the INVITE is on its way.

    Steered by `application_id`, or by `instructions`: an application made for this call (its
    `is_ad_hoc` is set). Raises ApplicationNotFound, Invalid, EngineFailed, Draining.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOnAnswer:
    """A recording of the call that starts when it is answered."""

    starter: Starter
    options: RecordingOptions = field(default_factory=RecordingOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCall(Command["RecordingView | None"]):
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
    end_on_exit: bool = False
    hangs_up_on_exit: bool = False
    """With `end_on_exit`: the calls of all participants end then."""
    starts_conference: bool = False
    extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SetParticipants(Command["tuple[Participant, ...]"]):
    """What is None stays as it is. Raises ConferenceNotFound, ConferenceHasEnded,
    ParticipantNotFound when none of the named is there.
    """

    conference: ConferenceRef
    members: Members = field(default_factory=Members)
    muted: bool | None = None
    deaf: bool | None = None
    on_hold: bool | None = None
    """Neither heard nor hearing."""


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


# recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """`link` is the address the customer gets: signed when the account's policy says so."""

    recording: Recording
    link: str
    call: Call | None = None
    """The recorded call; of a conference its creator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConferenceRecording(Command[RecordingView]):
    """Answers once armed (design.md §5.3): every packet that arrives afterwards is in the file.

    Raises ConferenceNotFound, AlreadyRecording (a recording that the same dialect started runs and
    `allows_parallel` is false), TooManyRecordings, DiskFull, EngineFailed.
    """

    conference: ConferenceRef
    starter: Starter
    options: RecordingOptions = field(default_factory=RecordingOptions)
    allows_parallel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCallRecording(Command[RecordingView]):
    """As StartConferenceRecording, of one call; several at once are ordinary.

    Raises CallNotFound, CallHasEnded, CallNotAnswered, TooManyRecordings, DiskFull, EngineFailed.
    """

    account_id: AccountId
    call_id: CallId
    starter: Starter
    options: RecordingOptions = field(default_factory=RecordingOptions)
    call_extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConferenceRecording(Command["tuple[RecordingId, ...]"]):
    """Stops what `dialect` started on that conference; answers when the stop has been applied.

    Only `recording_id` when it is given (RecordingNotFound when that is none of the conference's).
    Raises ConferenceNotFound, and NotRecording when nothing of it runs (`is_idempotent` false).
    """

    conference: ConferenceRef
    dialect: str
    recording_id: RecordingId | None = None
    is_idempotent: bool = False
    extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Starter.extras` of what is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCallRecording(Command["tuple[RecordingId, ...]"]):
    """As StopConferenceRecording, of a call. Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    dialect: str
    recording_id: RecordingId | None = None
    is_idempotent: bool = False
    extras: dict[str, str] = field(default_factory=dict)
    call_extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseConferenceRecording(Command["tuple[RecordingId, ...]"]):
    """What `dialect` started there, or `recording_id` of it; with `resumes` it goes on.

    Pausing what is paused is nothing. Raises ConferenceNotFound, ConferenceHasEnded,
    RecordingNotFound, NotRecording.
    """

    conference: ConferenceRef
    dialect: str
    recording_id: RecordingId | None = None
    resumes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseCallRecording(Command["tuple[RecordingId, ...]"]):
    """As PauseConferenceRecording, of a call. Raises CallNotFound, CallHasEnded."""

    account_id: AccountId
    call_id: CallId
    dialect: str
    recording_id: RecordingId | None = None
    resumes: bool = False
    call_extras: dict[str, str] = field(default_factory=dict)
    """Merged into `Call.extras`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """Everything that is not None must hold; times are inclusive from and exclusive to."""

    target: TargetKind | None = None
    format: RecordingFormat | None = None
    call_id: str | None = None
    session_id: str | None = None
    application_id: str | None = None
    state: RecordingState | None = None
    conference_id: str | None = None
    conference_name: str | None = None
    caller: str | None = None
    called: str | None = None
    from_ms: EpochMs | None = None
    to_ms: EpochMs | None = None
    """Of its start."""
    ended_from_ms: EpochMs | None = None
    ended_to_ms: EpochMs | None = None
    """Of its end; one that runs does not hold."""


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
class DeleteRecording(Command[RecordingView]):
    """Stops it first when it runs; the bytes go, a tombstone stays, which is the outcome."""

    account_id: AccountId
    recording_id: RecordingId
    because: str = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordings(Command["tuple[RecordingId, ...]"]):
    """As DeleteRecording, of each that is there; the outcome names those."""

    account_id: AccountId
    recording_ids: tuple[RecordingId, ...]
    because: str = "api"


# transcripts


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeRecording(Command[Transcript]):
    """Of a finished recording; the transcript that there is already, if one was made. Raises
    RecordingNotFound, Conflict while it is not finished.
    """

    account_id: AccountId
    recording_id: RecordingId
    request: TranscriptionRequest = field(default_factory=TranscriptionRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTranscript(Command[Transcript]):
    """The recording's, or the one of that id: one of the two is given. Raises
    TranscriptNotFound.
    """

    account_id: AccountId
    recording_id: RecordingId | None = None
    transcript_id: TranscriptId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptView:
    transcript: Transcript
    recording: Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewTranscript(Command[TranscriptView]):
    """`name` is a recording's id, or a transcript's. Raises TranscriptNotFound."""

    account_id: AccountId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTranscript(Command[Done]):
    """All of the recording's, of which `name` is the id, or a transcript's; one that is being made
    comes to nothing. Raises TranscriptNotFound.
    """

    account_id: AccountId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTranscripts(Command["tuple[Transcript, ...]"]):
    """Newest first."""

    account_id: AccountId | None = None
    recording_id: RecordingId | None = None
    limit: int = 100


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
