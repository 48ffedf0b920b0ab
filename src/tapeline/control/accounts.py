"""Use cases about accounts."""

import base64
from collections.abc import Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tapeline.control.checks import check_url
from tapeline.control.credentials import hash_api_key
from tapeline.control.parts import DialectRules, Parts
from tapeline.domain.account import Account, AccountSettings, LinkPolicy, RecordingHabits
from tapeline.domain.command import (
    AccountCreated,
    CreateAccount,
    GetAccount,
    ListAccounts,
    SetAccount,
)
from tapeline.domain.error import AccountNotFound, Invalid, InvalidChoice, OutOfRange
from tapeline.domain.id import new_account_id, new_api_key, new_auth_token
from tapeline.domain.port import Transaction
from tapeline.domain.signal import PauseAs

_LONGEST_LIFE_S = 10 * 365 * 24 * 3600
_HIGHEST_RATE = 1_000_000
_MOST_DAYS = 36_500
_DAY_S = 24 * 3600
_HABIT_RANGES = {
    "pause_limit_s": (0, _DAY_S),
    "beep_every_s": (0, _DAY_S),
    "beep_level_db": (-60, 0),
}
_HABITS = ("pause_as", "beep_in_file", "tracks", *_HABIT_RANGES)


async def create_account(parts: Parts, command: CreateAccount) -> AccountCreated:
    if not command.name.strip():
        raise Invalid(field="name", value=command.name, expected="a name")
    key = Ed25519PrivateKey.generate()
    auth_token, api_key = new_auth_token(), new_api_key()
    account = Account(
        id=new_account_id(),
        name=command.name.strip(),
        auth_token=auth_token,
        api_key_hash=hash_api_key(api_key),
        signing_seed=key.private_bytes_raw(),
        public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        created_at_ms=parts.clock.now_ms(),
    )
    await parts.store.write(lambda tx: tx.accounts.add(account))
    return AccountCreated(account=account, auth_token=auth_token, api_key=api_key)


async def set_account(parts: Parts, command: SetAccount) -> Account:
    def work(tx: Transaction) -> Account:
        account = tx.accounts.get(command.account_id)
        if account is None:
            raise AccountNotFound(command.account_id)
        changed = replace(
            account, settings=changed_settings(account.settings, command, parts.dialects)
        )
        tx.accounts.update(changed)
        return changed

    try:
        return await parts.store.write(work)
    finally:
        parts.accounts.forget(command.account_id)


async def get_account(parts: Parts, command: GetAccount) -> Account:
    return await parts.accounts.get(command.account_id)


async def list_accounts(parts: Parts, _command: ListAccounts) -> tuple[Account, ...]:
    return tuple(await parts.store.read(lambda tx: tx.accounts.all()))


def changed_settings(
    settings: AccountSettings, command: SetAccount, dialects: Mapping[str, DialectRules]
) -> AccountSettings:
    """An empty URL takes the URL away. Raises Invalid for a value that cannot be."""
    if command.link_policy is not None:
        settings = replace(settings, link_policy=_link_policy(command.link_policy))
    if command.link_life_s is not None:
        if not 1 <= command.link_life_s <= _LONGEST_LIFE_S:
            raise OutOfRange(
                field="link_life_s", value=command.link_life_s, low=1, high=_LONGEST_LIFE_S
            )
        settings = replace(settings, link_life_s=command.link_life_s)
    if command.keep_announcing is not None:
        settings = replace(settings, keep_announcing=command.keep_announcing)
    if command.transcription_rate is not None:
        settings = replace(settings, transcription_rate=_rate(command.transcription_rate))
    if command.webhook_url is not None:
        check_url("webhook_url", command.webhook_url or None)
        settings = replace(settings, webhook_url=command.webhook_url or None)
    if command.webhook_failover_url is not None:
        check_url("webhook_failover_url", command.webhook_failover_url or None)
        settings = replace(settings, webhook_failover_url=command.webhook_failover_url or None)
    settings = _with_keep_days(settings, command.keep_days)
    settings = replace(settings, recording=_changed_habits(settings.recording, command))
    for path, value in command.dialect_settings.items():
        settings = _with_dialect_setting(settings, path, value, dialects)
    return settings


def _changed_habits(habits: RecordingHabits, command: SetAccount) -> RecordingHabits:
    """Raises InvalidChoice, OutOfRange."""
    given = {name: getattr(command, name) for name in _HABITS}
    changes = {name: value for name, value in given.items() if value is not None}
    for name, (low, high) in _HABIT_RANGES.items():
        if name in changes and not low <= changes[name] <= high:
            raise OutOfRange(field=name, value=changes[name], low=low, high=high)
    word = changes.get("pause_as")
    if word is not None:
        if word not in tuple(PauseAs):
            raise InvalidChoice(field="pause_as", value=word, choices=tuple(PauseAs))
        changes["pause_as"] = PauseAs(word)
    return replace(habits, **changes)


def _with_keep_days(settings: AccountSettings, days: int | None) -> AccountSettings:
    if days is None:
        return settings
    if not 0 <= days <= _MOST_DAYS:
        raise OutOfRange(field="keep_days", value=days, low=0, high=_MOST_DAYS)
    return replace(settings, keep_days=days)


def _rate(price: float) -> float:
    if not 0.0 <= price <= _HIGHEST_RATE:  # not a number is refused too
        raise OutOfRange(field="transcription_rate", value=price, low=0, high=_HIGHEST_RATE)
    return price


def _link_policy(word: str) -> LinkPolicy:
    try:
        return LinkPolicy(word)
    except ValueError:
        raise InvalidChoice(field="link_policy", value=word, choices=tuple(LinkPolicy)) from None


def _with_dialect_setting(
    settings: AccountSettings, path: str, value: str, dialects: Mapping[str, DialectRules]
) -> AccountSettings:
    name, _, key = path.partition(".")
    known = tuple(f"{n}.{k}" for n, rules in dialects.items() for k in rules.settings)
    if path not in known:
        raise InvalidChoice(field="setting", value=path, choices=known)
    choices = dialects[name].settings[key]
    if choices and value not in choices:
        raise InvalidChoice(field=path, value=value, choices=choices)
    of_dialect = {**settings.dialect.get(name, {}), key: value}
    return replace(settings, dialect={**settings.dialect, name: of_dialect})
