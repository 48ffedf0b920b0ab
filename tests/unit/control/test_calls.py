import asyncio

import pytest
from tests.unit.control.support import World, document

from tapeline.control import calls
from tapeline.control.live import End
from tapeline.domain import event, signal
from tapeline.domain.call import CallState, EndCause, EndSource
from tapeline.domain.command import ListCalls


def rejected(node: World) -> list[tuple[object, object]]:
    return [
        (c.arguments["status"], c.arguments["reason"])
        for c in node.engine.commands
        if c.name == "reject"
    ]


async def test_an_unknown_number_gets_404_and_no_row(node: World) -> None:
    node.engine.arrive(called="nobody")
    await node.settled()

    assert rejected(node) == [(404, "Not Found")]
    assert node.parts.counts.values["calls_to_unknown_numbers"] == 1
    assert await node.control.execute(ListCalls()) == ()
    assert not node.engine.legs


async def test_a_node_that_stops_takes_no_call(node: World) -> None:
    await node.room_application()
    node.parts.live.is_draining = True

    node.engine.arrive(called="room-x")
    await node.settled()

    assert rejected(node) == [(503, "Service Unavailable")]


async def test_a_call_s_row_follows_its_life(node: World) -> None:
    await node.room_application()

    leg = node.engine.arrive(called="room-My Conf", caller="alice", extra_headers=[("X-PH-a", "1")])
    (arrived,) = await node.happened(event.CallArrived)
    (answered,) = await node.happened(event.CallAnswered)
    (listed,) = await node.control.execute(ListCalls(only_live=True))
    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)

    assert arrived.call.state is CallState.RINGING
    assert (arrived.call.matched, arrived.call.headers) == ("My Conf", {"X-PH-a": "1"})
    assert answered.call.answered_at_ms is not None
    assert listed.id == arrived.call.id
    assert ended.call.state is CallState.ENDED
    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.NORMAL, EndSource.CALLER)
    assert ended.application is not None
    assert await node.call(arrived.call.id) == ended.call
    assert await node.control.execute(ListCalls(only_live=True)) == ()


async def test_a_phone_that_would_transfer_its_call_is_told_that_it_may_not(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")

    node.engine.ask_for_transfer(leg, "sip:carol@127.0.0.1")
    node.engine.post(signal.CallUpdated(leg=leg, is_held=True))
    await node.settled()

    (refused,) = [c for c in node.engine.commands if c.name == "refuse_transfer"]
    assert refused.arguments == {"leg": leg, "status": 603}
    assert node.engine.legs[leg].transfer == ""


@pytest.mark.parametrize(
    ("by", "cause", "source"),
    [
        ("remote_bye", EndCause.NORMAL, EndSource.CALLER),
        ("remote_cancel", EndCause.CANCELED, EndSource.CALLER),
        ("no_ack", EndCause.NOT_ACKNOWLEDGED, EndSource.ERROR),
        ("unreachable", EndCause.NETWORK, EndSource.ERROR),
        ("expired", EndCause.NETWORK, EndSource.ERROR),
        ("fault", EndCause.FAULT, EndSource.ERROR),
        ("something new", EndCause.FAULT, EndSource.ERROR),
    ],
)
async def test_what_the_core_says_of_an_end_becomes_a_cause(
    node: World, by: str, cause: EndCause, source: EndSource
) -> None:
    await node.room_application()
    leg = await node.join("MyConf")

    node.engine.post(signal.CallEnded(leg=leg, by=by, sip_status=0))
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (cause, source)


async def test_the_end_that_the_control_plane_meant_wins(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")
    live_call = node.parts.live.calls[leg]
    meant = End(cause=EndCause.NODE_STOPPED, source=EndSource.SYSTEM)

    await calls.hang_up(node.parts, live_call, meant)
    later = End(cause=EndCause.FAULT, source=EndSource.ERROR)
    await calls.hang_up(node.parts, live_call, later)
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (meant.cause, meant.source)


async def test_a_caller_who_was_faster_than_our_hang_up_ended_the_call(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")
    node.parts.live.calls[leg].end = End(cause=EndCause.END_OF_DOCUMENT, source=EndSource.DOCUMENT)

    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)

    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.NORMAL, EndSource.CALLER)


async def test_a_call_that_ends_before_it_is_dealt_with_is_closed(node: World) -> None:
    await node.room_application()

    leg = node.engine.arrive(called="room-MyConf")
    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()

    assert ended.call.end_cause is EndCause.CANCELED
    assert not node.parts.live.calls
    assert not node.engine.rooms


async def test_the_caller_who_gives_up_before_the_refusal_harms_nothing(node: World) -> None:
    leg = node.engine.arrive(called="nobody")
    node.engine.hang_up_from_outside(leg)

    await node.settled()

    assert not node.engine.legs


async def test_many_calls_come_and_go(node: World) -> None:
    await node.room_application()
    wait = document(("wait", {"duration_ms": 10}))
    await node.application("wait", answer_document=wait)

    for number in range(60):
        node.engine.arrive(called="wait" if number % 2 else f"room-{number % 5}")
    await asyncio.gather(
        node.happened(event.ParticipantJoined, 30), node.happened(event.CallEnded, 30)
    )
    for leg in list(node.engine.legs):
        node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded, 60)
    await node.settled()

    assert not node.parts.live.calls
    assert not node.parts.live.conferences
    assert node.dispatcher.lanes.depth == 0
