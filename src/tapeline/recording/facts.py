"""What a recording's file turned out to hold, and what that makes of its row. Pure."""

from dataclasses import dataclass, replace

from tapeline.domain.id import EpochMs
from tapeline.domain.recording import (
    Health,
    HealthNote,
    Recording,
    RecordingEnd,
    RecordingState,
)
from tapeline.domain.signal import RecordingFinished, RepairReport, TrackFile

WRITER_FAILED = RecordingEnd.WRITER_FAILED
NODE_LOST = RecordingEnd.NODE_LOST
_ENDS = {end.value: end for end in RecordingEnd}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of a file that will not change any more."""

    sample_count: int
    rate_hz: int
    byte_count: int
    sha256: str
    started_at_ms: EpochMs | None
    """The first sample's wall clock; None when it is not known."""
    health: tuple[HealthNote, ...]
    end_reason: RecordingEnd | None
    """None when the file does not say."""
    tracks: tuple[TrackFile, ...] = ()
    trouble: str | None = None
    """Why there may be nothing in it, when it is nobody's silence."""


def of_finished(finished: RecordingFinished) -> Facts:
    """What the core said when it closed the file."""
    has_failed = finished.reason == WRITER_FAILED
    notes = _degraded(finished)
    if has_failed:
        notes = (*notes, HealthNote(flag=Health.DEGRADED, reason=WRITER_FAILED))
    return Facts(
        sample_count=finished.sample_count,
        rate_hz=finished.rate_hz,
        byte_count=finished.byte_count,
        sha256=finished.sha256,
        started_at_ms=_ms(finished.started_unix_us),
        health=notes,
        end_reason=_ENDS.get(finished.reason),
        tracks=tuple(finished.tracks),
        trouble="the file could not be written" if has_failed else None,
    )


def of_repair(report: RepairReport, *, cause: RecordingEnd = NODE_LOST) -> Facts:
    """What `repair` found; `cause` is why it was needed, if anything had to be mended."""
    notes = _degraded(report)
    trouble = None
    if not report.was_finished:
        flag = Health.RECOVERED if cause == NODE_LOST else Health.DEGRADED
        notes = (*notes, HealthNote(flag=flag, reason=cause))
        trouble = f"no audio was on the disk ({cause})"
    return Facts(
        sample_count=report.sample_count if report.has_audio else 0,
        rate_hz=report.rate_hz,
        byte_count=report.byte_count if report.has_audio else 0,
        sha256=report.sha256,
        started_at_ms=_ms(report.started_unix_us),
        health=notes,
        end_reason=None if report.was_finished else cause,
        tracks=tuple(report.tracks),
        trouble=trouble,
    )


def _degraded(told: RecordingFinished | RepairReport) -> tuple[HealthNote, ...]:
    """Audio that is missing, and audio that is there and odd; one note for each reason."""
    missing = {reason: span_ms for reason, span_ms in told.missing_ms if span_ms > 0}
    odd = dict(told.notes)
    return tuple(
        HealthNote(
            flag=Health.DEGRADED,
            reason=reason,
            missing_ms=missing.get(reason, 0),
            odd_ms=odd.get(reason, 0),
        )
        for reason in {**odd, **missing}
    )


def _ms(unix_us: int) -> EpochMs | None:
    return EpochMs(unix_us // 1000) if unix_us > 0 else None


def with_facts(row: Recording, facts: Facts) -> Recording:
    """The row while its file is on the way: everything is known but that it has arrived."""
    known = replace(
        row,
        state=RecordingState.FINALISING,
        sample_count=facts.sample_count,
        rate_hz=facts.rate_hz or row.rate_hz,
        byte_count=facts.byte_count,
        sha256=facts.sha256 or None,
        started_at_ms=facts.started_at_ms or row.started_at_ms,
        health=facts.health,
        reason=facts.trouble,
        end_reason=facts.end_reason or row.end_reason,
    )
    if known.ended_at_ms is None:
        return replace(known, ended_at_ms=EpochMs(known.started_at_ms + known.duration_ms))
    return known


def terminal(row: Recording) -> Recording:
    """What a finalising row becomes when its file, if there is one, is at its key."""
    if row.sample_count > 0:
        return replace(row, state=RecordingState.COMPLETED, reason=None)
    if row.reason is None:
        return replace(row, state=RecordingState.ABSENT, reason="nothing was heard", health=())
    return replace(row, state=RecordingState.FAILED, health=())
