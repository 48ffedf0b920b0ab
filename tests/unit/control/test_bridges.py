import asyncio

import pytest
from tests.unit.control.support import DIALECT, World

from tapeline.control import calls
from tapeline.control.bridges import bridge, end_bridge
from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.command import CreateConference
from tapeline.domain.error import EngineFailed
from tapeline.domain.signal import RoomHandle


async def dialled(node: World, parent: LiveCall) -> LiveCall:
    """A phone that a call's program has called, and that has answered."""
    live_call = await calls.dial(
        node.parts,
        Outgoing(
            account_id=node.account.id,
            application=parent.application,
            dialect=DIALECT,
            target="sip:bob@phone.example",
            caller="me",
            parent_id=parent.call.id,
            session_id=parent.call.session_id,
        ),
    )
    node.engine.answer_from_outside(live_call.leg)
    await live_call.answered.wait()
    return live_call


async def pair(node: World) -> tuple[LiveCall, LiveCall]:
    first = await node.commanded()
    return first, await dialled(node, first)


def members(node: World, room: RoomHandle) -> list[int]:
    return list(node.engine.rooms[room])


async def test_two_bridged_calls_are_alone_in_a_room_and_both_are_told(node: World) -> None:
    first, second = await pair(node)

    bridged = await bridge(node.parts, first, second)

    assert members(node, bridged.room) == [first.leg, second.leg]
    assert [(e.call.id, e.other.id) for e in node.seen(event.CallsBridged)] == [
        (first.call.id, second.call.id),
        (second.call.id, first.call.id),
    ]
    assert second.call.parent_id == first.call.id
    assert second.call.session_id == first.call.session_id
    assert not node.seen(event.ParticipantJoined)
    assert not bridged.ended.is_set()


@pytest.mark.parametrize("who", [0, 1])
async def test_when_one_ends_the_other_goes_on_alone(node: World, who: int) -> None:
    both = await pair(node)
    bridged = await bridge(node.parts, *both)

    node.engine.hang_up_from_outside(both[who].leg)
    await bridged.ended.wait()
    await both[who].ended.wait()
    await node.settled()

    other = both[1 - who]
    assert not node.engine.rooms
    assert node.engine.legs[other.leg].room is None
    assert other.bridge is None
    assert not node.parts.live.bridges
    assert not other.ended.is_set()


async def test_one_that_is_taken_into_a_conference_leaves_the_other_alone(node: World) -> None:
    first, second = await pair(node)
    bridged = await bridge(node.parts, first, second)

    await node.control.execute(
        CreateConference(
            account_id=node.account.id, call_id=first.call.id, name="MyConf", dialect=DIALECT
        )
    )
    await bridged.ended.wait()
    await node.settled()

    assert first.seat is not None
    assert members(node, first.seat.conference.room) == [first.leg]
    assert node.engine.legs[second.leg].room is None


async def test_a_bridge_may_be_ended_and_ended_again(node: World) -> None:
    first, second = await pair(node)
    bridged = await bridge(node.parts, first, second)

    await asyncio.gather(end_bridge(node.parts, bridged), end_bridge(node.parts, bridged))

    assert not node.engine.rooms
    assert {first.leg, second.leg} <= set(node.engine.legs)


async def test_a_new_bridge_ends_the_one_before(node: World) -> None:
    first, second = await pair(node)
    third = await dialled(node, first)
    before = await bridge(node.parts, first, second)

    after = await bridge(node.parts, first, third)

    assert before.ended.is_set()
    assert list(node.engine.rooms) == [after.room]
    assert (first.bridge, second.bridge, third.bridge) == (after, None, after)


async def test_a_leg_that_ends_while_they_are_bridged_leaves_nothing_behind(node: World) -> None:
    for turns in range(8):
        first, second = await pair(node)
        bridging = asyncio.ensure_future(bridge(node.parts, first, second))
        for _ in range(turns):
            await asyncio.sleep(0)
        node.engine.hang_up_from_outside(second.leg)
        (outcome,) = await asyncio.gather(bridging, return_exceptions=True)
        await second.ended.wait()
        await node.settled()

        if isinstance(outcome, BaseException):
            assert isinstance(outcome, EngineFailed)
        else:
            assert outcome.ended.is_set()
        assert not node.engine.rooms
        assert not node.parts.live.bridges
        assert first.bridge is None
