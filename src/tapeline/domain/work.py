"""Durable work on a recording after its end: which step it stands at, or why it is stuck."""

from dataclasses import dataclass
from enum import StrEnum

from tapeline.domain.id import EpochMs, RecordingId


class WorkState(StrEnum):
    """`pending → done`, or `stuck`, which a retry makes pending again."""

    PENDING = "pending"
    DONE = "done"
    STUCK = "stuck"


class Step(StrEnum):
    """In this order."""

    STORE = "store"
    TRANSCRIBE = "transcribe"
    RELEASE = "release"
    """The local copy goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Stored with the event that ended the recording, so that none is forgotten."""

    recording_id: RecordingId
    state: WorkState = WorkState.PENDING
    round: int = 1
    """Counts what was begun anew: by a retry, or for a transcript asked for later."""
    step: Step = Step.STORE
    """The one that is under way, or at which it is stuck."""
    tries: int = 0
    """Of that step, that failed."""
    reason: str | None = None
    """What the last of them met."""
    changed_at_ms: EpochMs

    @property
    def workflow_id(self) -> str:
        """Derived from the recording's: starting it twice is starting it once."""
        return f"after-{self.recording_id}-{self.round}"
