import asyncio
from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, World, document

from tapeline.control.limits import end_what_is_due
from tapeline.control.live import LiveCall, LiveConference
from tapeline.domain import event
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.command import (
    ConferenceRef,
    ConferenceView,
    CreateConference,
    EndConference,
    EndConferences,
    GetConference,
    HangUpCall,
    JoinCall,
    LeaveCall,
    ListConferences,
    Members,
    RemoveParticipants,
    SetParticipants,
)
from tapeline.domain.conference import ConferenceEnd, ConferenceState, Participant
from tapeline.domain.error import (
    AlreadyExists,
    AlreadyInConference,
    CallHasEnded,
    CallNotAnswered,
    CallNotFound,
    ConferenceFull,
    ConferenceHasEnded,
    ConferenceNotFound,
    Invalid,
    NotInConference,
    ParticipantNotFound,
)
from tapeline.domain.id import AccountId, CallId, EpochMs, MemberId


def ref(node: World, name: str = "MyConf") -> ConferenceRef:
    return ConferenceRef(account_id=node.account.id, name=name, may_be_id=True)


async def create(node: World, live_call: LiveCall, **fields: Any) -> ConferenceView:
    fields = {"name": "MyConf", "dialect": COMMANDED} | fields
    made = await node.control.execute(
        CreateConference(account_id=node.account.id, call_id=live_call.call.id, **fields)
    )
    await node.settled()
    return made


async def join(node: World, live_call: LiveCall, name: str = "MyConf", **fields: Any) -> None:
    await node.control.execute(
        JoinCall(conference=ref(node, name), call_id=live_call.call.id, **fields)
    )
    await node.settled()


async def change(node: World, *calls: LiveCall, **fields: Any) -> tuple[Participant, ...]:
    members = Members(call_ids=tuple(each.call.id for each in calls))
    return await node.control.execute(
        SetParticipants(conference=ref(node), members=members, **fields)
    )


def live(node: World, name: str = "MyConf") -> LiveConference:
    return node.parts.live.conferences[node.account.id, name]


def silence(node: World, live_call: LiveCall) -> tuple[bool, bool]:
    """(is not heard, does not hear) as the core has it."""
    leg = node.engine.legs[live_call.leg].settings
    return leg.muted or leg.on_hold, leg.deaf or leg.on_hold


# Making one.


async def test_a_call_makes_a_conference_and_is_in_it(node: World) -> None:
    creator = await node.commanded()

    view = await create(
        node, creator, max_participants=5, duration_limit_ms=60_000, extras={"state": "s"}
    )
    (started,) = node.seen(event.ConferenceStarted)
    (joined,) = node.seen(event.ParticipantJoined)

    conference = view.conference
    assert [each.call.id for each in view.participants] == [creator.call.id]
    assert view.creator is not None
    assert (conference.dialect, conference.max_participants) == (COMMANDED, 5)
    assert conference.expires_at_ms == node.clock.at_ms + 60_000
    assert conference.extras == {"state": "s"}
    for told in (started, joined):
        assert told.creator is not None
        assert told.creator.id == creator.call.id
        assert told.creator.extras == {"state": "s"}
        assert told.application == creator.application
    assert started.conference.state is ConferenceState.IN_PROGRESS


async def test_a_creator_that_has_ended_is_told_as_it_ended(node: World) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)
    await join(node, guest)
    its = {"account_id": node.account.id, "call_id": creator.call.id}

    await node.control.execute(HangUpCall(**its, extras={"state": "last"}))
    await creator.ended.wait()
    node.engine.hang_up_from_outside(guest.leg)
    (ended,) = await node.happened(event.ConferenceEnded)

    assert ended.creator == await node.call(creator.call.id)
    assert ended.creator.extras == {"state": "last"}
    assert ended.creator.ended_at_ms is not None


async def test_a_name_that_is_live_is_taken(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    await create(node, first)

    with pytest.raises(AlreadyExists):
        await create(node, second)

    assert second.seat is None
    assert len(node.engine.rooms) == 1


async def test_of_many_that_make_one_name_at_once_one_wins(node: World) -> None:
    everybody = [await node.commanded() for _ in range(5)]

    outcomes = await asyncio.gather(
        *(create(node, each) for each in everybody), return_exceptions=True
    )

    assert sum(isinstance(outcome, ConferenceView) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 4
    assert len(node.engine.rooms) == 1


async def test_who_may_not_make_one(node: World) -> None:
    ringing = await node.commanded(answered=False)
    seated = await node.commanded()
    await create(node, seated)
    gone = await node.commanded()
    node.engine.hang_up_from_outside(gone.leg)
    await node.settled()

    for live_call, error in (
        (ringing, CallNotAnswered),
        (seated, AlreadyInConference),
        (gone, CallHasEnded),
    ):
        with pytest.raises(error):
            await create(node, live_call, name="Other")
    with pytest.raises(CallNotFound):
        await node.control.execute(
            CreateConference(
                account_id=node.account.id, call_id=CallId("x"), name="Other", dialect=COMMANDED
            )
        )
    with pytest.raises(Invalid):
        await create(node, seated, name="")
    assert list(node.parts.live.conferences) == [(node.account.id, "MyConf")]


async def test_a_conference_that_does_not_start_yet_keeps_everybody_apart(node: World) -> None:
    creator, guest, host = [await node.commanded() for _ in range(3)]

    await create(node, creator, starts_on_create=False)
    await join(node, guest, muted=True)
    waiting = [silence(node, each) for each in (creator, guest)]
    state = live(node).conference.state
    await join(node, host, starts_conference=True)

    assert (state, waiting) == (ConferenceState.INIT, [(True, True), (True, True)])
    assert live(node).conference.state is ConferenceState.IN_PROGRESS
    assert [silence(node, each) for each in (creator, guest, host)] == [
        (False, False),
        (True, False),
        (False, False),
    ]


# Joining and leaving.


async def test_a_call_joins_by_name_or_id_once(node: World) -> None:
    creator, guest, other = [await node.commanded() for _ in range(3)]
    made = (await create(node, creator)).conference

    await join(node, guest, extras={"state": "g"})
    await join(node, other, name=made.id)
    with pytest.raises(AlreadyInConference):
        await join(node, guest)

    assert [e.call.id for e in node.seen(event.ParticipantJoined)] == [
        creator.call.id,
        guest.call.id,
        other.call.id,
    ]
    assert guest.call.extras == {"state": "g"}
    assert other.call.extras == {}


async def test_a_full_conference_takes_nobody(node: World) -> None:
    creator, guest, third = [await node.commanded() for _ in range(3)]
    await create(node, creator, max_participants=2)

    outcomes = await asyncio.gather(join(node, guest), join(node, third), return_exceptions=True)

    assert sorted(type(outcome) for outcome in outcomes if outcome) == [ConferenceFull]
    assert len(live(node).seats) == 2


async def test_a_conference_that_is_not_there_or_over_takes_nobody(node: World) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    with pytest.raises(ConferenceNotFound):
        await join(node, guest)
    made = (await create(node, creator)).conference
    node.engine.hang_up_from_outside(creator.leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()

    for name in ("MyConf", made.id):
        with pytest.raises(ConferenceHasEnded):
            await join(node, guest, name=name)


async def test_a_call_moves_from_one_conference_to_another(node: World) -> None:
    first, second, mover = [await node.commanded() for _ in range(3)]
    await create(node, first, name="A")
    await create(node, second, name="B")
    await join(node, mover, name="A")

    await join(node, mover, name="B")

    assert mover.leg in node.engine.rooms[live(node, "B").room]
    assert len(live(node, "A").seats) == 1
    assert [e.conference.name for e in node.seen(event.ParticipantLeft)] == ["A"]


async def test_two_moves_at_once_end_in_one_place(node: World) -> None:
    first, second, mover = [await node.commanded() for _ in range(3)]
    await create(node, first, name="A")
    await create(node, second, name="B")

    await asyncio.gather(join(node, mover, name="A"), join(node, mover, name="B"))
    await node.settled()

    assert mover.seat is not None
    room = mover.seat.conference.room
    assert mover.leg in node.engine.rooms[room]
    assert sum(mover.call.id in each.seats for each in node.parts.live.conferences.values()) == 1


async def test_a_call_that_ends_while_it_joins_leaves_no_seat(node: World) -> None:
    creator = await node.commanded()
    await create(node, creator)

    for turns in range(12):
        guest = await node.commanded()
        joining = asyncio.ensure_future(join(node, guest))
        for _ in range(turns):
            await asyncio.sleep(0)
        node.engine.hang_up_from_outside(guest.leg)
        (outcome,) = await asyncio.gather(joining, return_exceptions=True)
        await node.settled()

        assert outcome is None or isinstance(outcome, CallHasEnded)
        assert list(live(node).seats) == [creator.call.id]
    assert len(node.seen(event.CallEnded)) == 12
    joined, left = node.seen(event.ParticipantJoined), node.seen(event.ParticipantLeft)
    assert len(joined) == len(left) + 1


async def test_a_call_that_leaves_is_parked_and_may_come_back(node: World) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)
    await join(node, guest)

    leave = LeaveCall(conference=ref(node), call_id=guest.call.id)
    await node.control.execute(leave)
    assert guest.leg not in node.engine.rooms[live(node).room]
    with pytest.raises(NotInConference):
        await node.control.execute(leave)
    await join(node, guest)

    assert guest.leg in node.engine.rooms[live(node).room]
    assert guest.leg in node.engine.legs


async def test_a_call_that_is_sent_out_while_it_joins_leaves(
    node: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)
    may_join, join_in_core = asyncio.Event(), node.engine.join

    async def late_join(*args: Any, **kwargs: Any) -> None:
        await may_join.wait()
        await join_in_core(*args, **kwargs)

    monkeypatch.setattr(node.engine, "join", late_join)
    joining = asyncio.ensure_future(join(node, guest))
    await node.until(lambda: guest.seat is not None)
    leaving = asyncio.ensure_future(
        node.control.execute(LeaveCall(conference=ref(node), call_id=guest.call.id))
    )
    await node.until(lambda: "leave" in node.engine.names())
    may_join.set()
    async with asyncio.timeout(5):
        await asyncio.gather(joining, leaving)

    assert node.engine.legs[guest.leg].room is None
    assert list(live(node).seats) == [creator.call.id]


async def test_a_call_that_a_document_steers_is_steered_by_commands_once_they_take_it(
    node: World,
) -> None:
    creator = await node.commanded()
    await create(node, creator)
    text = document(("join", {"name": "Theirs"}), ("hang_up", {}))
    await node.application("doc", answer_document=text)
    leg = node.engine.arrive(called="doc")
    await node.happened(event.ParticipantJoined, 2)
    guest = node.parts.live.calls[leg]

    await join(node, guest)
    await node.settled()

    assert leg in node.engine.rooms[live(node).room]
    assert [e.conference.name for e in node.seen(event.ConferenceEnded)] == ["Theirs"]


# Who hears whom.


async def test_muted_deaf_and_on_hold_reach_the_core_and_the_rows(node: World) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)
    await join(node, guest, on_hold=True)
    assert silence(node, guest) == (True, True)

    (changed,) = await change(node, guest, muted=True, on_hold=False)
    after_hold = silence(node, guest)
    everybody = await change(node, deaf=True)
    view = await node.control.execute(GetConference(conference=ref(node)))

    assert (changed.muted, changed.deaf, changed.on_hold) == (True, False, False)
    assert after_hold == (True, False)
    assert [each.deaf for each in everybody] == [True, True]
    assert silence(node, creator) == (False, True)
    rows = [each.participant for each in view.participants]
    assert [(row.muted, row.deaf) for row in rows] == [(False, True), (True, True)]


async def test_a_hold_does_not_forget_who_was_muted(node: World) -> None:
    creator = await node.commanded()
    await create(node, creator)

    await change(node, creator, muted=True)
    await change(node, creator, on_hold=True)
    held = silence(node, creator)
    await change(node, creator, on_hold=False)

    assert held == (True, True)
    assert silence(node, creator) == (True, False)


async def test_changes_at_once_are_both_kept(node: World) -> None:
    creator = await node.commanded()
    await create(node, creator)

    await asyncio.gather(
        change(node, creator, muted=True), change(node, deaf=True), change(node, on_hold=False)
    )

    assert silence(node, creator) == (True, True)
    (row,) = (await node.control.execute(GetConference(conference=ref(node)))).participants
    assert (row.participant.muted, row.participant.deaf) == (True, True)


async def test_a_mute_while_the_call_joins_is_kept(node: World) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)

    joining = asyncio.ensure_future(join(node, guest))
    await node.until(lambda: guest.seat is not None)
    await change(node, guest, muted=True)
    await joining

    assert silence(node, guest) == (True, False)
    assert guest.seat is not None
    assert guest.seat.participant.muted


async def test_members_are_named_by_id_or_call_and_one_must_be_there(node: World) -> None:
    creator, guest, apart = [await node.commanded() for _ in range(3)]
    await create(node, creator)
    await join(node, guest)

    both = Members(member_ids=(MemberId("1"), MemberId("99")), call_ids=(guest.call.id,))
    changed = await node.control.execute(
        SetParticipants(conference=ref(node), members=both, muted=True)
    )
    with pytest.raises(ParticipantNotFound) as missing:
        await change(node, apart, muted=True)

    assert [each.call_id for each in changed] == [creator.call.id, guest.call.id]
    assert missing.value.name == apart.call.id


async def test_removed_participants_are_parked_or_hung_up(node: World) -> None:
    creator, guest, third = [await node.commanded() for _ in range(3)]
    await create(node, creator)
    await join(node, guest)
    await join(node, third)

    parked = await node.control.execute(
        RemoveParticipants(conference=ref(node), members=Members(call_ids=(guest.call.id,)))
    )
    await node.control.execute(
        RemoveParticipants(
            conference=ref(node), members=Members(call_ids=(third.call.id,)), hang_up=True
        )
    )
    (ended,) = await node.happened(event.CallEnded)
    await node.settled()

    assert [each.call_id for each in parked] == [guest.call.id]
    assert guest.leg in node.engine.legs
    assert (ended.call.id, ended.call.end_source) == (third.call.id, EndSource.API)
    assert list(live(node).seats) == [creator.call.id]


# The end.


@pytest.mark.parametrize(("hang_up", "ended_calls"), [(True, 2), (False, 0)])
async def test_an_ended_conference_lets_its_calls_go_on_or_ends_them(
    node: World, *, hang_up: bool, ended_calls: int
) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)
    await join(node, guest)

    await node.control.execute(EndConference(conference=ref(node), hang_up=hang_up))
    (ended,) = await node.happened(event.ConferenceEnded)
    await node.settled()

    assert ended.conference.end_reason is ConferenceEnd.API
    assert ended.creator is not None
    ends = {(e.call.end_cause, e.call.end_source) for e in node.seen(event.CallEnded)}
    assert len(node.seen(event.CallEnded)) == ended_calls
    assert ends <= {(EndCause.NORMAL, EndSource.API)}
    with pytest.raises(ConferenceHasEnded):
        await node.control.execute(EndConference(conference=ref(node)))
    with pytest.raises(ConferenceHasEnded):
        await change(node, muted=True)


async def test_all_conferences_of_an_account_end_at_once(node: World) -> None:
    for name in ("conf-1", "conf-2"):
        await create(node, await node.commanded(), name=name)

    await node.control.execute(EndConferences(account_id=AccountId("MA" + "Z" * 18)))
    untouched = len(node.parts.live.conferences)
    await node.control.execute(EndConferences(account_id=node.account.id))
    await node.settled()

    assert untouched == 2
    assert node.parts.live.conferences == {}
    assert {e.call.end_source for e in node.seen(event.CallEnded)} == {EndSource.API}
    assert len(node.seen(event.CallEnded)) == 2
    await node.control.execute(EndConferences(account_id=node.account.id))


async def test_who_joins_while_it_ends_is_not_left_in_it(node: World) -> None:
    for turns in range(12):
        name = f"conf-{turns}"
        creator, guest = await node.commanded(), await node.commanded()
        await create(node, creator, name=name)
        joining = asyncio.ensure_future(join(node, guest, name=name))
        for _ in range(turns):
            await asyncio.sleep(0)

        await node.control.execute(EndConference(conference=ref(node, name), hang_up=False))
        (outcome,) = await asyncio.gather(joining, return_exceptions=True)
        await node.settled()

        assert outcome is None or isinstance(outcome, ConferenceHasEnded)
        assert not node.parts.live.conferences
        assert not node.engine.rooms
        assert guest.seat is None


async def test_a_name_is_free_again_once_its_conference_has_gone(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    await create(node, first)

    await node.control.execute(EndConference(conference=ref(node), hang_up=False))
    await node.happened(event.ConferenceEnded)
    await node.settled()
    again = await create(node, second)

    assert again.conference.state in {ConferenceState.INIT, ConferenceState.IN_PROGRESS}
    assert (await node.control.execute(GetConference(conference=ref(node)))).conference.id == (
        again.conference.id
    )


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_the_host_s_exit_ends_it(node: World, *, hangs_up: bool) -> None:
    creator, host = await node.commanded(), await node.commanded()
    await create(node, creator)
    await join(node, host, end_on_exit=True, hangs_up_on_exit=hangs_up)

    await node.control.execute(HangUpCall(account_id=node.account.id, call_id=host.call.id))
    (ended,) = await node.happened(event.ConferenceEnded)
    await node.settled()

    assert ended.conference.end_reason is ConferenceEnd.HOST_LEFT
    assert (creator.leg in node.engine.legs) is not hangs_up


async def test_a_conference_ends_when_it_expires(node: World) -> None:
    creator = await node.commanded()
    await create(node, creator, duration_limit_ms=1_000)

    node.clock.at_ms = EpochMs(node.clock.at_ms + 999)
    await end_what_is_due(node.parts)
    assert not live(node).is_ending
    node.clock.at_ms = EpochMs(node.clock.at_ms + 1)
    await end_what_is_due(node.parts)
    (ended,) = await node.happened(event.ConferenceEnded)

    assert ended.conference.end_reason is ConferenceEnd.TIME_LIMIT
    assert creator.leg in node.engine.legs


async def test_a_document_s_join_waits_until_an_ending_conference_has_gone(node: World) -> None:
    await node.room_application()
    creator = await node.commanded()
    await create(node, creator)
    first = live(node)
    first.is_ending = True

    node.engine.arrive(called="room-MyConf")
    await node.settled()
    assert len(node.seen(event.CallAnswered)) == len(node.seen(event.ParticipantJoined)) == 1
    node.engine.hang_up_from_outside(creator.leg)
    await node.happened(event.ParticipantJoined, 2)

    assert live(node) is not first


# Finding.


async def test_an_ended_conference_is_shown_to_who_asks_for_it(node: World) -> None:
    creator = await node.commanded()
    made = (await create(node, creator)).conference
    node.engine.hang_up_from_outside(creator.leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()

    for name in ("MyConf", made.id):
        shown = await node.control.execute(
            GetConference(conference=ref(node, name), even_ended=True)
        )
        assert shown.conference.state is ConferenceState.COMPLETED
        assert shown.participants == ()
        with pytest.raises(ConferenceNotFound):
            await node.control.execute(GetConference(conference=ref(node, name)))


async def test_conferences_are_listed_by_name_and_state(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    await create(node, first, name="A")
    await create(node, second, name="B")
    node.engine.hang_up_from_outside(second.leg)
    await node.happened(event.ConferenceEnded)
    await node.settled()

    async def names(**fields: Any) -> list[str]:
        found = await node.control.execute(
            ListConferences(account_id=node.account.id, only_live=False, **fields)
        )
        return [view.conference.name for view in found]

    assert await names() == ["B", "A"]
    assert await names(name="A") == ["A"]
    assert await names(state=ConferenceState.COMPLETED) == ["B"]
    assert await names(state=ConferenceState.IN_PROGRESS) == ["A"]
