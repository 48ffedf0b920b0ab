import asyncio
from pathlib import Path

from tests.unit.control.support import DIALECT, World, world

from tapeline.control import lifecycle
from tapeline.domain import event
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.command import (
    ConferenceRef,
    ListCalls,
    ListConferences,
    StartConferenceRecording,
)
from tapeline.domain.conference import ConferenceEnd
from tapeline.domain.recording import Starter
from tapeline.engine import MemoryEngine


def start(node: World) -> StartConferenceRecording:
    return StartConferenceRecording(
        conference=ConferenceRef(account_id=node.account.id, name="MyConf"),
        starter=Starter(dialect=DIALECT, request_id="r"),
    )


async def test_what_a_dead_node_had_open_is_closed_as_lost(tmp_path: Path) -> None:
    async with world(tmp_path) as dead:
        await dead.room_application()
        for _ in range(2):
            await dead.join("MyConf")
        await dead.join("Other")
        # It dies here: nothing of the live things is told.

    async with world(tmp_path) as node:
        closed = await lifecycle.close_lost(node.parts)
        again = await lifecycle.close_lost(node.parts)

        assert (closed, again) == ((3, 2), (0, 0))
        ends = {(e.call.end_cause, e.call.end_source) for e in node.seen(event.CallEnded)}
        assert ends == {(EndCause.NODE_LOST, EndSource.SYSTEM)}
        assert all(e.application is not None for e in node.seen(event.CallEnded))
        reasons = {e.conference.end_reason for e in node.seen(event.ConferenceEnded)}
        assert reasons == {ConferenceEnd.NODE_LOST}
        assert [e.is_last for e in node.seen(event.ParticipantLeft)].count(True) == 2
        told = [e for e in node.events if isinstance(e, event.ConferenceEvent)]
        assert all(e.creator is not None and e.application is not None for e in told)
        assert {e.creator.id for e in told if e.creator} == {
            e.conference.creator_call_id for e in told
        }
        assert await node.control.execute(ListCalls(only_live=True)) == ()
        assert await node.control.execute(ListConferences()) == ()
        await node.join("MyConf")


async def test_a_stop_finishes_recordings_and_hangs_up(node: World) -> None:
    await node.room_application()
    await node.join("MyConf")
    node.asker.hold = asyncio.Event()
    await node.application("n", answer_url="http://customer.example/")
    node.engine.arrive(called="n")
    await node.asker.was_asked()
    await node.control.execute(start(node))

    is_empty = await lifecycle.drain(node.parts, within_s=5)

    assert is_empty
    assert node.engine.is_draining
    assert not node.engine.legs
    (finished,) = node.seen(event.RecordingFinished)
    assert finished.recording.duration_ms == 10_000
    ends = [e.call.end_cause for e in node.seen(event.CallEnded)]
    assert ends == [EndCause.NODE_STOPPED] * 2
    (ended,) = node.seen(event.ConferenceEnded)
    assert ended.conference.end_reason is ConferenceEnd.NODE_STOPPED
    statuses = [c.arguments["status"] for c in node.engine.commands if c.name == "reject"]
    assert statuses == [503]


async def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with world(tmp_path, engine=MemoryEngine(finishes_by_itself=False)) as node:
        await node.room_application()
        await node.join("MyConf")
        await node.control.execute(start(node))

        assert not await lifecycle.drain(node.parts, within_s=0.2)
        assert node.parts.live.figures() == {"calls": 0, "conferences": 0, "recordings": 1}


async def test_a_stop_with_nothing_open_is_quick(node: World) -> None:
    assert await lifecycle.drain(node.parts, within_s=5)
