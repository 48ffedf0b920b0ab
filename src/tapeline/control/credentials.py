"""Who is asking: accounts by their secrets, kept in memory until something about them changes."""

import hashlib
import hmac

from tapeline.domain.account import Account, Credentials
from tapeline.domain.error import AccountNotFound, Unauthenticated
from tapeline.domain.id import AccountId
from tapeline.domain.port import Store

_KEPT = 1024


def hash_api_key(api_key: str) -> str:
    """As rows keep it. The key is random and long, so a plain hash cannot be guessed back."""
    return hashlib.sha256(api_key.encode()).hexdigest()


class AccountCache:
    """Accounts as last committed; the thousand asked for first stay in memory.

    `forget` must be called after every change of an account, or the old secrets go on working.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._accounts: dict[AccountId, Account] = {}
        self._ids_by_key_hash: dict[str, AccountId] = {}
        self._changes = 0

    def forget(self, account_id: AccountId) -> None:
        self._changes += 1
        gone = self._accounts.pop(account_id, None)
        if gone is not None:
            self._ids_by_key_hash.pop(gone.api_key_hash, None)

    async def get(self, account_id: AccountId) -> Account:
        """Raises AccountNotFound."""
        if (known := self._accounts.get(account_id)) is not None:
            return known
        before = self._changes
        account = await self._store.read(lambda tx: tx.accounts.get(account_id))
        if account is None:
            raise AccountNotFound(account_id)
        self._keep(account, before)
        return account

    async def authenticate(self, credentials: Credentials) -> Account:
        """Raises Unauthenticated, which does not say whether the account exists."""
        if credentials.account_id is not None:
            return await self._by_token(
                AccountId(credentials.account_id), credentials.auth_token or ""
            )
        if credentials.api_key is not None:
            return await self._by_api_key(credentials.api_key)
        raise Unauthenticated

    async def _by_token(self, account_id: AccountId, auth_token: str) -> Account:
        try:
            account = await self.get(account_id)
        except AccountNotFound:
            raise Unauthenticated from None
        if not hmac.compare_digest(account.auth_token.encode(), auth_token.encode()):
            raise Unauthenticated
        return account

    async def _by_api_key(self, api_key: str) -> Account:
        key_hash = hash_api_key(api_key)
        if (account_id := self._ids_by_key_hash.get(key_hash)) is not None:
            return await self.get(account_id)
        before = self._changes
        account = await self._store.read(lambda tx: tx.accounts.by_api_key_hash(key_hash))
        if account is None or not hmac.compare_digest(account.api_key_hash, key_hash):
            raise Unauthenticated
        self._keep(account, before)
        return account

    def _keep(self, account: Account, read_at_change: int) -> None:
        # An account read before a change may be the old one: it serves this request only.
        if read_at_change == self._changes and len(self._accounts) < _KEPT:
            self._accounts[account.id] = account
            self._ids_by_key_hash[account.api_key_hash] = account.id
