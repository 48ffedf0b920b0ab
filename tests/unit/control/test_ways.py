"""Calls that we make to numbers, to endpoints, to addresses: by which way, and by which next."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, HOOK, World

from tapeline.control.calls.ways import trunk_spec
from tapeline.control.trunks.choose import in_order
from tapeline.domain import event
from tapeline.domain.call import Call, CallState, EndCause, EndSource
from tapeline.domain.command import (
    AddEndpoint,
    AddTrunk,
    CreateAccount,
    CreateApplication,
    CreateCall,
    HangUpCall,
    ListCalls,
    SetPolicy,
)
from tapeline.domain.e164 import NumberRules
from tapeline.domain.error import EngineFailed, Invalid, NotRegistered, TrunksFull
from tapeline.domain.id import AccountId, EpochMs, TrunkId
from tapeline.domain.policy import PolicySubject
from tapeline.domain.signal import CallEnded, DialSpec, EndpointRegistered, LegHandle
from tapeline.domain.signal import TrunkTarget as TargetTold
from tapeline.domain.trunk import CallerRules, SrtpPolicy, Trunk, TrunkTarget

DESK = ("sip:alice@192.0.2.1:5060", "udp;192.0.2.1:5060", 1_900_000_000_000)
MOBILE = ("sip:alice@192.0.2.2;transport=tls", "tls;198.51.100.7:40000", 1_900_000_000_000)
A, B = "sip:a.carrier.example", "sip:b.carrier.example:5070;transport=tcp"
NUMBER = "+4930123456"


async def alice(node: World, *contacts: tuple[str, str, int]) -> str:
    view = await node.control.execute(
        AddEndpoint(account_id=node.account.id, username="alice", password="long enough")
    )
    node.engine.post(EndpointRegistered(owner=view.id, contacts=list(contacts)))
    await node.settled()
    return view.id


def a_trunk(account_id: AccountId, name: str = "carrier", **more: Any) -> Trunk:
    fields = {"targets": (TrunkTarget(uri=A), TrunkTarget(uri=B, priority=20)), **more}
    return Trunk(
        id=TrunkId(name), name=name, account_id=account_id, created_at_ms=EpochMs(0), **fields
    )


async def carrier(node: World, name: str = "carrier", **more: Any) -> TrunkId:
    added = a_trunk(node.account.id, name, **more)
    password = "a carrier's secret" if added.username else ""
    view = await node.control.execute(AddTrunk(trunk=added, password=password))
    return view.trunk.id


async def called(node: World, target: str, **more: Any) -> Call:
    application = await node.control.execute(
        CreateApplication(account_id=node.account.id, dialect=COMMANDED, name="a", answer_url=HOOK)
    )
    return await node.control.execute(
        CreateCall(
            account_id=node.account.id,
            application_id=application.id,
            dialect=COMMANDED,
            target=target,
            caller="+4940987654",
            **more,
        )
    )


def specs(node: World) -> list[DialSpec]:
    return [
        each.arguments["spec"]  # type: ignore[misc]
        for each in node.engine.commands
        if each.name == "dial"
    ]


def ringing(node: World) -> list[LegHandle]:
    return sorted(leg for leg, known in node.engine.legs.items() if known.dialled is not None)


async def ended(node: World) -> Call:
    (told,) = await node.happened(event.CallEnded)
    await node.settled()
    return told.call


def unreachable(node: World, leg: LegHandle) -> None:
    del node.engine.legs[leg]
    node.engine.post(CallEnded(leg=leg, by="unreachable", sip_status=0))


# An endpoint rings wherever it is.


@pytest.mark.parametrize("target", ["alice", "sip:alice@tapeline", "sip:alice@TAPELINE"])
async def test_every_place_of_an_endpoint_rings_at_once(node: World, target: str) -> None:
    await alice(node, DESK, MOBILE)

    await called(node, target)

    assert [(spec.uri, spec.route) for spec in specs(node)] == [DESK[:2], MOBILE[:2]]
    assert len(node.seen(event.CallDialled)) == 1


async def test_the_first_place_that_answers_is_the_call(node: World) -> None:
    await alice(node, DESK, MOBILE)
    call = await called(node, "alice")
    desk, mobile = ringing(node)
    node.engine.ring_from_outside(desk)
    node.engine.ring_from_outside(mobile)

    node.engine.answer_from_outside(mobile)
    (answered,) = await node.happened(event.CallAnswered)
    await node.settled()

    assert ringing(node) == [mobile]
    assert node.parts.live.calls_by_id[call.id].leg == mobile
    assert set(node.parts.live.calls) == {mobile}
    assert not node.parts.live.refused
    assert (answered.call.id, len(node.seen(event.CallRinging))) == (call.id, 1)
    assert node.seen(event.CallEnded) == []

    node.engine.hang_up_from_outside(mobile)
    assert (await ended(node)).end_cause is EndCause.NORMAL
    assert node.parts.live.calls == {}


async def test_two_places_that_answer_at_once_are_one_call(node: World) -> None:
    await alice(node, DESK, MOBILE)
    await called(node, "alice")
    desk, mobile = ringing(node)

    node.engine.answer_from_outside(desk)
    node.engine.answer_from_outside(mobile)
    await node.happened(event.CallAnswered)
    await node.settled()

    assert ringing(node) == [desk]
    assert len(node.seen(event.CallAnswered)) == 1
    assert not node.parts.live.refused


async def test_a_place_that_refuses_leaves_the_others_ringing(node: World) -> None:
    await alice(node, DESK, MOBILE)
    call = await called(node, "alice")
    desk, mobile = ringing(node)

    node.engine.reject_from_outside(desk, sip_status=486)
    await node.settled()
    assert node.seen(event.CallEnded) == []
    assert node.parts.live.calls_by_id[call.id].leg == mobile

    node.engine.answer_from_outside(mobile)
    await node.happened(event.CallAnswered)


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        (486, 480, EndCause.BUSY),
        (480, 486, EndCause.BUSY),
        (404, 408, EndCause.NO_ANSWER),
        (500, 404, EndCause.UNKNOWN_NUMBER),
        (403, 404, EndCause.REJECTED),
    ],
)
async def test_of_several_refusals_the_one_that_says_most_is_told(
    node: World, first: int, second: int, cause: EndCause
) -> None:
    await alice(node, DESK, MOBILE)
    await called(node, "alice")
    desk, mobile = ringing(node)

    node.engine.reject_from_outside(desk, sip_status=first)
    node.engine.reject_from_outside(mobile, sip_status=second)

    assert (await ended(node)).end_cause is cause
    assert node.parts.live.calls == {}


async def test_a_decline_is_for_every_place(node: World) -> None:
    await alice(node, DESK, MOBILE)
    await called(node, "alice")
    desk, _mobile = ringing(node)

    node.engine.reject_from_outside(desk, sip_status=603)

    assert (await ended(node)).end_cause is EndCause.REJECTED
    assert ringing(node) == []
    assert (node.parts.live.calls, node.parts.live.refused) == ({}, set())


async def test_hanging_up_ends_every_place(node: World) -> None:
    await alice(node, DESK, MOBILE)
    call = await called(node, "alice")

    await node.control.execute(HangUpCall(account_id=node.account.id, call_id=call.id))

    assert (await ended(node)).end_cause is EndCause.CANCELED
    assert ringing(node) == []
    assert (node.parts.live.calls, node.parts.live.refused) == ({}, set())


async def test_a_place_that_cannot_be_called_is_left_out(node: World) -> None:
    await alice(node, DESK, MOBILE)
    node.engine.refuse_next("dial")

    await called(node, "alice")

    assert len(ringing(node)) == 1


async def test_an_endpoint_that_is_nowhere_is_said_so(node: World) -> None:
    await alice(node, ("sip:alice@192.0.2.1", "udp;192.0.2.1:5060", 1))

    with pytest.raises(NotRegistered, match="alice"):
        await called(node, "alice")


@pytest.mark.parametrize("target", ["bob", "sip:bob@tapeline", NUMBER, "112"])
async def test_what_leads_nowhere_is_refused(node: World, target: str) -> None:
    other = await node.control.execute(CreateAccount(name="Other"))
    await node.control.execute(
        AddEndpoint(account_id=other.account.id, username="bob", password="long enough")
    )
    await node.control.execute(AddTrunk(trunk=a_trunk(other.account.id)))

    with pytest.raises(Invalid):
        await called(node, target)
    assert await node.control.execute(ListCalls()) == ()


async def test_an_endpoint_s_policy_records_calls_to_it(node: World) -> None:
    await alice(node, DESK)
    await node.control.execute(
        SetPolicy(account_id=None, subject=PolicySubject.ENDPOINT, subject_id="alice")
    )
    await called(node, "alice")
    (leg,) = ringing(node)

    node.engine.answer_from_outside(leg)
    await node.happened(event.CallAnswered)
    await node.until(lambda: node.engine.recorders)

    assert [spec.leg for spec in node.engine.recorders.values()] == [leg]


# A number goes by a trunk.


async def test_a_number_goes_by_the_first_target_of_the_account_s_trunk(node: World) -> None:
    trunk_id = await carrier(node, username="us", channel_limit=2)

    call = await called(node, NUMBER)

    (spec,) = specs(node)
    assert spec.uri == "sip:+4930123456@a.carrier.example"
    assert (spec.username, spec.password) == ("us", "a carrier's secret")
    assert node.parts.trunks.of(trunk_id).channels == 1
    assert call.called == NUMBER

    await node.control.execute(HangUpCall(account_id=node.account.id, call_id=call.id))
    await ended(node)
    assert node.parts.trunks.of(trunk_id).channels == 0


async def test_a_target_that_fails_is_followed_by_the_next(node: World) -> None:
    await carrier(node)
    call = await called(node, NUMBER)
    (first,) = ringing(node)

    node.engine.reject_from_outside(first, sip_status=503)
    await node.until(lambda: len(specs(node)) == 2)
    await node.settled()
    (second,) = ringing(node)
    node.engine.answer_from_outside(second)
    (answered,) = await node.happened(event.CallAnswered)

    assert specs(node)[1].uri == "sip:+4930123456@b.carrier.example:5070;transport=tcp"
    assert answered.call.id == call.id
    assert node.seen(event.CallEnded) == []
    assert set(node.parts.live.calls) == {second}


async def test_a_target_that_nobody_reaches_is_followed_by_the_next(node: World) -> None:
    await carrier(node)
    await called(node, NUMBER)
    (first,) = ringing(node)

    unreachable(node, first)
    await node.until(lambda: len(specs(node)) == 2)


@pytest.mark.parametrize("status", [404, 408, 480, 486, 487, 403, 600, 603])
async def test_the_callee_s_own_word_is_the_last(node: World, status: int) -> None:
    await carrier(node)
    await called(node, NUMBER)
    (first,) = ringing(node)

    node.engine.reject_from_outside(first, sip_status=status)
    await ended(node)

    assert len(specs(node)) == 1


async def test_when_every_target_has_failed_the_call_has(node: World) -> None:
    trunk_id = await carrier(node)
    await called(node, NUMBER)
    node.engine.reject_from_outside(ringing(node)[0], sip_status=503)
    await node.until(lambda: len(specs(node)) == 2)
    await node.settled()

    node.engine.reject_from_outside(ringing(node)[0], sip_status=500)
    call = await ended(node)

    assert (call.end_cause, call.end_source) == (EndCause.NETWORK, EndSource.CALLEE)
    assert node.parts.trunks.of(trunk_id).channels == 0
    assert node.parts.live.calls == {}


async def test_a_call_that_is_hung_up_tries_nobody_else(node: World) -> None:
    await carrier(node)
    call = await called(node, NUMBER)

    await node.control.execute(HangUpCall(account_id=node.account.id, call_id=call.id))
    await ended(node)

    assert len(specs(node)) == 1


async def test_what_is_left_of_the_ring_time_is_the_next_target_s(node: World) -> None:
    await carrier(node)
    await called(node, NUMBER, ring_limit_ms=30_000)
    node.clock.at_ms = EpochMs(node.clock.at_ms + 12_000)

    node.engine.reject_from_outside(ringing(node)[0], sip_status=500)
    await node.until(lambda: len(specs(node)) == 2)

    assert [spec.ring_limit_ms for spec in specs(node)] == [30_000, 18_000]


async def test_a_full_trunk_is_passed_by(node: World) -> None:
    await carrier(node, "full", channel_limit=1)
    await called(node, NUMBER)
    with pytest.raises(TrunksFull, match="full"):
        await called(node, NUMBER)
    refused, *_ = await node.control.execute(ListCalls())
    assert (refused.state, refused.end_cause) == (CallState.ENDED, EndCause.BUSY)

    await carrier(node, "other", priority=50, targets=(TrunkTarget(uri="sip:c.example"),))
    await called(node, NUMBER)

    assert specs(node)[-1].uri == "sip:+4930123456@c.example"


async def test_a_trunk_whose_targets_the_core_refuses_gives_its_channel_back(node: World) -> None:
    trunk_id = await carrier(node, channel_limit=1)
    for _ in range(2):
        node.engine.refuse_next("dial")

    with pytest.raises(EngineFailed):
        await called(node, NUMBER)

    assert node.parts.trunks.of(trunk_id).channels == 0


async def test_a_target_that_is_down_comes_last(node: World) -> None:
    trunk_id = await carrier(node)
    node.engine.post(TargetTold(trunk=trunk_id, uri=A, is_up=False, sip_status=0))
    await node.settled()

    await called(node, NUMBER)

    assert specs(node)[0].uri.endswith("@b.carrier.example:5070;transport=tcp")


async def test_an_address_elsewhere_is_called_as_it_stands(node: World) -> None:
    await carrier(node)

    await called(node, "sip:bob@pbx.example:5070")

    (spec,) = specs(node)
    assert (spec.uri, spec.route) == ("sip:bob@pbx.example:5070", "")


# Pure.


def test_targets_of_one_priority_share_by_weight() -> None:
    targets = (
        TrunkTarget(uri="sip:heavy", weight=3),
        TrunkTarget(uri="sip:light", weight=1),
        TrunkTarget(uri="sip:last", priority=20, weight=100),
    )
    trunk = a_trunk(AccountId("a"), targets=targets)
    dice = random.Random(7)

    orders = [
        [target.uri for _, target in in_order([trunk], lambda *_: False, dice)]
        for _ in range(4_000)
    ]
    firsts = Counter(order[0] for order in orders)

    assert {order[2] for order in orders} == {"sip:last"}
    assert 2_800 < firsts["sip:heavy"] < 3_200
    assert firsts["sip:heavy"] + firsts["sip:light"] == 4_000


def test_targets_without_any_weight_are_tried_too() -> None:
    trunk = a_trunk(AccountId("a"), targets=(TrunkTarget(uri=A, weight=0),))

    assert len(in_order([trunk], lambda *_: False, random.Random(1))) == 1


def test_trunks_come_by_their_priority_and_what_is_down_behind_all() -> None:
    first = a_trunk(AccountId("a"), "first", priority=1)
    second = a_trunk(AccountId("a"), "second", priority=2)

    found = in_order([second, first], lambda _id, uri: uri == A, random.Random(1))

    assert [(trunk.name, target.uri) for trunk, target in found] == [
        ("first", B),
        ("second", B),
        ("first", A),
        ("second", A),
    ]


def test_a_carrier_is_asked_as_it_wants_to_be() -> None:
    trunk = replace(
        a_trunk(AccountId("a")),
        numbers=NumberRules(country="49", prefix="77", has_plus=False),
        caller=CallerRules(number="+493055", is_asserted=True, is_private=True),
        codecs=("PCMA",),
        srtp=SrtpPolicy.OFFER,
    )
    plain = DialSpec(uri="", caller="040 987654", headers=(("X-a", "1"),))

    spec = trunk_spec(plain, trunk, TrunkTarget(uri=B), "030 123456")

    assert spec.uri == "sip:774930123456@b.carrier.example:5070;transport=tcp"
    assert spec.caller == "4940987654"
    assert spec.asserted == "sip:4940987654@b.carrier.example:5070"
    assert (spec.is_private, spec.codecs, spec.srtp) == (True, ("PCMA",), "offer")
    assert spec.headers == (("X-a", "1"),)


@pytest.mark.parametrize(
    ("rules", "caller", "presented"),
    [
        (CallerRules(), "alice", "alice"),
        (CallerRules(number="+493055"), "alice", "+493055"),
        (CallerRules(number="+493055"), "+4940987654", "+4940987654"),
        (CallerRules(number="+493055", is_fixed=True), "+4940987654", "+493055"),
    ],
)
def test_who_calls_is_said_by_the_trunk_s_rules(
    rules: CallerRules, caller: str, presented: str
) -> None:
    trunk = replace(a_trunk(AccountId("a")), caller=rules)

    spec = trunk_spec(DialSpec(uri="", caller=caller), trunk, TrunkTarget(uri=A), NUMBER)

    assert spec.caller == presented
    assert (spec.asserted, spec.is_private) == ("", False)
