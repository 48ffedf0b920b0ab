"""What the repositories share: statements are built once, rows are written whole."""

from collections.abc import Mapping
from typing import Any, NoReturn

import sqlalchemy as sa

Values = Mapping[str, Any]


class RowMissing(LookupError):
    """An update of something that was never added: our own error."""


class Rows:
    """A repository over one connection, inside the transaction that the store opened."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def _one(self, statement: sa.Select[Any], **parameters: object) -> sa.Row[Any] | None:
        return self._connection.execute(statement, parameters).first()

    def _all(self, statement: sa.Select[Any], **parameters: object) -> list[sa.Row[Any]]:
        return list(self._connection.execute(statement, parameters))

    def _insert(self, statement: sa.Insert, values: Values) -> None:
        self._connection.execute(statement, dict(values))

    def _update(self, statement: sa.Update, key: str, values: Values) -> None:
        """Raises RowMissing."""
        if self._connection.execute(statement, {**values, "key": key}).rowcount != 1:
            missing(statement, key)


def missing(statement: sa.Update, key: str) -> NoReturn:
    raise RowMissing(f"no row {key!r} in {statement.table}")


def by_id(table: sa.Table) -> sa.Select[Any]:
    """Parameter `key`."""
    return sa.select(table).where(table.c.id == sa.bindparam("key"))


def update_by_id(table: sa.Table) -> sa.Update:
    """Parameter `key`; the columns to set are those of the other parameters."""
    return table.update().where(table.c.id == sa.bindparam("key"))


def listing(table: sa.Table, account_id: str | None, *, limit: int | None) -> sa.Select[Any]:
    """Newest first, of one account or of all."""
    statement = sa.select(table).order_by(table.c.seq.desc())
    if account_id is not None:
        statement = statement.where(table.c.account_id == account_id)
    return statement if limit is None else statement.limit(limit)
