"""Dialled calls that join a conference once they are answered."""

from typing import Any

from tests.unit.control.support import World
from tests.unit.control.test_conference_commands import live, silence
from tests.unit.control.test_dialling import created

from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.command import JoinOnAnswer
from tapeline.domain.conference import ConferenceState


async def dialled(node: World, **fields: Any) -> LiveCall:
    call, _leg = await created(node, joins=JoinOnAnswer(**{"conference": "Sales"} | fields))
    return node.parts.live.calls_by_id[call.id]


async def answer(node: World, *calls: LiveCall) -> None:
    for each in calls:
        node.engine.answer_from_outside(each.leg)
    await node.settled()


async def test_the_first_that_answers_makes_the_conference_and_others_join(node: World) -> None:
    first = await dialled(node, hangs_up_on_exit=True, end_on_exit=True)
    second = await dialled(node, muted=True)
    assert not node.parts.live.conferences

    await answer(node, second, first)
    await node.happened(event.ParticipantJoined, 2)
    await node.settled()

    conference = live(node, "Sales")
    assert conference.conference.state is ConferenceState.IN_PROGRESS
    assert [each.live_call for each in conference.seats.values()] == [second, first]
    assert (silence(node, second), silence(node, first)) == ((True, False), (False, False))
    node.engine.hang_up_from_outside(first.leg)
    await node.happened(event.ConferenceEnded)
    await node.happened(event.CallEnded, 2)


async def test_of_two_that_answer_at_once_one_makes_it(node: World) -> None:
    calls = [await dialled(node) for _ in range(5)]

    await answer(node, *calls)
    await node.happened(event.ParticipantJoined, 5)

    assert len(node.seen(event.ConferenceCreated)) == 1
    assert len(live(node, "Sales").seats) == 5


async def test_a_conference_may_wait_for_somebody_who_starts_it(node: World) -> None:
    guest = await dialled(node, starts_on_create=False)
    host = await dialled(node, starts_conference=True)

    await answer(node, guest)
    await node.happened(event.ParticipantJoined)
    waiting = live(node, "Sales").conference.state
    await answer(node, host)
    await node.happened(event.ParticipantJoined, 2)
    await node.settled()

    assert waiting is ConferenceState.INIT
    assert live(node, "Sales").conference.state is ConferenceState.IN_PROGRESS


async def test_what_cannot_be_joined_leaves_the_call_as_it_is(node: World) -> None:
    call = await dialled(node, conference="nobody's", is_id=True)
    silent = await dialled(node)

    await answer(node, call)
    node.engine.reject_from_outside(silent.leg)
    await node.happened(event.CallEnded)
    await node.settled()

    assert (call.is_over, call.seat, node.parts.live.conferences) == (False, None, {})
