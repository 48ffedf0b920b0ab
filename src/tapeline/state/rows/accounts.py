"""Rows of accounts; their secrets are sealed before they reach the database."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.account import Account
from tapeline.domain.id import AccountId, EpochMs
from tapeline.state.codec import decode_settings, encode_settings
from tapeline.state.rows.base import Rows, Values, by_id, update_by_id
from tapeline.state.schema import accounts
from tapeline.state.vault import Vault

_INSERT = accounts.insert()
_UPDATE = update_by_id(accounts)
_BY_ID = by_id(accounts)
_BY_KEY = sa.select(accounts).where(accounts.c.api_key_hash == sa.bindparam("key_hash"))
_ALL = sa.select(accounts).order_by(accounts.c.seq)


class AccountRows(Rows):
    def __init__(self, connection: sa.Connection, vault: Vault) -> None:
        super().__init__(connection)
        self._vault = vault

    def add(self, account: Account) -> None:
        self._insert(_INSERT, self._values(account))

    def update(self, account: Account) -> None:
        self._update(_UPDATE, account.id, self._values(account))

    def get(self, account_id: AccountId) -> Account | None:
        row = self._one(_BY_ID, key=account_id)
        return None if row is None else self._account(row)

    def by_api_key_hash(self, api_key_hash: str) -> Account | None:
        row = self._one(_BY_KEY, key_hash=api_key_hash)
        return None if row is None else self._account(row)

    def all(self) -> Sequence[Account]:
        """In the order they were created."""
        return [self._account(row) for row in self._all(_ALL)]

    def _values(self, account: Account) -> Values:
        token = account.auth_token.encode()
        return {
            "id": account.id,
            "name": account.name,
            "auth_token_sealed": self._vault.seal(token, _place(account.id, "auth_token")),
            "api_key_hash": account.api_key_hash,
            "signing_seed_sealed": self._vault.seal(
                account.signing_seed, _place(account.id, "signing_seed")
            ),
            "public_key": account.public_key,
            "settings": encode_settings(account.settings),
            "created_at_ms": account.created_at_ms,
        }

    def _account(self, row: sa.Row[Any]) -> Account:
        token = self._vault.open(row.auth_token_sealed, _place(row.id, "auth_token"))
        return Account(
            id=AccountId(row.id),
            name=row.name,
            auth_token=token.decode(),
            api_key_hash=row.api_key_hash,
            signing_seed=self._vault.open(row.signing_seed_sealed, _place(row.id, "signing_seed")),
            public_key=row.public_key,
            settings=decode_settings(row.settings),
            created_at_ms=EpochMs(row.created_at_ms),
        )


def _place(account_id: str, column: str) -> str:
    return f"accounts/{account_id}/{column}"
