import base64
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.control.support import World, set_account

from tapeline.domain.account import Credentials
from tapeline.domain.command import Command, CreateAccount, GetAccount, ListAccounts, SetAccount
from tapeline.domain.error import AccountNotFound, Invalid, Unauthenticated
from tapeline.domain.id import AccountId

STRANGER = AccountId("MA" + "X" * 18)


async def test_a_new_account_has_its_secrets_and_keys(node: World) -> None:
    created = await node.control.execute(CreateAccount(name=" Ann "))

    account = created.account
    assert re.fullmatch(r"(MA|SA)[A-Z0-9]{18}", account.id)
    assert account.name == "Ann"
    key = Ed25519PrivateKey.from_private_bytes(account.signing_seed)
    assert base64.b64decode(account.public_key) == key.public_key().public_bytes_raw()
    assert created.api_key not in repr(account)
    assert created.auth_token not in repr(created)
    assert account in await node.control.execute(ListAccounts())


async def test_an_account_needs_a_name(node: World) -> None:
    with pytest.raises(Invalid):
        await node.control.execute(CreateAccount(name="  "))


async def test_right_credentials_are_let_in(node: World) -> None:
    by_token = Credentials(account_id=node.account.id, auth_token=node.auth_token)
    by_key = Credentials(api_key=node.api_key)

    for _ in range(2):  # from the rows, then from memory
        assert (await node.control.authenticate(by_token)).id == node.account.id
        assert (await node.control.authenticate(by_key)).id == node.account.id


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"account_id": "own"},
        {"account_id": "own", "auth_token": "wrong"},
        {"account_id": "own", "auth_token": "über"},
        {"account_id": STRANGER, "auth_token": "wrong"},
        {"auth_token": "wrong"},
        {"api_key": "KEYwrong"},
        {"api_key": ""},
    ],
)
async def test_wrong_credentials_are_all_refused_alike(node: World, fields: dict[str, str]) -> None:
    known = {k: node.account.id if v == "own" else v for k, v in fields.items()}

    with pytest.raises(Unauthenticated, match="credentials are missing or wrong"):
        await node.control.authenticate(Credentials(**known))


async def test_a_change_is_seen_at_once(node: World) -> None:
    credentials = Credentials(account_id=node.account.id, auth_token=node.auth_token)
    await node.control.authenticate(credentials)

    await set_account(
        node,
        link_policy="public",
        link_life_s=60,
        keep_announcing=False,
        transcription_rate=0.0095,
        webhook_url="https://example.com/hook",
        dialect_settings={"plain.tone": "high"},
    )
    account = await node.control.authenticate(credentials)

    settings = account.settings
    assert (settings.link_policy, settings.link_life_s) == ("public", 60)
    assert settings.keep_announcing is False
    assert settings.transcription_rate == 0.0095
    assert settings.webhook_url == "https://example.com/hook"
    assert settings.dialect == {"plain": {"tone": "high"}}
    cleared = await set_account(node, webhook_url="")
    assert cleared.settings.webhook_url is None
    assert cleared.settings.link_life_s == 60


@pytest.mark.parametrize(
    "fields",
    [
        {"link_policy": "open"},
        {"link_life_s": 0},
        {"link_life_s": 10**12},
        {"webhook_url": "ftp://example.com"},
        {"webhook_failover_url": "nonsense"},
        {"dialect_settings": {"plain.tone": "middle"}},
        {"dialect_settings": {"plain.colour": "red"}},
        {"dialect_settings": {"none": "red"}},
    ],
)
async def test_a_setting_that_cannot_be_changes_nothing(
    node: World, fields: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await set_account(node, **fields)
    assert await node.control.execute(GetAccount(account_id=node.account.id)) == node.account


@pytest.mark.parametrize(
    "command", [GetAccount(account_id=STRANGER), SetAccount(account_id=STRANGER)]
)
async def test_an_unknown_account_is_not_found(node: World, command: Command[Any]) -> None:
    with pytest.raises(AccountNotFound):
        await node.control.execute(command)


async def test_a_command_without_a_use_case_is_our_own_error(node: World) -> None:
    with pytest.raises(TypeError, match="Command"):
        await node.control.execute(Command())
