"""How long a recording is kept: what forbids its deletion, when it is due, whether it has begun."""

from dataclasses import dataclass

from tapeline.domain.id import EpochMs, RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Who said it, why and when."""

    by: str
    because: str
    at_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Of a recording for which nothing of it was ever said, all is None."""

    recording_id: RecordingId
    hold: Word | None = None
    """A legal hold: while it stands nothing of the recording can be deleted by anybody."""
    delete_at_ms: EpochMs | None = None
    """Its own due date; None: as its account keeps recordings."""
    deletion: Word | None = None
    """A deletion that has begun, and goes on until every trace is gone."""
