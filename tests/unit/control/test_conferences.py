import asyncio
from pathlib import Path

import pytest
from tests.unit.control.support import World, document, world

from tapeline.domain import event
from tapeline.domain.call import CallState, EndCause, EndSource
from tapeline.domain.command import (
    ConferenceRef,
    GetConference,
    ListConferences,
)
from tapeline.domain.conference import ConferenceEnd, ConferenceState, ParticipantState
from tapeline.domain.error import ConferenceNotFound
from tapeline.domain.id import AccountId


async def test_the_first_leg_makes_the_conference_and_the_last_ends_it(node: World) -> None:
    await node.room_application()

    first = await node.join("MyConf", caller="alice")
    second = await node.join("MyConf", caller="bob")
    view = await node.control.execute(
        GetConference(conference=ConferenceRef(account_id=node.account.id, name="MyConf"))
    )
    node.engine.hang_up_from_outside(first)
    node.engine.hang_up_from_outside(second)
    ended = await node.happened(event.ConferenceEnded)

    assert view.conference.state is ConferenceState.IN_PROGRESS
    assert [v.call.caller for v in view.participants] == ["alice", "bob"]
    assert [v.participant.member_id for v in view.participants] == ["1", "2"]
    assert ended[0].conference.end_reason is ConferenceEnd.ALL_LEFT
    assert not node.engine.rooms
    await node.settled()
    assert not node.parts.live.conferences
    assert not node.parts.live.calls
    with pytest.raises(ConferenceNotFound):
        await node.control.execute(
            GetConference(conference=ConferenceRef(account_id=node.account.id, name="MyConf"))
        )


async def test_events_of_a_conference_come_in_the_order_of_its_life(node: World) -> None:
    await node.room_application()

    legs = [await node.join("MyConf") for _ in range(3)]
    for leg in legs:
        node.engine.hang_up_from_outside(leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()

    names = [e.name for e in node.events if isinstance(e, event.ConferenceEvent)]
    assert names == [
        "conference_created",
        "conference_started",
        *["participant_joined"] * 3,
        *["participant_left"] * 3,
        "conference_ended",
    ]
    assert [e.is_first for e in node.seen(event.ParticipantJoined)] == [True, False, False]
    assert [e.is_last for e in node.seen(event.ParticipantLeft)] == [False, False, True]


async def test_a_call_leaves_its_conference_before_it_ends(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")

    node.engine.hang_up_from_outside(leg)
    await node.happened(event.CallEnded)

    names = [e.name for e in node.events]
    assert names.index("participant_left") < names.index("call_ended")


async def test_an_ended_name_may_start_anew(node: World) -> None:
    await node.room_application()

    for _ in range(3):
        leg = await node.join("MyConf")
        node.engine.hang_up_from_outside(leg)
        await node.settled()
    leg = await node.join("MyConf")

    all_of_them = await node.control.execute(ListConferences(only_live=False))
    live = await node.control.execute(ListConferences())
    assert len({v.conference.id for v in all_of_them}) == 4
    assert len(live) == 1
    assert len(node.engine.rooms) == 1


async def test_a_leg_that_joins_while_the_last_one_leaves_is_in_a_living_room(node: World) -> None:
    await node.room_application()

    for _ in range(10):
        last = await node.join("MyConf")
        node.engine.hang_up_from_outside(last)
        late = await node.join("MyConf")
        await node.settled()
        room = node.parts.live.calls[late].seat
        assert room is not None
        assert late in node.engine.rooms[room.conference.room]
        node.engine.hang_up_from_outside(late)
        await node.settled()


async def test_fifty_legs_at_once_make_one_conference(node: World) -> None:
    await node.room_application()

    legs = [node.engine.arrive(called="room-MyConf") for _ in range(50)]
    await node.happened(event.ParticipantJoined, 50)

    assert len(node.engine.rooms) == 1
    assert len(node.seen(event.ConferenceStarted)) == 1
    (view,) = await node.control.execute(ListConferences(account_id=node.account.id))
    assert len(view.participants) == 50
    assert len({v.participant.member_id for v in view.participants}) == 50
    for leg in legs:
        node.engine.hang_up_from_outside(leg)
    await node.happened(event.ConferenceEnded)
    await node.happened(event.CallEnded, 50)


async def test_another_account_does_not_see_it(node: World) -> None:
    await node.room_application()
    await node.join("MyConf")

    stranger = AccountId("MA" + "X" * 18)
    with pytest.raises(ConferenceNotFound):
        await node.control.execute(
            GetConference(conference=ConferenceRef(account_id=stranger, name="MyConf"))
        )
    assert await node.control.execute(ListConferences(account_id=stranger)) == ()


async def test_names_are_case_sensitive(node: World) -> None:
    await node.room_application()

    await node.join("MyConf")
    await node.join("myconf")

    assert len(node.engine.rooms) == 2


async def test_the_end_of_a_host_ends_the_conference(node: World) -> None:
    host = document(("join", {"name": "Show", "end_on_exit": True}))
    await node.application("host", answer_document=host)
    await node.application(
        "guest", answer_document=document(("join", {"name": "Show"}), ("wait", {}))
    )
    leg = node.engine.arrive(called="host")
    node.engine.arrive(called="guest")
    await node.happened(event.ParticipantJoined, 2)

    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.ConferenceEnded)
    calls = await node.happened(event.CallEnded, 2)

    assert ended.conference.end_reason is ConferenceEnd.HOST_LEFT
    guest = next(e.call for e in calls if e.call.called == "guest")
    assert guest.end_cause is EndCause.END_OF_DOCUMENT  # it went on with its own document


async def test_who_comes_before_the_start_waits_in_silence(node: World) -> None:
    waits = {"name": "Show", "start_on_enter": False}
    await node.application("guest", answer_document=document(("join", waits)))
    await node.application("host", answer_document=document(("join", {"name": "Show"})))

    guest = node.engine.arrive(called="guest")
    await node.happened(event.ParticipantJoined)
    was = (node.engine.legs[guest].settings.on_hold, len(node.seen(event.ConferenceStarted)))
    node.engine.arrive(called="host")
    await node.happened(event.ConferenceStarted)
    await node.settled()

    assert was == (True, 0)
    assert not node.engine.legs[guest].settings.on_hold


async def test_a_full_conference_lets_the_document_go_on(node: World) -> None:
    await node.room_application()
    full = document(("join", {"name": "MyConf", "max_members": 1}))
    await node.application("full", answer_document=full)
    await node.join("MyConf")

    node.engine.arrive(called="full")
    (ended,) = await node.happened(event.CallEnded)

    assert ended.call.end_cause is EndCause.END_OF_DOCUMENT
    assert len(node.seen(event.ParticipantJoined)) == 1


async def test_a_join_that_the_core_refuses_leaves_no_conference_behind(node: World) -> None:
    await node.room_application()
    node.engine.refuse_next("join")

    node.engine.arrive(called="room-MyConf")
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()

    assert (ended.call.end_cause, ended.call.end_source) == (EndCause.FAULT, EndSource.ERROR)
    assert not node.parts.live.conferences
    assert not node.engine.rooms
    assert await node.control.execute(ListConferences()) == ()
    assert not node.seen(event.ParticipantJoined)


async def test_a_room_that_cannot_be_made_fails_its_call_only(node: World) -> None:
    await node.room_application()
    node.engine.refuse_next("create_room")

    node.engine.arrive(called="room-MyConf")
    await node.happened(event.CallEnded)
    await node.join("MyConf")

    assert len(node.engine.rooms) == 1


async def test_a_caller_who_hangs_up_while_joining_leaves_nothing_behind(tmp_path: Path) -> None:
    for turns in range(12):
        folder = tmp_path / str(turns)
        folder.mkdir()
        async with world(folder) as node:
            await node.room_application()
            leg = node.engine.arrive(called="room-MyConf")
            await node.happened(event.CallArrived)
            for _ in range(turns):
                await asyncio.sleep(0)
            node.engine.hang_up_from_outside(leg)
            (ended,) = await node.happened(event.CallEnded)
            await node.settled()

            assert ended.call.state is CallState.ENDED
            assert not node.parts.live.conferences
            assert not node.engine.rooms
            live = await node.store.read(
                lambda tx: [
                    p
                    for c in tx.conferences.list(None, only_live=False, limit=9)
                    for p in tx.participants.present(c.id)
                ]
            )
            assert live == []


async def test_a_participant_s_row_says_when_it_left(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")

    node.engine.hang_up_from_outside(leg)
    (left,) = await node.happened(event.ParticipantLeft)

    assert left.participant.state is ParticipantState.LEFT
    assert left.participant.left_at_ms is not None


async def test_a_call_that_rings_is_answered_into_its_room(node: World) -> None:
    await node.room_application()

    await node.join("MyConf")

    joined = [it for it in node.engine.commands if it.name == "join"]
    assert [it.arguments["answers"] for it in joined] == [True]
    assert not [it for it in node.engine.commands if it.name == "answer"]
