import asyncio
from pathlib import Path

import pytest
from tests.unit.control.support import World

from tapeline.control.bridges import bridge
from tapeline.control.live import LiveCall
from tapeline.control.playing import players
from tapeline.control.playlist import LONGEST
from tapeline.domain import event
from tapeline.domain.command import (
    Before,
    ConferenceRef,
    CreateConference,
    Hearing,
    JoinCall,
    Legs,
    Members,
    PlayToCall,
    PlayToConference,
    StopPlayingToCall,
    StopPlayingToConference,
)
from tapeline.domain.error import (
    CallNotAnswered,
    DestinationFault,
    NotBridged,
    ParticipantNotFound,
    SynthesiserFailed,
    TooManySounds,
)
from tapeline.domain.signal import PlaySpec
from tapeline.domain.sound import Fetched, SoundOutcome, SoundUse, Spoken

ONE, TWO = "http://customer.example/1.wav", "http://customer.example/2.wav"
FIRST, SECOND = str(Path(ONE)), str(Path(TWO))
FILES = frozenset({SoundUse.FILE})


def file_at(*urls: str, **more: object) -> Hearing:
    sounds = tuple(Fetched(url) for url in urls)
    return Hearing(sounds=sounds, use=SoundUse.FILE, is_told=True, **more)  # type: ignore[arg-type]


async def play(node: World, live_call: LiveCall, hearing: Hearing, legs: Legs = Legs.OWN) -> None:
    await node.control.execute(
        PlayToCall(
            account_id=node.account.id, call_id=live_call.call.id, hearing=hearing, legs=legs
        )
    )


async def conference(node: World, *live_calls: LiveCall) -> ConferenceRef:
    first, *others = live_calls
    made = await node.control.execute(
        CreateConference(
            account_id=node.account.id, name="x", call_id=first.call.id, dialect="commanded"
        )
    )
    ref = ConferenceRef(account_id=node.account.id, name=made.conference.name)
    for other in others:
        await node.control.execute(JoinCall(conference=ref, call_id=other.call.id))
    await node.happened(event.ParticipantJoined, len(live_calls))
    return ref


def heard(node: World) -> list[PlaySpec]:
    return list(node.engine.playbacks.values())


async def test_a_call_hears_what_it_is_given_and_both_ends_of_it_are_told(node: World) -> None:
    live_call = await node.commanded()

    await play(node, live_call, file_at(ONE, loops=3, instead=True))
    playback = await node.playing()
    (started,) = await node.happened(event.SoundStarted)
    (spec,) = heard(node)
    node.engine.finish_play(playback)
    (ended,) = await node.happened(event.SoundEnded)

    assert spec == PlaySpec(path=FIRST, leg=live_call.leg, loops=3, instead=True)
    assert (started.url, started.is_speech, started.conference) == (ONE, False, None)
    assert started.call is not None
    assert started.call.id == live_call.call.id
    await node.until(lambda: not node.sounds.open)
    assert ended.outcome is SoundOutcome.COMPLETED


async def test_what_is_asked_for_meanwhile_waits_for_its_turn(node: World) -> None:
    live_call = await node.commanded()
    await play(node, live_call, file_at(ONE))
    first = await node.playing()

    speech = Hearing(sounds=(Spoken(text="Hi", voice="WOMAN"),), use=SoundUse.SPEECH)
    await play(node, live_call, speech)
    assert [spec.path for spec in heard(node)] == [FIRST]
    node.engine.finish_play(first)
    await node.until(lambda: heard(node))

    assert [spec.path for spec in heard(node)] == ["en-US/WOMAN/Hi"]


async def test_several_files_follow_each_other_as_often_as_they_shall(node: World) -> None:
    live_call = await node.commanded()
    order = []

    await play(node, live_call, file_at(ONE, TWO, loops=2))
    for _ in range(4):
        playback = await node.playing()
        order.append(node.engine.playbacks[playback].path)
        node.engine.finish_play(playback)
    await node.happened(event.SoundEnded)

    assert order == [FIRST, SECOND, FIRST, SECOND]


async def test_a_limit_of_time_ends_what_would_go_on_for_ever(node: World) -> None:
    live_call = await node.commanded()

    await play(node, live_call, file_at(ONE, loops=0, limit_ms=20))
    (ended,) = await node.happened(event.SoundEnded)

    assert ended.outcome is SoundOutcome.COMPLETED
    assert heard(node) == []


@pytest.mark.parametrize(
    ("sound", "fault"),
    [(Fetched(ONE), DestinationFault), (Spoken(text=ONE), SynthesiserFailed)],
)
async def test_what_cannot_be_had_is_an_error_and_no_event(
    node: World, sound: Fetched | Spoken, fault: type[Exception]
) -> None:
    live_call = await node.commanded()
    node.sounds.missing.add(ONE)

    with pytest.raises(fault):
        await play(node, live_call, Hearing(sounds=(sound,), use=SoundUse.FILE, is_told=True))
    await node.until(lambda: not live_call.playlist.chosen(FILES))

    assert not node.seen(event.SoundEnded)


async def test_a_file_that_comes_late_is_told_of_by_events(
    node: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_call = await node.commanded()
    monkeypatch.setattr(players, "FILE_LIMIT_S", 0.01)
    node.sounds.hold = asyncio.Event()
    node.sounds.missing.add(ONE)

    await play(node, live_call, file_at(ONE))
    node.sounds.hold.set()
    (ended,) = await node.happened(event.SoundEnded)

    assert ended.outcome is SoundOutcome.NOT_FOUND
    assert not node.seen(event.SoundStarted)


async def test_a_file_that_the_core_cannot_play_has_failed(node: World) -> None:
    live_call = await node.commanded()
    node.engine.refuse_next("play")

    await play(node, live_call, file_at(ONE))
    (ended,) = await node.happened(event.SoundEnded)

    assert (ended.outcome, ended.detail) == (
        SoundOutcome.FAILED,
        "play failed: refused by the test",
    )


async def test_the_end_of_the_call_is_the_end_of_all_that_waits(node: World) -> None:
    live_call = await node.commanded()
    for url in (ONE, TWO):
        await play(node, live_call, file_at(url))
    await node.playing()

    node.engine.hang_up_from_outside(live_call.leg)
    (ended,) = await node.happened(event.SoundEnded)
    await node.until(lambda: not live_call.playlist.chosen(FILES))

    await node.until(lambda: not node.sounds.open)

    assert ended.outcome is SoundOutcome.TARGET_GONE


async def test_a_stop_ends_what_is_heard_and_what_waits_of_that_use_only(node: World) -> None:
    live_call = await node.commanded()
    speech = Hearing(sounds=(Spoken(text="Hi"),), use=SoundUse.SPEECH, is_told=True)
    for hearing in (file_at(ONE), file_at(TWO), speech):
        await play(node, live_call, hearing)
    await node.playing()

    await node.control.execute(
        StopPlayingToCall(account_id=node.account.id, call_id=live_call.call.id, uses=FILES)
    )
    await node.until(lambda: heard(node))

    assert [spec.path for spec in heard(node)] == ["en-US/Hi"]
    assert [each.outcome for each in node.seen(event.SoundEnded)] == [SoundOutcome.STOPPED]


async def test_a_new_one_may_take_the_place_of_what_is_heard(node: World) -> None:
    live_call = await node.commanded()
    for url in (ONE, TWO):
        await play(node, live_call, file_at(url))
    await node.playing()

    await play(node, live_call, file_at(ONE, before=Before.CURRENT_STOPS))
    await node.until(lambda: [spec.path for spec in heard(node)] == [SECOND])
    await play(node, live_call, file_at("http://customer.example/3.wav", before=Before.ALL_STOPS))
    await node.until(lambda: [spec.path[-5:] for spec in heard(node)] == ["3.wav"])

    assert len(live_call.playlist.chosen(FILES)) == 1


async def test_a_place_takes_no_more_than_so_many(node: World) -> None:
    live_call = await node.commanded()
    for _ in range(LONGEST):
        await play(node, live_call, file_at(ONE))

    with pytest.raises(TooManySounds):
        await play(node, live_call, file_at(ONE))


async def test_connected_calls_hear_it_by_their_legs(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    with pytest.raises(NotBridged):
        await play(node, first, file_at(ONE), Legs.OTHER)
    await bridge(node.parts, first, second)

    await play(node, first, file_at(ONE), Legs.OTHER)
    await node.until(lambda: [spec.leg for spec in heard(node)] == [second.leg])
    await play(node, second, file_at(TWO, before=Before.ALL_STOPS), Legs.BOTH)
    await node.until(lambda: {spec.leg for spec in heard(node)} == {first.leg, second.leg})

    assert node.sounds.made == [ONE, TWO]


async def test_a_call_that_was_not_answered_hears_nothing(node: World) -> None:
    live_call = await node.commanded(answered=False)

    with pytest.raises(CallNotAnswered):
        await play(node, live_call, file_at(ONE))


async def test_a_conference_hears_it_in_its_room_and_members_by_themselves(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    ref = await conference(node, first, second)
    room = node.parts.live.conferences[node.account.id, "x"].room

    await node.control.execute(PlayToConference(conference=ref, hearing=file_at(ONE)))
    members = Members(call_ids=(second.call.id,))
    await node.control.execute(
        PlayToConference(conference=ref, members=members, hearing=file_at(TWO))
    )
    everybody, one = await node.happened(event.SoundStarted, 2)
    await node.until(lambda: len(heard(node)) == 2)

    assert [(spec.room, spec.leg) for spec in heard(node)] == [(room, None), (None, second.leg)]
    assert everybody.call is None
    assert everybody.conference is not None
    assert one.call is not None
    assert (one.conference, one.creator) == (everybody.conference, everybody.creator)

    await node.control.execute(StopPlayingToConference(conference=ref, members=members, uses=FILES))
    assert [spec.room for spec in heard(node)] == [room]
    await node.control.execute(StopPlayingToConference(conference=ref, uses=FILES))
    assert heard(node) == []
    with pytest.raises(ParticipantNotFound):
        await node.control.execute(
            PlayToConference(
                conference=ref,
                members=Members(call_ids=((await node.commanded()).call.id,)),
                hearing=file_at(ONE),
            )
        )
