"""A recording: what was asked, where it stands, what its file holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import (
    AccountId,
    CallId,
    ConferenceId,
    EpochMs,
    NodeId,
    RecordingId,
)


class RecordingFormat(StrEnum):
    MP3 = "mp3"
    WAV = "wav"


class TargetKind(StrEnum):
    CALL = "call"
    CONFERENCE = "conference"


class RecordingState(StrEnum):
    """Moves along its row only (design.md §8)."""

    RECORDING = "recording"
    PAUSED = "paused"
    FINALISING = "finalising"
    COMPLETED = "completed"
    FAILED = "failed"
    ABSENT = "absent"
    DELETED = "deleted"


TERMINAL_STATES = frozenset(
    {
        RecordingState.COMPLETED,
        RecordingState.FAILED,
        RecordingState.ABSENT,
        RecordingState.DELETED,
    },
)


class Health(StrEnum):
    """A completed recording without any of these is ok."""

    DEGRADED = "degraded"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthNote:
    """One reason for a health flag: `missing_ms` of the timeline hold silence instead of audio."""

    flag: Health
    reason: str
    missing_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Who started a recording and how they are told; kept as data with the recording."""

    dialect: str
    request_id: str
    """The id the answer to the start carried (`api_id`)."""
    callback_url: str | None = None
    callback_method: str = "POST"
    extras: Mapping[str, str] = field(default_factory=dict)
    """What only the dialect understands; handed back to it with every event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    id: RecordingId
    account_id: AccountId
    node_id: NodeId
    starter: Starter
    target: TargetKind
    call_id: CallId | None
    """The recorded call; for a conference the first member's."""
    conference_id: ConferenceId | None = None
    conference_name: str | None = None
    caller: str = ""
    called: str = ""
    format: RecordingFormat
    channels: int = 1
    rate_hz: int = 8000
    limit_ms: int = 0
    state: RecordingState
    health: tuple[HealthNote, ...] = ()
    reason: str | None = None
    """Why it failed or is absent."""
    started_at_ms: EpochMs
    """The first sample's wall clock, once armed."""
    ended_at_ms: EpochMs | None = None
    sample_count: int = 0
    """Frames per channel."""
    byte_count: int = 0
    sha256: str | None = None
    storage_key: str
    """Where the bytes are or will be, relative to the store; fixed at the start."""
    deleted_at_ms: EpochMs | None = None
    deleted_because: str | None = None

    @property
    def duration_ms(self) -> int:
        """From the sample counter, rounded to the nearest millisecond."""
        return (self.sample_count * 2000 + self.rate_hz) // (2 * self.rate_hz)

    @property
    def health_words(self) -> str:
        """`ok`, or the flags joined by a comma."""
        return ",".join(sorted({note.flag.value for note in self.health})) or "ok"

    @property
    def is_open(self) -> bool:
        return self.state in {RecordingState.RECORDING, RecordingState.PAUSED}
