"""Calls connected by command: to each other, or to an address that is dialled first."""

import asyncio
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, World

from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.call import EndCause
from tapeline.domain.command import BridgeCalls, RecordOnAnswer, TransferToAddress
from tapeline.domain.error import CallNotAnswered, CallNotFound, Conflict, Invalid
from tapeline.domain.id import AccountId, CallId
from tapeline.domain.recording import Starter

BOB = "sip:bob@127.0.0.1:5070"


async def connect(node: World, first: LiveCall, second: LiveCall, **more: Any) -> None:
    await node.control.execute(
        BridgeCalls(
            account_id=node.account.id, call_id=first.call.id, other_id=second.call.id, **more
        )
    )


async def transfer(node: World, live_call: LiveCall, **more: Any) -> None:
    fields = {"target": BOB, **more}
    await node.control.execute(
        TransferToAddress(account_id=node.account.id, call_id=live_call.call.id, **fields)
    )


async def test_two_calls_are_connected_and_end_together(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    record = RecordOnAnswer(starter=Starter(dialect=COMMANDED, request_id="r"))

    await connect(node, first, second, extras={"state": "s"}, record=record)
    together = [sorted(members) for members in node.engine.rooms.values()]
    recorded = [spec.leg for spec in node.engine.recorders.values()]
    node.engine.hang_up_from_outside(second.leg)
    ends = await node.happened(event.CallEnded, 2)

    assert together == [sorted((first.leg, second.leg))]
    assert recorded == [first.leg]
    assert first.call.extras == {"state": "s"}
    assert {each.call.end_cause for each in ends} == {EndCause.NORMAL}


async def test_one_that_parks_goes_on_alone(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    await connect(node, first, second, parks=True)

    node.engine.hang_up_from_outside(second.leg)
    await second.ended.wait()
    await node.until(lambda: first.bridge is None)

    assert first.leg in node.engine.legs


async def test_who_is_connected_anew_leaves_the_other_alone(node: World) -> None:
    first, second, third = [await node.commanded() for _ in range(3)]
    await connect(node, first, second)

    await connect(node, first, third)
    await asyncio.sleep(0)

    assert set(node.engine.legs) == {first.leg, second.leg, third.leg}
    assert [sorted(members) for members in node.engine.rooms.values()] == [
        sorted((first.leg, third.leg))
    ]


async def test_what_cannot_be_connected_says_why(node: World) -> None:
    first, waiting = await node.commanded(), await node.commanded(answered=False)

    with pytest.raises(Conflict):
        await connect(node, first, first)
    with pytest.raises(CallNotAnswered):
        await connect(node, first, waiting)
    with pytest.raises(CallNotFound):
        await node.control.execute(
            BridgeCalls(
                account_id=AccountId("other"),
                call_id=first.call.id,
                other_id=CallId(waiting.call.id),
            )
        )
    with pytest.raises(Invalid):
        await transfer(node, first, target="tel:+1")


async def test_a_transfer_connects_when_the_address_answers(node: World) -> None:
    live_call = await node.commanded()

    await transfer(node, live_call, target_extras={"state": "t"})
    (leg,) = await node.dialled()
    assert not node.engine.rooms
    node.engine.answer_from_outside(leg)
    await node.happened(event.CallsBridged, 2)
    other = node.parts.live.calls[leg]
    node.engine.hang_up_from_outside(live_call.leg)
    await other.ended.wait()

    assert other.call.caller == live_call.call.called
    assert (other.call.session_id, other.call.extras) == (live_call.call.session_id, {"state": "t"})


async def test_a_transfer_that_nobody_answers_leaves_the_call_where_it_is(node: World) -> None:
    live_call = await node.commanded()
    await transfer(node, live_call)
    (leg,) = await node.dialled()

    node.engine.reject_from_outside(leg)
    await node.happened(event.CallEnded)

    assert live_call.leg in node.engine.legs
    assert not node.engine.rooms


async def test_who_hangs_up_before_the_answer_takes_the_dialled_call_along(node: World) -> None:
    live_call = await node.commanded()
    await transfer(node, live_call)
    (leg,) = await node.dialled()

    node.engine.hang_up_from_outside(live_call.leg)
    await node.happened(event.CallEnded, 2)

    assert leg not in node.engine.legs
