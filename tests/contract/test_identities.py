"""What a store keeps of endpoints, trunks and policies. The same tests over each back end."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract import stores
from tests.contract.stores import ACCOUNT_ID, OTHER_ID

from tapeline.domain.e164 import NumberRules
from tapeline.domain.endpoint import Binding, Endpoint, hash_password
from tapeline.domain.error import AlreadyExists
from tapeline.domain.id import (
    AccountId,
    ApplicationId,
    EndpointId,
    EpochMs,
    PolicyId,
    TrunkId,
)
from tapeline.domain.policy import PolicySubject, RecordFrom, RecordPolicy
from tapeline.domain.recording import Layout, RecordingFormat, RecordingOptions
from tapeline.domain.trunk import CallerRules, SrtpPolicy, Trunk, TrunkTarget
from tapeline.state import MasterKeyInvalid, SqlStore, Vault


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await stores.open_sqlite(tmp_path)
    await opened.write(stores.add_basics)
    yield opened
    await opened.close()


def endpoint(username: str = "alice", account_id: AccountId = ACCOUNT_ID) -> Endpoint:
    return Endpoint(
        id=EndpointId(f"id-of-{username}"),
        account_id=account_id,
        username=username,
        realm="home",
        hashes=hash_password(username, "home", "open sesame"),
        application_id=ApplicationId("1" * 17),
        caller="+4930123456",
        created_at_ms=EpochMs(1),
    )


def binding(contact: str, of: str = "alice") -> Binding:
    return Binding(
        endpoint_id=EndpointId(f"id-of-{of}"),
        contact=contact,
        route="tls;192.0.2.1:40000",
        expires_unix_ms=1_800_000_000_000,
    )


def trunk(name: str = "carrier", account_id: AccountId = ACCOUNT_ID, **more: Any) -> Trunk:
    fields = {
        "targets": (TrunkTarget(uri="sip:a.example", priority=1, weight=3),),
        "priority": 5,
        "username": "us",
        "password": "a carrier's secret",
        "registers": True,
        "register_expires_s": 300,
        "proves_itself": True,
        "sources": ("192.0.2.0/24",),
        "application_id": ApplicationId("1" * 17),
        "watch_every_s": 10,
        "channel_limit": 3,
        "codecs": ("PCMA",),
        "srtp": SrtpPolicy.REQUIRE,
        "numbers": NumberRules(country="49", strip="9", prefix="8", has_plus=False),
        "caller": CallerRules(number="+4930", is_fixed=True, is_asserted=True, is_private=True),
    }
    return Trunk(
        id=TrunkId(f"id-of-{account_id}-{name}"),
        account_id=account_id,
        name=name,
        created_at_ms=EpochMs(1),
        **(fields | more),
    )


def policy(subject_id: str, **more: Any) -> RecordPolicy:
    fields = {
        "id": PolicyId(f"policy-{subject_id}"),
        "account_id": ACCOUNT_ID,
        "subject": PolicySubject.ENDPOINT,
        "begins": RecordFrom.BRIDGE,
        "options": RecordingOptions(
            format=RecordingFormat.WAV, layout=Layout.CALLER_CALLEE, beep=True
        ),
        "created_at_ms": EpochMs(1),
    }
    return RecordPolicy(subject_id=subject_id, **(fields | more))


def is_in_files(secret: bytes, folder: Path) -> bool:
    return any(secret in file.read_bytes() for file in folder.glob("tapeline.db*"))


# endpoints


async def test_an_endpoint_comes_back_whole(store: SqlStore) -> None:
    await store.write(lambda tx: tx.endpoints.add(endpoint()))

    assert await store.read(lambda tx: tx.endpoints.get(endpoint().id)) == endpoint()
    assert await store.read(lambda tx: tx.endpoints.by_username("alice")) == endpoint()
    assert await store.read(lambda tx: tx.endpoints.by_username("bob")) is None


async def test_a_username_is_taken_once_on_a_node(store: SqlStore) -> None:
    await store.write(lambda tx: tx.endpoints.add(endpoint()))
    of_other = replace(endpoint(account_id=OTHER_ID), id=EndpointId("another"))

    with pytest.raises(AlreadyExists, match="alice"):
        await store.write(lambda tx: tx.endpoints.add(of_other))


async def test_endpoints_are_listed_by_account(store: SqlStore) -> None:
    for each in (endpoint("zoe"), endpoint("adam"), endpoint("bob", OTHER_ID)):
        await store.write(lambda tx, each=each: tx.endpoints.add(each))  # type: ignore[misc]

    of_one = await store.read(lambda tx: tx.endpoints.all(ACCOUNT_ID))
    of_all = await store.read(lambda tx: tx.endpoints.all(None))

    assert [each.username for each in of_one] == ["adam", "zoe"]
    assert [each.username for each in of_all] == ["adam", "bob", "zoe"]


async def test_an_endpoint_s_bindings_are_replaced_whole_and_go_with_it(store: SqlStore) -> None:
    for name in ("alice", "bob"):
        await store.write(lambda tx, name=name: tx.endpoints.add(endpoint(name)))  # type: ignore[misc]
    of_bob = [binding("sip:bob@192.0.2.9", "bob")]
    await store.write(lambda tx: tx.endpoints.replace_bindings(endpoint("bob").id, of_bob))
    first, second = binding("sip:alice@192.0.2.1"), binding("sip:alice@192.0.2.2")

    for bound in ([first, second], [second]):
        await store.write(
            lambda tx, bound=bound: tx.endpoints.replace_bindings(  # type: ignore[misc]
                endpoint().id, bound
            )
        )

    assert await store.read(lambda tx: tx.endpoints.bindings(endpoint().id)) == [second]
    assert await store.read(lambda tx: tx.endpoints.bindings(None)) == [second, *of_bob]

    await store.write(lambda tx: tx.endpoints.remove(endpoint().id))
    assert await store.read(lambda tx: tx.endpoints.bindings(None)) == of_bob
    assert await store.read(lambda tx: tx.endpoints.get(endpoint().id)) is None


async def test_an_endpoint_s_row_holds_no_password(store: SqlStore, tmp_path: Path) -> None:
    await store.write(lambda tx: tx.endpoints.add(endpoint()))
    await store.close()

    assert is_in_files(b"alice", tmp_path)
    assert not is_in_files(b"open sesame", tmp_path)
    assert "open sesame" not in repr(endpoint())
    assert endpoint().hashes.md5 not in repr(endpoint())


# trunks


async def test_a_trunk_comes_back_whole(store: SqlStore) -> None:
    await store.write(lambda tx: tx.trunks.add(trunk()))

    assert await store.read(lambda tx: tx.trunks.get(trunk().id)) == trunk()
    assert await store.read(lambda tx: tx.trunks.by_name(ACCOUNT_ID, "carrier")) == trunk()
    assert await store.read(lambda tx: tx.trunks.by_name(OTHER_ID, "carrier")) is None


async def test_a_trunk_s_name_is_taken_once_in_its_account(store: SqlStore) -> None:
    await store.write(lambda tx: tx.trunks.add(trunk()))
    await store.write(lambda tx: tx.trunks.add(trunk(account_id=OTHER_ID)))
    again = replace(trunk(), id=TrunkId("another"))

    with pytest.raises(AlreadyExists, match="carrier"):
        await store.write(lambda tx: tx.trunks.add(again))
    assert len(await store.read(lambda tx: tx.trunks.all(None))) == 2


async def test_a_trunk_s_password_is_sealed_for_its_row(store: SqlStore, tmp_path: Path) -> None:
    await store.write(lambda tx: tx.trunks.add(trunk()))
    await store.close()

    assert not is_in_files(b"carrier's secret", tmp_path)
    assert "secret" not in repr(trunk())
    with pytest.raises(MasterKeyInvalid):
        await stores.open_sqlite(tmp_path, Vault(bytes(32)))


async def test_a_trunk_is_changed_and_removed(store: SqlStore) -> None:
    await store.write(lambda tx: tx.trunks.add(trunk()))
    changed = trunk(password="new", targets=(), sources=(), registers=False)

    await store.write(lambda tx: tx.trunks.update(changed))
    assert await store.read(lambda tx: tx.trunks.all(ACCOUNT_ID)) == [changed]

    await store.write(lambda tx: tx.trunks.remove(changed.id))
    assert await store.read(lambda tx: tx.trunks.all(None)) == []


# policies


async def test_a_subject_has_one_policy_the_last_that_was_put(store: SqlStore) -> None:
    await store.write(lambda tx: tx.policies.put(policy("a")))
    later = policy("a", id=PolicyId("later"), begins=RecordFrom.NEVER)
    of_number = policy("a", id=PolicyId("of-number"), subject=PolicySubject.NUMBER)

    await store.write(lambda tx: tx.policies.put(later))
    await store.write(lambda tx: tx.policies.put(of_number))

    assert await store.read(lambda tx: tx.policies.of(PolicySubject.ENDPOINT, "a")) == later
    assert await store.read(lambda tx: tx.policies.all(ACCOUNT_ID)) == [later, of_number]
    assert await store.read(lambda tx: tx.policies.all(OTHER_ID)) == []


async def test_removing_a_policy_says_whether_there_was_one(store: SqlStore) -> None:
    await store.write(lambda tx: tx.policies.put(policy("a")))

    assert await store.write(lambda tx: tx.policies.remove(PolicySubject.ENDPOINT, "a"))
    assert not await store.write(lambda tx: tx.policies.remove(PolicySubject.ENDPOINT, "a"))
