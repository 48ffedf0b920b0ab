"""Rows of numbers, and which one a called user part belongs to."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tapeline.domain.application import Number
from tapeline.domain.error import AlreadyExists
from tapeline.domain.id import AccountId, ApplicationId, EpochMs
from tapeline.state.rows.base import Rows, listing
from tapeline.state.schema import numbers

LONGEST_LITERAL = 255
"""Literal parts beyond this are not looked for: a called user part comes from outside."""

_INSERT = numbers.insert()
_TAKEN = sa.select(numbers.c.pattern).where(numbers.c.pattern == sa.bindparam("pattern"))
_REMOVE_OF = numbers.delete().where(numbers.c.application_id == sa.bindparam("of_application"))
_MATCH = (
    sa.select(numbers)
    .where(
        sa.or_(
            sa.and_(numbers.c.literal == sa.bindparam("called"), sa.not_(numbers.c.has_star)),
            sa.and_(
                numbers.c.literal.in_(sa.bindparam("beginnings", expanding=True)),
                numbers.c.has_star,
            ),
        ),
    )
    .order_by(numbers.c.has_star, sa.func.length(numbers.c.literal).desc())
    .limit(1)
)


class NumberRows(Rows):
    def add(self, number: Number) -> None:
        """Raises AlreadyExists."""
        if self._connection.execute(_TAKEN, {"pattern": number.pattern}).first() is not None:
            raise AlreadyExists(f"number {number.pattern}")
        values = {
            "pattern": number.pattern,
            "literal": number.literal,
            "has_star": number.pattern.endswith("*"),
            "account_id": number.account_id,
            "application_id": number.application_id,
            "created_at_ms": number.created_at_ms,
        }
        try:
            with self._connection.begin_nested():
                self._insert(_INSERT, values)
        except IntegrityError as error:
            # Another node of the same database was quicker, or there is no such application.
            if self._connection.execute(_TAKEN, {"pattern": number.pattern}).first() is None:
                raise
            raise AlreadyExists(f"number {number.pattern}") from error

    def all(self, account_id: AccountId | None) -> Sequence[Number]:
        """Newest first."""
        return [_number(row) for row in self._all(listing(numbers, account_id, limit=None))]

    def remove_of(self, application_id: ApplicationId) -> None:
        """Every number that leads to that application."""
        self._connection.execute(_REMOVE_OF, {"of_application": application_id})

    def match(self, called: str) -> Number | None:
        """An exact number, else the pattern with the longest literal part."""
        beginnings = [called[:end] for end in range(min(len(called), LONGEST_LITERAL) + 1)]
        row = self._one(_MATCH, called=called, beginnings=beginnings)
        return None if row is None else _number(row)


def _number(row: sa.Row[Any]) -> Number:
    return Number(
        pattern=row.pattern,
        account_id=AccountId(row.account_id),
        application_id=ApplicationId(row.application_id),
        created_at_ms=EpochMs(row.created_at_ms),
    )
