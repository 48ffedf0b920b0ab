"""A transcript: the words of a recording, or why there are none."""

from dataclasses import dataclass
from enum import StrEnum

from tapeline.domain.id import AccountId, EpochMs, RecordingId, TranscriptId


class TranscriptState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class TranscriptLimit(StrEnum):
    """Why a recording is not transcribed (contracts: 500 ms < duration < 4 h, file < 2 GB)."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    id: TranscriptId
    recording_id: RecordingId
    account_id: AccountId
    state: TranscriptState
    text: str = ""
    limit: TranscriptLimit | None = None
    """Which limit refused it."""
    reason: str | None = None
    """Why it failed."""
    duration_ms: int = 0
    """Of the audio."""
    rate: float = 0.0
    """Price of a minute when it was made."""
    created_at_ms: EpochMs
    finished_at_ms: EpochMs | None = None

    @property
    def charge(self) -> float:
        """By begun minutes; nothing for what was not transcribed."""
        if self.state is not TranscriptState.DONE:
            return 0.0
        return self.rate * -(-self.duration_ms // 60_000)
