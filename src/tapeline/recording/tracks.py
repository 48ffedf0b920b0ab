"""A recording's tracks: whose each is, where its files lie in the spool and at their key."""

from collections.abc import Sequence
from pathlib import Path

from tapeline.domain.conference import Participant
from tapeline.domain.id import EpochMs
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Recording, TargetKind, Track, TrackSide
from tapeline.domain.signal import TrackFile

FOLDER = "tracks"
LATE_MS = 100
"""A participant's row may tell of its join so much later than its first sample was recorded."""


def track_folder(folder: Path, number: int) -> Path:
    """In the recording's own folder of the spool."""
    return folder / FOLDER / f"{number:03}"


def track_key(storage_key: str, number: int) -> str:
    """Beside the recording, whose key was fixed at its start: `RECORDING.track-001.mp3`."""
    stem, _, suffix = storage_key.rpartition(".")
    return f"{stem}.track-{number:03}.{suffix}"


def tracks_of(tx: Transaction, row: Recording, files: Sequence[TrackFile]) -> list[Track]:
    """What the core wrote, with who it is of."""
    present = [] if row.conference_id is None else list(tx.participants.ever_in(row.conference_id))
    return [_track(row, file, present) for file in files if file.sample_count > 0]


def _track(row: Recording, file: TrackFile, present: Sequence[Participant]) -> Track:
    whose = who_came(present, file.leg, EpochMs(row.started_at_ms + file.offset_ms + LATE_MS))
    call_id = None if whose is None else whose.call_id
    if side_of(row, file.number) is TrackSide.INBOUND:
        call_id = row.call_id
    return Track(
        recording_id=row.id,
        number=file.number,
        call_id=call_id,
        member_id=None if whose is None else whose.member_id,
        offset_ms=file.offset_ms,
        sample_count=file.sample_count,
        byte_count=file.byte_count,
        sha256=file.sha256,
        storage_key=track_key(row.storage_key, file.number),
    )


def side_of(row: Recording, number: int) -> TrackSide | None:
    """None: it is of a conference's participant."""
    if row.target is not TargetKind.CALL:
        return None
    return next((side for side in TrackSide if side.number == number), None)


def who_came(present: Sequence[Participant], leg: int, by_ms: EpochMs) -> Participant | None:
    """The stay of that leg which had begun last by then; of one that came later its first."""
    stays = [each for each in present if each.leg == leg]
    begun = [each for each in stays if each.joined_at_ms <= by_ms]
    return begun[-1] if begun else next(iter(stays), None)
