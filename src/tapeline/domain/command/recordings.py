"""Recordings while they run, and afterwards."""

from dataclasses import dataclass, field

from tapeline.domain.call import Call
from tapeline.domain.command.base import Command
from tapeline.domain.command.conferences import ConferenceRef
from tapeline.domain.id import AccountId, CallId, EpochMs, RecordingId
from tapeline.domain.recording import (
    Recording,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Starter,
    TargetKind,
    Track,
    TrackSide,
)
from tapeline.domain.storage import Stored
from tapeline.domain.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackView:
    """`link` as in RecordingView."""

    track: Track
    link: str
    side: TrackSide | None = None
    """Of a call's; None of a participant's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """`link` is the address the customer gets: signed when the account's policy says so."""

    recording: Recording
    link: str
    call: Call | None = None
    """The recorded call; of a conference its creator's."""
    tracks: tuple[TrackView, ...] = ()
    """Only where one recording was asked for; so are the following."""
    stored: Stored | None = None
    """None: in the node's folder, with no bucket meant for it."""
    work: Work | None = None
    """What follows its end; None when nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryWork(Command[Work]):
    """What is stuck after a recording's end goes on. Raises RecordingNotFound, Conflict."""

    account_id: AccountId | None
    recording_id: RecordingId


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
    """`account_id` None: of any account (the CLI). Raises RecordingNotFound."""

    account_id: AccountId | None
    recording_id: RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording(Command[RecordingView]):
    """Stops it first when it runs; the bytes go, a tombstone stays. The outcome is the row as it
    was; `by` is who asks (the account when it is not said). Raises RecordingNotFound,
    RecordingHeld.
    """

    account_id: AccountId | None
    recording_id: RecordingId
    because: str = "api"
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordings(Command["tuple[RecordingId, ...]"]):
    """As DeleteRecording, of each that is there; the outcome names those. One that is held keeps
    all of them.
    """

    account_id: AccountId
    recording_ids: tuple[RecordingId, ...]
    because: str = "api"
    by: str = ""
