"""Rows of recordings' tracks."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import CallId, MemberId, RecordingId
from tapeline.domain.recording import Track
from tapeline.state.rows.base import Rows
from tapeline.state.schema import tracks

_INSERT = tracks.insert()
_OF_RECORDING = (
    sa.select(tracks)
    .where(tracks.c.recording_id == sa.bindparam("recording_id"))
    .order_by(tracks.c.number)
)


class TrackRows(Rows):
    def replace(self, recording_id: RecordingId, found: Sequence[Track]) -> None:
        """These are all that the recording has."""
        self._connection.execute(tracks.delete().where(tracks.c.recording_id == recording_id))
        for track in found:
            self._insert(_INSERT, _values(track))

    def of_recording(self, recording_id: RecordingId) -> Sequence[Track]:
        """In the order of their numbers."""
        return [_track(row) for row in self._all(_OF_RECORDING, recording_id=recording_id)]


def _values(track: Track) -> dict[str, Any]:
    return {
        "recording_id": track.recording_id,
        "number": track.number,
        "call_id": track.call_id,
        "member_id": track.member_id,
        "offset_ms": track.offset_ms,
        "sample_count": track.sample_count,
        "byte_count": track.byte_count,
        "sha256": track.sha256,
        "storage_key": track.storage_key,
    }


def _track(row: sa.Row[Any]) -> Track:
    return Track(
        recording_id=RecordingId(row.recording_id),
        number=row.number,
        call_id=None if row.call_id is None else CallId(row.call_id),
        member_id=None if row.member_id is None else MemberId(row.member_id),
        offset_ms=row.offset_ms,
        sample_count=row.sample_count,
        byte_count=row.byte_count,
        sha256=row.sha256,
        storage_key=row.storage_key,
    )
