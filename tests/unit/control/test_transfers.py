"""Transfers that phones ask for: whoever stays talks on, is recorded on, nobody is left over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.control.support import World, document, world

from tapeline.control.calls.transfers import target_of
from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.call import EndCause
from tapeline.domain.command import BridgeCalls, CreateAccount, SetPolicy
from tapeline.domain.policy import PolicySubject, RecordFrom
from tapeline.domain.signal import LegHandle, TransferAsked

CAROL = "sip:carol@127.0.0.1:5080"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as built:
        object.__setattr__(built.parts, "accepts_transfers", True)
        yield built


async def bridged(node: World) -> tuple[LiveCall, LiveCall]:
    first, second = await node.commanded(), await node.commanded()
    await node.control.execute(
        BridgeCalls(account_id=node.account.id, call_id=first.call.id, other_id=second.call.id)
    )
    return first, second


def asked(node: World, name: str) -> list[dict[str, Any]]:
    return [dict(each.arguments) for each in node.engine.commands if each.name == name]


def reports(node: World) -> list[int]:
    return [each["status"] for each in asked(node, "report_transfer")]


def together(node: World) -> list[set[LegHandle]]:
    return [set(members) for members in node.engine.rooms.values()]


async def carol(node: World) -> LegHandle:
    """The leg of the call to her."""
    return (await node.dialled())[0]


async def test_a_blind_transfer_gives_the_party_to_who_answers(node: World) -> None:
    giver, party = await bridged(node)

    node.engine.ask_for_transfer(giver.leg, CAROL)
    leg = await carol(node)
    await node.until(lambda: reports(node) == [180])
    assert together(node) == [{giver.leg, party.leg}]
    node.engine.answer_from_outside(leg)
    await giver.ended.wait()
    await node.settled()

    assert reports(node) == [180, 200]
    assert together(node) == [{party.leg, leg}]
    assert set(node.engine.legs) == {party.leg, leg}
    assert giver.call.end_cause is EndCause.NORMAL

    node.engine.hang_up_from_outside(leg)
    await party.ended.wait()


async def test_a_target_that_is_busy_leaves_everything_as_it_was(node: World) -> None:
    giver, party = await bridged(node)
    node.engine.ask_for_transfer(giver.leg, CAROL)
    leg = await carol(node)

    node.engine.reject_from_outside(leg, sip_status=486)
    await node.until(lambda: reports(node)[-1:] == [486])
    await node.until(lambda: not giver.is_transferring)

    assert together(node) == [{giver.leg, party.leg}]
    assert not party.is_kept


async def test_a_target_that_cannot_be_called_is_told_to_the_giver(node: World) -> None:
    giver, party = await bridged(node)

    node.engine.ask_for_transfer(giver.leg, "tel:+4930123456")
    await node.until(lambda: reports(node) == [404])

    assert together(node) == [{giver.leg, party.leg}]


async def test_a_giver_may_hang_up_before_the_target_answers(node: World) -> None:
    giver, party = await bridged(node)
    node.engine.ask_for_transfer(giver.leg, CAROL)
    leg = await carol(node)

    node.engine.hang_up_from_outside(giver.leg)
    await giver.ended.wait()
    await node.settled()
    assert party.leg in node.engine.legs
    node.engine.answer_from_outside(leg)
    await node.until(lambda: together(node) == [{party.leg, leg}])

    assert node.bugs.count == 0


async def test_a_party_whose_giver_and_target_are_gone_is_hung_up(node: World) -> None:
    giver, party = await bridged(node)
    node.engine.ask_for_transfer(giver.leg, CAROL)
    leg = await carol(node)
    node.engine.hang_up_from_outside(giver.leg)
    await giver.ended.wait()

    node.engine.reject_from_outside(leg, sip_status=603)
    await party.ended.wait()

    assert node.engine.legs == {}


async def test_a_party_that_hangs_up_takes_the_target_s_ringing_with_it(node: World) -> None:
    giver, party = await bridged(node)
    node.engine.ask_for_transfer(giver.leg, CAROL)
    leg = await carol(node)

    node.engine.hang_up_from_outside(party.leg)
    await node.until(lambda: leg not in node.engine.legs)


async def test_a_document_does_not_go_on_while_its_call_is_transferred(node: World) -> None:
    """Who was dialled gives the caller to somebody else."""
    await node.application(
        "desk",
        answer_document=document(
            ("dial", {"targets": [{"uri": "sip:bob@127.0.0.1"}]}), ("hang_up", {})
        ),
    )
    caller = node.engine.arrive(called="desk")
    (bob,) = await node.dialled()
    node.engine.answer_from_outside(bob)
    await node.until(lambda: together(node) == [{caller, bob}])

    node.engine.ask_for_transfer(bob, CAROL)
    _, leg = await node.dialled(2)
    node.engine.hang_up_from_outside(bob)
    await node.happened(event.CallEnded)
    await node.settled()
    assert caller in node.engine.legs
    node.engine.answer_from_outside(leg)
    await node.until(lambda: together(node) == [{caller, leg}])

    assert set(node.engine.legs) == {caller, leg}


async def test_a_caller_gives_away_whom_its_document_dialled(node: World) -> None:
    await node.application(
        "desk", answer_document=document(("dial", {"targets": [{"uri": "sip:bob@127.0.0.1"}]}))
    )
    caller = node.engine.arrive(called="desk")
    (bob,) = await node.dialled()
    node.engine.answer_from_outside(bob)
    await node.until(lambda: together(node) == [{caller, bob}])

    node.engine.ask_for_transfer(caller, CAROL)
    _, leg = await node.dialled(2)
    node.engine.answer_from_outside(leg)
    await node.happened(event.CallEnded)
    await node.until(lambda: together(node) == [{bob, leg}])

    assert set(node.engine.legs) == {bob, leg}
    assert reports(node)[-1] == 200


async def test_an_attended_transfer_connects_the_two_others(node: World) -> None:
    first, party = await bridged(node)
    second, consulted = await bridged(node)

    node.engine.ask_for_transfer(first.leg, "sip:c@127.0.0.1", replaces=second.leg)
    await first.ended.wait()
    await second.ended.wait()
    await node.settled()

    assert together(node) == [{party.leg, consulted.leg}]
    assert set(node.engine.legs) == {party.leg, consulted.leg}
    assert reports(node) == [200]
    assert asked(node, "dial") == []


async def test_a_conference_calls_in_who_is_named(node: World) -> None:
    await node.room_application()
    member = await node.join("a")

    node.engine.ask_for_transfer(member, CAROL)
    leg = await carol(node)
    node.engine.answer_from_outside(leg)
    await node.happened(event.ParticipantJoined, 2)
    await node.until(lambda: reports(node) == [180, 200])

    assert together(node) == [{member, leg}]


async def test_an_attended_transfer_into_a_conference(node: World) -> None:
    await node.room_application()
    first, party = await bridged(node)
    own = node.parts.live.calls[await node.join("a")]
    stays = await node.join("a")

    node.engine.ask_for_transfer(first.leg, "sip:a@127.0.0.1", replaces=own.leg)
    await own.ended.wait()
    await first.ended.wait()
    await node.settled()

    assert together(node) == [{stays, party.leg}]


async def test_a_call_takes_the_place_of_another(node: World) -> None:
    replaced, party = await bridged(node)
    node.pauses.hold = None

    leg = node.engine.arrive(called="commanded-x", replaces=replaced.leg)
    await replaced.ended.wait()
    await node.settled()

    assert together(node) == [{party.leg, leg}]
    assert node.engine.legs[leg].is_answered


async def test_a_place_is_not_given_to_another_account_s_call(node: World) -> None:
    await node.room_application()
    replaced, party = await bridged(node)
    other = await node.control.execute(CreateAccount(name="Other"))
    object.__setattr__(replaced.call, "account_id", other.account.id)

    leg = node.engine.arrive(called="room-a", replaces=replaced.leg)
    await node.happened(event.ParticipantJoined)

    assert {replaced.leg, party.leg} in together(node)
    assert {leg} in together(node)


async def test_what_is_not_to_be_is_refused(node: World) -> None:
    alone = await node.commanded()
    first, _ = await bridged(node)
    second, _ = await bridged(node)
    other = await node.control.execute(CreateAccount(name="Other"))

    node.engine.ask_for_transfer(alone.leg, CAROL)
    await node.until(lambda: len(asked(node, "refuse_transfer")) == 1)
    node.engine.ask_for_transfer(first.leg, CAROL, replaces=first.leg)
    await node.until(lambda: len(asked(node, "refuse_transfer")) == 2)
    object.__setattr__(second.call, "account_id", other.account.id)
    node.engine.ask_for_transfer(first.leg, CAROL, replaces=second.leg)
    await node.until(lambda: len(asked(node, "refuse_transfer")) == 3)
    node.engine.legs[first.leg].transfer = "asked"
    node.engine.post(
        TransferAsked(leg=first.leg, target=CAROL, replaces_header="a;to-tag=b;from-tag=c")
    )
    await node.until(lambda: len(asked(node, "refuse_transfer")) == 4)

    assert {each["status"] for each in asked(node, "refuse_transfer")} == {603}
    assert asked(node, "dial") == []


async def test_one_transfer_at_a_time(node: World) -> None:
    giver, _ = await bridged(node)
    node.engine.ask_for_transfer(giver.leg, CAROL)
    await carol(node)

    node.engine.ask_for_transfer(giver.leg, CAROL)
    await node.until(lambda: asked(node, "refuse_transfer"))

    assert len(asked(node, "dial")) == 1


@pytest.mark.parametrize("begins", [RecordFrom.ANSWER, RecordFrom.BRIDGE])
async def test_a_conversation_is_recorded_on_when_its_recorded_call_leaves(
    node: World, begins: RecordFrom
) -> None:
    party = await node.commanded()
    await node.control.execute(
        SetPolicy(
            account_id=None,
            subject=PolicySubject.NUMBER,
            subject_id="commanded-*",
            begins=begins,
        )
    )
    giver = await node.commanded()
    await node.control.execute(
        BridgeCalls(account_id=node.account.id, call_id=giver.call.id, other_id=party.call.id)
    )
    assert [spec.leg for spec in node.engine.recorders.values()] == [giver.leg]

    node.engine.ask_for_transfer(giver.leg, CAROL)
    node.engine.answer_from_outside(await carol(node))
    await giver.ended.wait()
    await node.happened(event.RecordingFinished)
    await node.settled()

    assert [spec.leg for spec in node.engine.recorders.values()] == [party.leg]


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:bob@pbx.example:5070", "sip:bob@pbx.example:5070"),
        ("sip:bob@pbx.example;transport=tcp?X-A=b", "sip:bob@pbx.example"),
        ("SIP:bob@tapeline", "bob"),
        ("sip:bob@127.0.0.1", "bob"),
        ("sip:%2B4930123456@127.0.0.1", "+4930123456"),
        ("tel:+4930123456;phone-context=x", "+4930123456"),
        ("sip:pbx.example", None),
        ("http://pbx.example", None),
    ],
)
async def test_a_target_of_this_house_is_a_name_or_a_number(
    node: World, uri: str, target: str | None
) -> None:
    giver = await node.commanded()

    assert target_of(node.parts, giver, uri) == target
