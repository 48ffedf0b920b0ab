"""Rows of holds, due dates and deletions under way; what a deletion erases beside files."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import AccountId, EpochMs, RecordingId
from tapeline.domain.keeping import Keeping, Word
from tapeline.state.rows.base import Rows
from tapeline.state.schema import deliveries, events, keeping, recordings

_OF = sa.select(keeping).where(keeping.c.recording_id == sa.bindparam("recording_id"))
_INSERT = keeping.insert()
_BEGUN = (
    sa.select(keeping)
    .where(keeping.c.deletion_at_ms.is_not(None))
    .order_by(keeping.c.deletion_at_ms)
)
_IS_KEPT: sa.ColumnClause[bool] = sa.literal_column(
    "recordings.state IN ('completed', 'failed', 'absent')"
)
_OWN_DATE = (
    sa.select(keeping.c.recording_id)
    .join(recordings, recordings.c.id == keeping.c.recording_id)
    .where(
        keeping.c.delete_at_ms <= sa.bindparam("now_ms"),
        keeping.c.hold_at_ms.is_(None),
        keeping.c.deletion_at_ms.is_(None),
        _IS_KEPT,
    )
    .order_by(keeping.c.delete_at_ms)
)
_OF_ACCOUNT = (
    sa.select(recordings.c.id)
    .where(
        recordings.c.account_id == sa.bindparam("account_id"),
        recordings.c.ended_at_ms <= sa.bindparam("ended_by_ms"),
        _IS_KEPT,
        ~sa.exists().where(
            keeping.c.recording_id == recordings.c.id,
            sa.or_(
                keeping.c.hold_at_ms.is_not(None),
                keeping.c.delete_at_ms.is_not(None),
                keeping.c.deletion_at_ms.is_not(None),
            ),
        ),
    )
    .order_by(recordings.c.ended_at_ms)
)
_EVENTS_OF = sa.select(events.c.id).where(events.c.recording_id == sa.bindparam("of_recording"))
_ERASE_EVENTS = (
    events.update().where(events.c.recording_id == sa.bindparam("of_recording")).values(body={})
)
_DELIVERIES_OF = sa.select(deliveries.c.id, deliveries.c.state, deliveries.c.message).where(
    deliveries.c.event_id.in_(_EVENTS_OF)
)
_SET_MESSAGE = deliveries.update().where(deliveries.c.id == sa.bindparam("key"))


class KeepingRows(Rows):
    def get(self, recording_id: RecordingId) -> Keeping:
        """One in which all is None where nothing was said."""
        row = self._one(_OF, recording_id=recording_id)
        return Keeping(recording_id=recording_id) if row is None else _keeping(row)

    def put(self, kept: Keeping) -> None:
        """Takes the place of what was there."""
        self.remove(kept.recording_id)
        values = {
            "recording_id": kept.recording_id,
            "delete_at_ms": kept.delete_at_ms,
            **_word("hold", kept.hold),
            **_word("deletion", kept.deletion),
        }
        self._insert(_INSERT, values)

    def remove(self, recording_id: RecordingId) -> None:
        of_it = keeping.c.recording_id == recording_id
        self._connection.execute(keeping.delete().where(of_it))

    def begun(self, *, limit: int) -> Sequence[Keeping]:
        """Deletions that have begun and left traces, oldest first."""
        return [_keeping(row) for row in self._all(_BEGUN.limit(limit))]

    def due(self, now_ms: EpochMs, *, limit: int) -> Sequence[RecordingId]:
        """Whose own date has come, and no hold forbids it."""
        rows = self._all(_OWN_DATE.limit(limit), now_ms=now_ms)
        return [RecordingId(row.recording_id) for row in rows]

    def due_of(
        self, account_id: AccountId, ended_by_ms: EpochMs, *, limit: int
    ) -> Sequence[RecordingId]:
        """The account's that ended by then, have no date of their own and no hold."""
        found = {"account_id": account_id, "ended_by_ms": ended_by_ms}
        return [RecordingId(row.id) for row in self._all(_OF_ACCOUNT.limit(limit), **found)]

    def erase_traces(self, recording_id: RecordingId) -> int:
        """What events and callbacks that have come to their end say of the recording; returns how
        many callbacks are still to go out, with what they say.
        """
        of_it = {"of_recording": recording_id}
        self._connection.execute(_ERASE_EVENTS, of_it)
        pending = 0
        for row in list(self._connection.execute(_DELIVERIES_OF, of_it)):
            if row.state == "pending":
                pending += 1
                continue
            bare = {**row.message, "fields": {}, "link_fields": [], "extras": {}}
            self._connection.execute(_SET_MESSAGE, {"key": row.id, "message": bare})
        return pending


def _word(name: str, word: Word | None) -> dict[str, Any]:
    return {
        f"{name}_by": None if word is None else word.by,
        f"{name}_because": None if word is None else word.because,
        f"{name}_at_ms": None if word is None else word.at_ms,
    }


def _said(by: str | None, because: str | None, at_ms: int | None) -> Word | None:
    if at_ms is None:
        return None
    return Word(by=by or "", because=because or "", at_ms=EpochMs(at_ms))


def _keeping(row: sa.Row[Any]) -> Keeping:
    return Keeping(
        recording_id=RecordingId(row.recording_id),
        hold=_said(row.hold_by, row.hold_because, row.hold_at_ms),
        delete_at_ms=row.delete_at_ms,
        deletion=_said(row.deletion_by, row.deletion_because, row.deletion_at_ms),
    )
