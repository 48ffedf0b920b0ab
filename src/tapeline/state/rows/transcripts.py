"""Rows of transcripts."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import AccountId, EpochMs, RecordingId, TranscriptId
from tapeline.domain.transcript import Transcript, TranscriptLimit, TranscriptState
from tapeline.state.rows.base import Rows, Values, by_id, listing, update_by_id
from tapeline.state.schema import transcripts

_INSERT = transcripts.insert()
_UPDATE = update_by_id(transcripts)
_BY_ID = by_id(transcripts)
_OF_RECORDING = (
    sa.select(transcripts)
    .where(transcripts.c.recording_id == sa.bindparam("recording_id"))
    .order_by(transcripts.c.seq.desc())
    .limit(1)
)
_PENDING = (
    sa.select(transcripts)
    # A literal, not a parameter: only then does the partial index serve.
    .where(sa.literal_column("transcripts.state = 'pending'"))
    .order_by(transcripts.c.seq)
)


class TranscriptRows(Rows):
    def add(self, transcript: Transcript) -> None:
        self._insert(_INSERT, _values(transcript))

    def update(self, transcript: Transcript) -> None:
        self._update(_UPDATE, transcript.id, _values(transcript))

    def delete_of(self, recording_id: RecordingId) -> None:
        """All of the recording's."""
        self._connection.execute(
            transcripts.delete().where(transcripts.c.recording_id == recording_id)
        )

    def get(self, transcript_id: TranscriptId) -> Transcript | None:
        row = self._one(_BY_ID, key=transcript_id)
        return None if row is None else _transcript(row)

    def of_recording(self, recording_id: RecordingId) -> Transcript | None:
        """The newest."""
        row = self._one(_OF_RECORDING, recording_id=recording_id)
        return None if row is None else _transcript(row)

    def pending(self, limit: int) -> Sequence[Transcript]:
        """Oldest first."""
        return [_transcript(row) for row in self._all(_PENDING.limit(limit))]

    def list(
        self, account_id: AccountId | None, recording_id: RecordingId | None, *, limit: int
    ) -> Sequence[Transcript]:
        """Newest first."""
        statement = listing(transcripts, account_id, limit=limit)
        if recording_id is not None:
            statement = statement.where(transcripts.c.recording_id == recording_id)
        return [_transcript(row) for row in self._all(statement)]


def _values(transcript: Transcript) -> Values:
    return {
        "id": transcript.id,
        "account_id": transcript.account_id,
        "recording_id": transcript.recording_id,
        "state": transcript.state.value,
        "text": transcript.text,
        "limit": transcript.limit,
        "reason": transcript.reason,
        "duration_ms": transcript.duration_ms,
        "rate": transcript.rate,
        "created_at_ms": transcript.created_at_ms,
        "finished_at_ms": transcript.finished_at_ms,
    }


def _transcript(row: sa.Row[Any]) -> Transcript:
    return Transcript(
        id=TranscriptId(row.id),
        account_id=AccountId(row.account_id),
        recording_id=RecordingId(row.recording_id),
        state=TranscriptState(row.state),
        text=row.text,
        limit=None if row.limit is None else TranscriptLimit(row.limit),
        reason=row.reason,
        duration_ms=row.duration_ms,
        rate=row.rate,
        created_at_ms=EpochMs(row.created_at_ms),
        finished_at_ms=row.finished_at_ms,
    )
