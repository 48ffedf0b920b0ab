"""Rows of conferences. That a name is live once per account is the database's own rule too."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.conference import Conference, ConferenceEnd, ConferenceState
from tapeline.domain.id import AccountId, CallId, ConferenceId, EpochMs, NodeId
from tapeline.state.rows.base import Rows, Values, by_id, listing, update_by_id
from tapeline.state.schema import conferences

_INSERT = conferences.insert()
_UPDATE = update_by_id(conferences)
_BY_ID = by_id(conferences)
# A literal, not a parameter: only then does the partial index serve.
_IS_LIVE = conferences.c.state != sa.literal_column("'completed'")
_LIVE = sa.select(conferences).where(
    conferences.c.account_id == sa.bindparam("account_id"),
    conferences.c.name == sa.bindparam("name"),
    _IS_LIVE,
)
_LAST = (
    sa.select(conferences)
    .where(
        conferences.c.account_id == sa.bindparam("account_id"),
        conferences.c.name == sa.bindparam("name"),
    )
    .order_by(conferences.c.seq.desc())
    .limit(1)
)
_OPEN_OF = (
    sa.select(conferences)
    .where(conferences.c.node_id == sa.bindparam("node_id"), _IS_LIVE)
    .order_by(conferences.c.seq)
)


class ConferenceRows(Rows):
    def add(self, conference: Conference) -> None:
        self._insert(_INSERT, _values(conference))

    def update(self, conference: Conference) -> None:
        self._update(_UPDATE, conference.id, _values(conference))

    def get(self, conference_id: ConferenceId) -> Conference | None:
        row = self._one(_BY_ID, key=conference_id)
        return None if row is None else _conference(row)

    def live(self, account_id: AccountId, name: str) -> Conference | None:
        row = self._one(_LIVE, account_id=account_id, name=name)
        return None if row is None else _conference(row)

    def last(self, account_id: AccountId, name: str) -> Conference | None:
        """The newest of that name, live or ended."""
        row = self._one(_LAST, account_id=account_id, name=name)
        return None if row is None else _conference(row)

    def list(
        self,
        account_id: AccountId | None,
        *,
        only_live: bool,
        limit: int,
        name: str | None = None,
        state: ConferenceState | None = None,
    ) -> Sequence[Conference]:
        """Newest first."""
        statement = listing(conferences, account_id, limit=limit)
        if only_live:
            statement = statement.where(_IS_LIVE)
        if name is not None:
            statement = statement.where(conferences.c.name == name)
        if state is not None:
            statement = statement.where(conferences.c.state == state.value)
        return [_conference(row) for row in self._all(statement)]

    def open_of(self, node_id: NodeId) -> Sequence[Conference]:
        return [_conference(row) for row in self._all(_OPEN_OF, node_id=node_id)]


def _values(conference: Conference) -> Values:
    return {
        "id": conference.id,
        "account_id": conference.account_id,
        "name": conference.name,
        "node_id": conference.node_id,
        "state": conference.state.value,
        "dialect": conference.dialect,
        "creator_call_id": conference.creator_call_id,
        "max_participants": conference.max_participants,
        "extras": dict(conference.extras),
        "created_at_ms": conference.created_at_ms,
        "expires_at_ms": conference.expires_at_ms,
        "ended_at_ms": conference.ended_at_ms,
        "end_reason": conference.end_reason,
    }


def _conference(row: sa.Row[Any]) -> Conference:
    return Conference(
        id=ConferenceId(row.id),
        account_id=AccountId(row.account_id),
        name=row.name,
        node_id=NodeId(row.node_id),
        state=ConferenceState(row.state),
        dialect=row.dialect,
        creator_call_id=CallId(row.creator_call_id),
        max_participants=row.max_participants,
        extras=row.extras,
        created_at_ms=EpochMs(row.created_at_ms),
        expires_at_ms=row.expires_at_ms,
        ended_at_ms=row.ended_at_ms,
        end_reason=None if row.end_reason is None else ConferenceEnd(row.end_reason),
    )
