"""Rows of deliveries and their attempts: which are due, fairly by receiver, in order by key."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import sqlalchemy as sa

from tapeline.domain.delivery import Attempt, Delivery, DeliveryState, Failure
from tapeline.domain.id import AccountId, DeliveryId, EpochMs, EventId
from tapeline.state.codec import decode_message, encode_message
from tapeline.state.rows.base import Rows, Values, by_id, listing, update_by_id
from tapeline.state.schema import attempts, deliveries

_INSERT = deliveries.insert()
_UPDATE = update_by_id(deliveries)
_BY_ID = by_id(deliveries)
_INSERT_ATTEMPT = attempts.insert()
_ATTEMPTS = (
    sa.select(attempts)
    .where(attempts.c.delivery_id == sa.bindparam("delivery_id"))
    .order_by(attempts.c.number)
)
# Jumps from one destination to the next along the index: with 100,000 pending for ten receivers
# it reads ten entries, where DISTINCT would read them all.
_DESTINATIONS = sa.text(
    """
    WITH RECURSIVE hop(destination) AS (
        SELECT min(destination) FROM deliveries WHERE state = 'pending'
        UNION ALL
        SELECT (SELECT min(d.destination) FROM deliveries AS d
                WHERE d.state = 'pending' AND d.destination > hop.destination)
        FROM hop WHERE hop.destination IS NOT NULL
    )
    SELECT destination, first_due_ms FROM (
        SELECT hop.destination AS destination,
               (SELECT min(d.next_attempt_at_ms) FROM deliveries AS d
                WHERE d.state = 'pending' AND d.destination = hop.destination) AS first_due_ms
        FROM hop WHERE hop.destination IS NOT NULL
    ) AS found
    WHERE first_due_ms <= :now_ms
    ORDER BY first_due_ms
    """,
)
_IS_PENDING = deliveries.c.state == sa.literal_column("'pending'")
_earlier = deliveries.alias("earlier")
_DUE_AT = (
    sa.select(deliveries)
    .where(
        _IS_PENDING,
        deliveries.c.destination == sa.bindparam("destination"),
        deliveries.c.next_attempt_at_ms <= sa.bindparam("now_ms"),
        ~sa.exists().where(
            _earlier.c.order_key == deliveries.c.order_key,
            _earlier.c.state == sa.literal_column("'pending'"),
            _earlier.c.seq < deliveries.c.seq,
        ),
    )
    .order_by(deliveries.c.next_attempt_at_ms, deliveries.c.seq)
    .limit(sa.bindparam("most"))
)
_NEXT_DUE = sa.select(sa.func.min(deliveries.c.next_attempt_at_ms)).where(
    _IS_PENDING, deliveries.c.next_attempt_at_ms > sa.bindparam("after_ms")
)


_PENDING = sa.select(sa.func.count()).select_from(deliveries).where(_IS_PENDING)


class DeliveryRows(Rows):
    def add(self, delivery: Delivery) -> None:
        self._insert(_INSERT, _values(delivery))

    def update(self, delivery: Delivery) -> None:
        self._update(_UPDATE, delivery.id, _values(delivery))

    def get(self, delivery_id: DeliveryId) -> Delivery | None:
        row = self._one(_BY_ID, key=delivery_id)
        return None if row is None else _delivery(row)

    def add_attempt(self, attempt: Attempt) -> None:
        self._insert(
            _INSERT_ATTEMPT,
            {
                "delivery_id": attempt.delivery_id,
                "number": attempt.number,
                "at_ms": attempt.at_ms,
                "url": attempt.url,
                "status": attempt.status,
                "failure": attempt.failure,
                "reason": attempt.reason,
                "duration_ms": attempt.duration_ms,
            },
        )

    def attempts(self, delivery_id: DeliveryId) -> Sequence[Attempt]:
        return [_attempt(row) for row in self._all(_ATTEMPTS, delivery_id=delivery_id)]

    def due(
        self,
        now_ms: EpochMs,
        *,
        limit: int,
        per_destination: int | None = None,
        under_way: Mapping[str, AbstractSet[DeliveryId]] | None = None,
    ) -> Sequence[Delivery]:
        """Pending and due, oldest first; of one order key only the oldest pending.

        At most `per_destination` of one destination, those `under_way` (by destination) counted
        in and left out of the answer. A receiver with a long queue hides nobody else's.
        """
        busy = under_way or {}
        found: list[Delivery] = []
        for destination, _ in self._connection.execute(_DESTINATIONS, {"now_ms": now_ms}).all():
            running = busy.get(destination, frozenset())
            room = limit - len(found)
            if per_destination is not None:
                room = min(room, per_destination - len(running))
            if room > 0:
                rows = self._all(
                    _DUE_AT, destination=destination, now_ms=now_ms, most=room + len(running)
                )
                free = [_delivery(row) for row in rows if row.id not in running]
                found.extend(free[:room])
            if len(found) >= limit:
                break
        return sorted(found, key=lambda delivery: delivery.next_attempt_at_ms or 0)

    def next_due_ms(self, after_ms: EpochMs | None = None) -> EpochMs | None:
        """The earliest instant (after `after_ms`) at which a pending delivery is due."""
        parameters = {"after_ms": -1 if after_ms is None else after_ms}
        found: int | None = self._connection.execute(_NEXT_DUE, parameters).scalar()
        return None if found is None else EpochMs(found)

    def pending_count(self) -> int:
        return int(self._connection.execute(_PENDING).scalar_one())

    def list(
        self, account_id: AccountId | None, order_key: str | None, *, limit: int
    ) -> Sequence[Delivery]:
        """Newest first."""
        statement = listing(deliveries, account_id, limit=limit)
        if order_key is not None:
            statement = statement.where(deliveries.c.order_key == order_key)
        return [_delivery(row) for row in self._all(statement)]


def _values(delivery: Delivery) -> Values:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "account_id": delivery.account_id,
        "dialect": delivery.dialect,
        "event_name": delivery.event_name,
        "message": encode_message(delivery.message),
        "destination": delivery.message.destination,
        "order_key": delivery.message.order_key,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "next_attempt_at_ms": delivery.next_attempt_at_ms,
        "created_at_ms": delivery.created_at_ms,
        "finished_at_ms": delivery.finished_at_ms,
    }


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(
        id=DeliveryId(row.id),
        event_id=EventId(row.event_id),
        account_id=AccountId(row.account_id),
        dialect=row.dialect,
        event_name=row.event_name,
        message=decode_message(row.message),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        next_attempt_at_ms=row.next_attempt_at_ms,
        created_at_ms=EpochMs(row.created_at_ms),
        finished_at_ms=row.finished_at_ms,
    )


def _attempt(row: sa.Row[Any]) -> Attempt:
    return Attempt(
        delivery_id=DeliveryId(row.delivery_id),
        number=row.number,
        at_ms=EpochMs(row.at_ms),
        url=row.url,
        status=row.status,
        failure=None if row.failure is None else Failure(row.failure),
        reason=row.reason,
        duration_ms=row.duration_ms,
    )
