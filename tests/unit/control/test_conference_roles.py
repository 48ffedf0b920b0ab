"""Who hears whom by role, and what those hear who are on hold or wait."""

from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, World

from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.command import (
    ConferenceRef,
    CreateConference,
    GetConference,
    JoinCall,
    LeaveCall,
    Members,
    SetParticipants,
)
from tapeline.domain.conference import Role
from tapeline.domain.error import DestinationFault, OutOfRange
from tapeline.domain.sound import Fetched, SoundUse

MUSIC = "http://customer.example/music.mp3"


def ref(node: World) -> ConferenceRef:
    return ConferenceRef(account_id=node.account.id, name="MyConf")


async def create(node: World, live_call: LiveCall, **more: Any) -> None:
    await node.control.execute(
        CreateConference(
            account_id=node.account.id,
            name="MyConf",
            call_id=live_call.call.id,
            dialect=COMMANDED,
            **more,
        )
    )
    await node.settled()


async def join(node: World, live_call: LiveCall, **more: Any) -> None:
    await node.control.execute(JoinCall(conference=ref(node), call_id=live_call.call.id, **more))
    await node.settled()


async def change(node: World, live_call: LiveCall, **fields: Any) -> None:
    members = Members(call_ids=(live_call.call.id,))
    await node.control.execute(SetParticipants(conference=ref(node), members=members, **fields))


def heard_by(node: World, live_call: LiveCall) -> object:
    found = node.engine.legs[live_call.leg].settings.heard_by
    return found if found == "everyone" else list(found)


def music(node: World) -> dict[int, bool]:
    """Who hears a file for ever, and whether instead of the rest."""
    return {
        int(spec.leg): spec.instead
        for spec in node.engine.playbacks.values()
        if spec.leg is not None and spec.loops == 0
    }


@pytest.mark.parametrize("role", [Role.NONE, Role.BARGE])
async def test_who_has_no_role_or_barges_is_heard_by_everybody(node: World, role: Role) -> None:
    creator, boss = await node.commanded(), await node.commanded()
    await create(node, creator)

    await join(node, boss, role=role)

    assert heard_by(node, boss) == "everyone"


async def test_a_monitor_hears_and_is_heard_by_nobody(node: World) -> None:
    creator, boss = await node.commanded(), await node.commanded()
    await create(node, creator)

    await join(node, boss, role=Role.MONITOR)
    settings = node.engine.legs[boss.leg].settings
    await change(node, boss, role=Role.NONE)

    assert (list(settings.heard_by), settings.muted, settings.deaf) == ([], False, False)
    assert heard_by(node, boss) == "everyone"


async def test_a_whisper_reaches_those_named_whenever_they_come_and_go(node: World) -> None:
    creator, agent, boss = [await node.commanded() for _ in range(3)]
    await create(node, creator)
    await join(node, boss, role=Role.WHISPER, whispers_to=(agent.call.id,))
    before = heard_by(node, boss)

    await join(node, agent)
    meanwhile = heard_by(node, boss)
    view = await node.control.execute(GetConference(conference=ref(node)))
    await node.control.execute(LeaveCall(conference=ref(node), call_id=agent.call.id))
    await join(node, agent)

    assert (before, meanwhile, heard_by(node, boss)) == ([], [agent.leg], [agent.leg])
    row = next(each.participant for each in view.participants if each.call.id == boss.call.id)
    assert (row.role, row.whispers_to) == (Role.WHISPER, (agent.call.id,))


async def test_a_role_is_changed_and_its_listeners_with_it(node: World) -> None:
    creator, agent, boss = [await node.commanded() for _ in range(3)]
    await create(node, creator)
    for each in (agent, boss):
        await join(node, each)

    await change(node, boss, role=Role.WHISPER, whispers_to=(creator.call.id,))
    first = heard_by(node, boss)
    await change(node, boss, muted=True)
    still = heard_by(node, boss)
    await change(node, boss, role=Role.WHISPER, whispers_to=(agent.call.id, creator.call.id))

    assert (first, still) == ([creator.leg], [creator.leg])
    assert heard_by(node, boss) == [agent.leg, creator.leg]


async def test_a_whisper_to_too_many_is_refused(node: World) -> None:
    creator = await node.commanded()
    await create(node, creator)

    with pytest.raises(OutOfRange):
        await change(node, creator, role=Role.WHISPER, whispers_to=(creator.call.id,) * 9)


async def test_music_is_heard_as_long_as_the_hold(node: World) -> None:
    creator, guest = await node.commanded(), await node.commanded()
    await create(node, creator)
    await join(node, guest, on_hold=True, hold_sound=Fetched(MUSIC))
    await node.until(lambda: music(node) == {guest.leg: True})

    await change(node, guest, on_hold=False)
    await node.until(lambda: not music(node))
    await change(node, guest, on_hold=True, hold_sound=Fetched(MUSIC))
    await node.until(lambda: music(node) == {guest.leg: True})
    await node.control.execute(LeaveCall(conference=ref(node), call_id=guest.call.id))
    await node.until(lambda: not music(node))

    assert not guest.playlist.chosen(frozenset(SoundUse))
    assert not node.seen(event.SoundStarted)


async def test_a_hold_whose_music_cannot_be_had_is_none(node: World) -> None:
    creator = await node.commanded()
    await create(node, creator)
    node.sounds.missing.add(MUSIC)

    with pytest.raises(DestinationFault):
        await change(node, creator, on_hold=True, hold_sound=Fetched(MUSIC))

    assert not node.engine.legs[creator.leg].settings.on_hold


async def test_who_waits_for_the_start_hears_the_conferences_music(node: World) -> None:
    creator, guest, host = [await node.commanded() for _ in range(3)]
    await create(node, creator, starts_on_create=False, hold_sound=Fetched(MUSIC))
    await join(node, guest)
    await node.until(lambda: music(node) == {creator.leg: True, guest.leg: True})
    waiting = node.engine.legs[guest.leg].settings.on_hold

    await join(node, host, starts_conference=True)
    await node.until(lambda: not music(node))

    assert waiting
    assert not node.engine.legs[guest.leg].settings.on_hold
