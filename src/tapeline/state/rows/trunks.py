"""Rows of trunks; the password is sealed before it reaches the database."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tapeline.domain.error import AlreadyExists
from tapeline.domain.id import AccountId, ApplicationId, EpochMs, TrunkId
from tapeline.domain.trunk import Trunk
from tapeline.state.codec import decode_trunk, encode_trunk
from tapeline.state.rows.base import Rows, Values, by_id, update_by_id
from tapeline.state.schema import trunks
from tapeline.state.vault import Vault

_INSERT = trunks.insert()
_UPDATE = update_by_id(trunks)
_BY_ID = by_id(trunks)
_BY_NAME = sa.select(trunks).where(
    trunks.c.account_id == sa.bindparam("account"), trunks.c.name == sa.bindparam("name")
)
_REMOVE = trunks.delete().where(trunks.c.id == sa.bindparam("key"))


class TrunkRows(Rows):
    def __init__(self, connection: sa.Connection, vault: Vault) -> None:
        super().__init__(connection)
        self._vault = vault

    def add(self, trunk: Trunk) -> None:
        """Raises AlreadyExists: an account has each name once."""
        try:
            with self._connection.begin_nested():
                self._insert(_INSERT, self._values(trunk))
        except IntegrityError as error:
            if self.by_name(trunk.account_id, trunk.name) is None:
                raise
            raise AlreadyExists(f"trunk {trunk.name}") from error

    def update(self, trunk: Trunk) -> None:
        self._update(_UPDATE, trunk.id, self._values(trunk))

    def get(self, trunk_id: TrunkId) -> Trunk | None:
        row = self._one(_BY_ID, key=trunk_id)
        return None if row is None else self._trunk(row)

    def by_name(self, account_id: AccountId, name: str) -> Trunk | None:
        row = self._one(_BY_NAME, account=account_id, name=name)
        return None if row is None else self._trunk(row)

    def all(self, account_id: AccountId | None) -> Sequence[Trunk]:
        """In the order they were added."""
        statement = sa.select(trunks).order_by(trunks.c.seq)
        if account_id is not None:
            statement = statement.where(trunks.c.account_id == account_id)
        return [self._trunk(row) for row in self._all(statement)]

    def remove(self, trunk_id: TrunkId) -> None:
        self._connection.execute(_REMOVE, {"key": trunk_id})

    def _values(self, trunk: Trunk) -> Values:
        return {
            "id": trunk.id,
            "account_id": trunk.account_id,
            "name": trunk.name,
            "password_sealed": self._vault.seal(trunk.password.encode(), _place(trunk.id)),
            "application_id": trunk.application_id,
            "settings": encode_trunk(trunk),
            "created_at_ms": trunk.created_at_ms,
        }

    def _trunk(self, row: sa.Row[Any]) -> Trunk:
        return Trunk(
            id=TrunkId(row.id),
            account_id=AccountId(row.account_id),
            name=row.name,
            password=self._vault.open(row.password_sealed, _place(row.id)).decode(),
            application_id=(
                None if row.application_id is None else ApplicationId(row.application_id)
            ),
            created_at_ms=EpochMs(row.created_at_ms),
            **decode_trunk(row.settings),
        )


def _place(trunk_id: str) -> str:
    return f"trunks/{trunk_id}/password"
