"""Rows of the work after recordings' ends."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import EpochMs, NodeId, RecordingId
from tapeline.domain.work import Step, Work, WorkState
from tapeline.state.rows.base import Rows, Values
from tapeline.state.schema import recordings, works

_INSERT = works.insert()
_UPDATE = works.update().where(works.c.recording_id == sa.bindparam("key"))
_BY_ID = sa.select(works).where(works.c.recording_id == sa.bindparam("key"))
_PENDING_OF = (
    sa.select(works)
    .join(recordings, recordings.c.id == works.c.recording_id)
    .where(
        sa.literal_column("works.state = 'pending'"), recordings.c.node_id == sa.bindparam("node")
    )
    .order_by(works.c.changed_at_ms)
    .limit(sa.bindparam("most"))
)
_COUNTS = (
    sa.select(works.c.state, sa.func.count().label("number"))
    .where(works.c.state != "done")
    .group_by(works.c.state)
)


class WorkRows(Rows):
    def add(self, work: Work) -> None:
        self._insert(_INSERT, _values(work))

    def update(self, work: Work) -> None:
        self._update(_UPDATE, work.recording_id, _values(work))

    def get(self, recording_id: RecordingId) -> Work | None:
        row = self._one(_BY_ID, key=recording_id)
        return None if row is None else _work(row)

    def pending_of(self, node_id: NodeId, *, limit: int) -> Sequence[Work]:
        """Of recordings whose bytes that node made; those that waited longest first."""
        return [_work(row) for row in self._all(_PENDING_OF, node=node_id, most=limit)]

    def counts(self) -> dict[str, int]:
        """How many are not done, by state."""
        return {row.state: row.number for row in self._all(_COUNTS)}


def _values(work: Work) -> Values:
    return {
        "recording_id": work.recording_id,
        "state": work.state.value,
        "round": work.round,
        "step": work.step.value,
        "tries": work.tries,
        "reason": work.reason,
        "changed_at_ms": work.changed_at_ms,
    }


def _work(row: sa.Row[Any]) -> Work:
    return Work(
        recording_id=RecordingId(row.recording_id),
        state=WorkState(row.state),
        round=row.round,
        step=Step(row.step),
        tries=row.tries,
        reason=row.reason,
        changed_at_ms=EpochMs(row.changed_at_ms),
    )
