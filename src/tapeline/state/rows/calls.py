"""Rows of calls."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command import CallFilter
from tapeline.domain.id import AccountId, ApplicationId, CallId, EpochMs, NodeId
from tapeline.state.rows.base import Rows, Values, by_id, listing, update_by_id
from tapeline.state.schema import calls

_INSERT = calls.insert()
_UPDATE = update_by_id(calls)
_BY_ID = by_id(calls)
_IS_OPEN = calls.c.state != sa.literal_column("'ended'")
_OPEN_OF = (
    sa.select(calls)
    .where(calls.c.node_id == sa.bindparam("node_id"), _IS_OPEN)
    .order_by(calls.c.seq)
)


class CallRows(Rows):
    def add(self, call: Call) -> None:
        self._insert(_INSERT, _values(call))

    def update(self, call: Call) -> None:
        self._update(_UPDATE, call.id, _values(call))

    def get(self, call_id: CallId) -> Call | None:
        row = self._one(_BY_ID, key=call_id)
        return None if row is None else _call(row)

    def list(
        self,
        account_id: AccountId | None,
        *,
        only_live: bool,
        limit: int,
        state: CallState | None = None,
        application_id: ApplicationId | None = None,
    ) -> Sequence[Call]:
        """Newest first."""
        statement = listing(calls, account_id, limit=limit)
        if only_live:
            statement = statement.where(_IS_OPEN)
        if state is not None:
            statement = statement.where(calls.c.state == state.value)
        if application_id is not None:
            statement = statement.where(calls.c.application_id == application_id)
        return [_call(row) for row in self._all(statement)]

    def page(
        self, account_id: AccountId, wanted: CallFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[Call], int]:
        """Newest first, and how many there are in all."""
        matches = sa.and_(calls.c.account_id == account_id, *_conditions(wanted))
        total = self._connection.execute(
            sa.select(sa.func.count()).select_from(calls).where(matches)
        ).scalar_one()
        page = (
            sa.select(calls).where(matches).order_by(calls.c.seq.desc()).limit(limit).offset(offset)
        )
        return [_call(row) for row in self._all(page)], total

    def open_of(self, node_id: NodeId) -> Sequence[Call]:
        return [_call(row) for row in self._all(_OPEN_OF, node_id=node_id)]


def _conditions(wanted: CallFilter) -> Iterator[sa.ColumnElement[bool]]:
    equal = {
        calls.c.state: wanted.state,
        calls.c.direction: wanted.direction,
        calls.c.caller: wanted.caller,
        calls.c.called: wanted.called,
        calls.c.parent_id: wanted.parent_id,
        calls.c.end_source: wanted.end_source,
    }
    yield from (column == value for column, value in equal.items() if value is not None)
    if wanted.is_live is not None:
        yield _IS_OPEN if wanted.is_live else sa.not_(_IS_OPEN)
    if wanted.end_causes is not None:
        yield calls.c.end_cause.in_([cause.value for cause in wanted.end_causes])
    if wanted.ended_from_ms is not None:
        yield calls.c.ended_at_ms >= wanted.ended_from_ms
    if wanted.ended_to_ms is not None:
        yield calls.c.ended_at_ms < wanted.ended_to_ms


def _values(call: Call) -> Values:
    return {
        "id": call.id,
        "account_id": call.account_id,
        "application_id": call.application_id,
        "dialect": call.dialect,
        "node_id": call.node_id,
        "direction": call.direction.value,
        "caller": call.caller,
        "caller_name": call.caller_name,
        "called": call.called,
        "matched": call.matched,
        "session_id": call.session_id,
        "state": call.state.value,
        "parent_id": call.parent_id,
        "headers": dict(call.headers),
        "extras": dict(call.extras),
        "created_at_ms": call.created_at_ms,
        "answered_at_ms": call.answered_at_ms,
        "ended_at_ms": call.ended_at_ms,
        "end_cause": call.end_cause,
        "end_source": call.end_source,
        "end_detail": call.end_detail,
    }


def _call(row: sa.Row[Any]) -> Call:
    return Call(
        id=CallId(row.id),
        account_id=AccountId(row.account_id),
        application_id=None if row.application_id is None else ApplicationId(row.application_id),
        dialect=row.dialect,
        node_id=NodeId(row.node_id),
        direction=Direction(row.direction),
        caller=row.caller,
        caller_name=row.caller_name,
        called=row.called,
        matched=row.matched,
        session_id=row.session_id,
        state=CallState(row.state),
        parent_id=None if row.parent_id is None else CallId(row.parent_id),
        headers=row.headers,
        extras=row.extras,
        created_at_ms=EpochMs(row.created_at_ms),
        answered_at_ms=row.answered_at_ms,
        ended_at_ms=row.ended_at_ms,
        end_cause=None if row.end_cause is None else EndCause(row.end_cause),
        end_source=None if row.end_source is None else EndSource(row.end_source),
        end_detail=row.end_detail,
    )
