"""Trunks: rows, what the core is told of them, what it tells of them, their calls."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.control.support import World, document

from tapeline.control.trunks.commands import take_up
from tapeline.domain import event
from tapeline.domain.call import CallState, EndCause, EndSource
from tapeline.domain.command import (
    AddEndpoint,
    AddTrunk,
    CheckTrunk,
    CreateAccount,
    GetTrunk,
    ListCalls,
    ListTrunks,
    RemoveTrunk,
    SetTrunkPassword,
    TrunkView,
)
from tapeline.domain.e164 import NumberRules
from tapeline.domain.endpoint import hash_password
from tapeline.domain.error import (
    AlreadyExists,
    Conflict,
    EngineFailed,
    Invalid,
    TrunkNotFound,
    Unavailable,
)
from tapeline.domain.id import AccountId, EpochMs, TrunkId
from tapeline.domain.signal import TrunkRegistered, TrunkTarget, TrunkUnregistered
from tapeline.domain.trunk import CallerRules, Trunk
from tapeline.domain.trunk import TrunkTarget as Target

FIRST, SECOND = "sip:a.carrier.example", "sip:b.carrier.example:5070;transport=tcp"
PASSWORD = "a carrier's secret"
REGISTERS = {"username": "us", "password": PASSWORD, "registers": True}


def trunk(node: World, name: str = "carrier", **more: Any) -> Trunk:
    fields = {"targets": (Target(uri=FIRST), Target(uri=SECOND, priority=20)), **more}
    return Trunk(
        id=TrunkId(""),
        name=name,
        created_at_ms=EpochMs(0),
        **{"account_id": node.account.id, **fields},
    )


async def added(
    node: World, name: str = "carrier", *, password: str = "", **more: Any
) -> TrunkView:
    return await node.control.execute(AddTrunk(trunk=trunk(node, name, **more), password=password))


async def registering(node: World) -> TrunkView:
    return await added(
        node, username="us", password=PASSWORD, registers=True, sources=("192.0.2.0/24",)
    )


async def checked(node: World, name: str = "carrier") -> TrunkView:
    return await node.control.execute(CheckTrunk(account_id=None, name=name))


async def test_a_node_takes_up_the_trunks_that_are_there(node: World) -> None:
    view = await registering(node)
    assert node.engine.commands == []

    await take_up(node.parts)

    assert node.engine.sources == {view.trunk.id: ["192.0.2.0/24"]}
    assert node.engine.watched == {view.trunk.id: [FIRST, SECOND]}
    (register,) = [each for each in node.engine.commands if each.name == "register"]
    assert register.arguments == {
        "trunk": view.trunk.id,
        "registrar": FIRST,
        "aor": "sip:us@a.carrier.example",
        "username": "us",
        "password": PASSWORD,
        "expires_s": 600,
    }


async def test_what_is_added_removed_and_changed_reaches_a_running_core(node: World) -> None:
    await take_up(node.parts)
    view = await registering(node)
    assert node.engine.registrations == {view.trunk.id: FIRST}

    await node.control.execute(
        SetTrunkPassword(account_id=None, name="carrier", password="another secret")
    )
    registers = [each for each in node.engine.commands if each.name == "register"]
    assert registers[-1].arguments["password"] == "another secret"

    await node.control.execute(RemoveTrunk(account_id=None, name="carrier"))
    assert (node.engine.registrations, node.engine.watched, node.engine.sources) == ({}, {}, {})
    assert await node.control.execute(ListTrunks()) == ()


async def test_a_trunk_that_the_core_refuses_keeps_no_other_from_being_taken_up(
    node: World,
) -> None:
    await added(node, "first", username="us", password=PASSWORD, registers=True)
    second = await added(node, "second", username="us", password=PASSWORD, registers=True)
    node.engine.refuse_next("register", EngineFailed("register", "no such host"))

    await take_up(node.parts)

    assert node.engine.registrations == {second.trunk.id: FIRST}


async def test_a_trunk_that_proves_itself_is_known_by_its_digest(node: World) -> None:
    await take_up(node.parts)

    view = await added(node, username="us", password=PASSWORD, proves_itself=True)

    hashes = hash_password("us", "tapeline", PASSWORD)
    assert node.engine.credentials == [("us", view.trunk.id, hashes.md5, hashes.sha256)]


async def test_a_check_says_what_the_core_has_told(node: World) -> None:
    await take_up(node.parts)
    trunk_id = (await registering(node)).trunk.id
    node.engine.post(TrunkRegistered(trunk=trunk_id, expires_s=300))
    node.engine.post(TrunkTarget(trunk=trunk_id, uri=FIRST, is_up=True, sip_status=200))
    node.engine.post(TrunkTarget(trunk=trunk_id, uri=SECOND, is_up=False, sip_status=503))
    await node.settled()

    state = (await checked(node)).state
    assert state is not None
    assert (state.registration.is_registered, state.registration.expires_s) == (True, 300)
    assert {uri: each.is_up for uri, each in state.targets.items()} == {FIRST: True, SECOND: False}
    assert state.targets[SECOND].sip_status == 503

    node.engine.post(TrunkUnregistered(trunk=trunk_id, sip_status=403, detail="wrong password"))
    await node.settled()
    state = (await checked(node)).state
    assert state is not None
    assert not state.registration.is_registered
    assert (state.registration.sip_status, state.registration.detail) == (403, "wrong password")


async def test_without_a_running_node_nobody_knows_how_a_trunk_fares(node: World) -> None:
    view = await added(node)

    assert view.state is None
    with pytest.raises(Unavailable):
        await checked(node)


async def test_no_password_leaves_the_control_plane(node: World) -> None:
    views = [
        await registering(node),
        *await node.control.execute(ListTrunks()),
        await node.control.execute(GetTrunk(account_id=None, name="carrier")),
    ]

    assert {(view.trunk.password, view.has_password) for view in views} == {("", True)}
    assert PASSWORD not in repr(AddTrunk(trunk=trunk(node), password=PASSWORD))


async def test_a_name_that_two_accounts_have_needs_the_account(node: World) -> None:
    other = await node.control.execute(CreateAccount(name="Other"))
    await added(node)
    await added(node, account_id=other.account.id)

    with pytest.raises(Invalid):
        await node.control.execute(GetTrunk(account_id=None, name="carrier"))
    found = await node.control.execute(GetTrunk(account_id=other.account.id, name="carrier"))
    assert found.trunk.account_id == other.account.id


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a carrier"},
        {"targets": ()},
        {"targets": (Target(uri="http://carrier.example"),)},
        {"targets": (Target(uri="sip:carrier.example;lr\r\nX: y"),)},
        {"targets": (Target(uri=FIRST, weight=-1),)},
        {"targets": tuple(Target(uri=f"sip:{n}.example") for n in range(17))},
        {"targets": (Target(uri=FIRST), Target(uri=FIRST))},
        {"sources": ("192.0.2.1/24",)},
        {"sources": ("carrier.example",)},
        {"sources": tuple(f"192.0.2.{n}" for n in range(65))},
        {"registers": True},
        {"proves_itself": True},
        {"username": "us", "password": "short"},
        {
            "username": "us",
            "password": PASSWORD,
            "registers": True,
            "targets": (),
            "sources": ("::1",),
        },
        {"register_expires_s": 59},
        {"watch_every_s": -1},
        {"channel_limit": -1},
        {"codecs": ("G729",)},
        {"numbers": NumberRules(country="049")},
        {"numbers": NumberRules(prefix="9a")},
        {"caller": CallerRules(is_fixed=True)},
        {"caller": CallerRules(number="line\r\nbreak")},
    ],
)
async def test_what_cannot_be_a_trunk_is_refused(node: World, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await added(node, **fields)

    assert await node.control.execute(ListTrunks()) == ()


async def test_a_source_or_a_user_is_of_one_trunk(node: World) -> None:
    proof: dict[str, Any] = {"username": "us", "password": PASSWORD, "proves_itself": True}
    await added(node, sources=("192.0.2.0/24",), **proof)
    await node.control.execute(
        AddEndpoint(account_id=node.account.id, username="alice", password=PASSWORD)
    )

    with pytest.raises(Conflict, match="carrier"):
        await added(node, "other", sources=("192.0.2.0/24",))
    with pytest.raises(Conflict):
        await added(node, "other", **proof)
    with pytest.raises(Conflict):
        await added(node, "other", username="alice", password=PASSWORD, proves_itself=True)
    with pytest.raises(AlreadyExists):
        await node.control.execute(
            AddEndpoint(account_id=node.account.id, username="us", password=PASSWORD)
        )
    with pytest.raises(AlreadyExists):
        await added(node)


async def test_another_account_s_trunk_is_not_found(node: World) -> None:
    await added(node)

    with pytest.raises(TrunkNotFound):
        await node.control.execute(
            RemoveTrunk(account_id=AccountId("MA" + "Z" * 18), name="carrier")
        )


# calls that come in


async def test_numbers_of_a_trunk_s_call_are_kept_as_e164(node: World) -> None:
    view = await added(node, numbers=NumberRules(country="49"))
    await node.application("+4930123*", answer_document=document(("wait", {"duration_ms": 9})))

    node.engine.arrive(called="030 123456", caller="0049 171 1234567", owner=view.trunk.id)
    (arrived,) = await node.happened(event.CallArrived)

    assert (arrived.call.called, arrived.call.caller) == ("+4930123456", "+491711234567")
    assert arrived.call.matched == "456"


async def test_a_number_may_be_added_as_the_carrier_writes_it(node: World) -> None:
    view = await added(node, numbers=NumberRules(country="49"))
    await node.application("030123456", answer_document=document(("wait", {"duration_ms": 9})))

    node.engine.arrive(called="030123456", owner=view.trunk.id)
    (arrived,) = await node.happened(event.CallArrived)

    assert arrived.call.called == "030123456"


async def test_a_trunk_refuses_more_calls_than_it_may_have(node: World) -> None:
    await node.room_application()
    view = await added(node, channel_limit=1)
    first = node.engine.arrive(called="room-a", owner=view.trunk.id)
    await node.happened(event.ParticipantJoined)

    node.engine.arrive(called="room-a", owner=view.trunk.id)
    await node.until(lambda: node.parts.counts.values.get("calls_refused_by_full_trunks"))
    await node.settled()
    (refusal,) = [each for each in node.engine.commands if each.name == "reject"]
    refused, _ = await node.control.execute(ListCalls())

    assert refusal.arguments["status"] == 503
    assert (refused.state, refused.end_cause) == (CallState.ENDED, EndCause.BUSY)
    assert refused.end_source is EndSource.SYSTEM
    assert "carrier has 1 calls" in (refused.end_detail or "")

    node.engine.hang_up_from_outside(first)
    await node.happened(event.CallEnded)
    node.engine.arrive(called="room-a", owner=view.trunk.id)
    await node.happened(event.CallArrived, 2)


async def test_a_call_that_finds_nothing_takes_no_channel(node: World) -> None:
    view = await added(node, channel_limit=1)

    node.engine.arrive(called="nobody", owner=view.trunk.id)
    await node.settled()

    assert node.parts.trunks.of(view.trunk.id).channels == 0
    assert replace(view.trunk) == view.trunk
