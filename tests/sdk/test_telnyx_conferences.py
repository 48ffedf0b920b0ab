"""`telnyx` 4.189.0, unmodified, with only `base_url` set: conferences made, steered and recorded
by commands on real calls.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
import telnyx
from tests.sdk.telnyx_desk import Desk, open_desk

from tapeline.testing import Silence, Tone, find_tone, tone_level

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATE, OTHER_STATE = "b3duZXI=", "c3RvcHBlZA=="
LEVEL = -20.0
BREATH_S = 0.3
BEEP_HZ = 1_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("node")) as opened:
        yield opened


async def make(desk: Desk, name: str, *, tone: int = 440, **more: Any) -> tuple[Any, str, str]:
    """A creator who says a tone, its call_control_id, and its conference's id."""
    host = "host-" + re.sub(r"\W", "-", name)
    call, creator = await desk.talk("desk-1", caller=host, play=Tone(tone, LEVEL))
    made = await desk.ask(
        desk.client.conferences.create, call_control_id=creator, name=name, **more
    )
    return call, creator, made.data.id


async def add(desk: Desk, conference: str, name: str, *, tone: int, **more: Any) -> tuple[Any, str]:
    call, call_control_id = await desk.talk("desk-2", caller=name, play=Tone(tone, LEVEL))
    await desk.ask(
        desk.client.conferences.actions.join, conference, call_control_id=call_control_id, **more
    )
    return call, call_control_id


async def test_a_conferences_life_is_told(desk: Desk) -> None:
    call, creator, conference_id = await make(desk, "life", client_state=STATE)

    created = await desk.event("conference.created", lambda p: p["conference_id"] == conference_id)
    joined = await desk.event(
        "conference.participant.joined", lambda p: p["conference_id"] == conference_id
    )
    room = (await desk.ask(desk.client.conferences.retrieve, conference_id)).data
    people = await desk.ask(desk.client.conferences.list_participants, conference_id)
    listed = await desk.ask(desk.client.conferences.list, filter={"name": "life"})
    (person,) = people.data
    one = await desk.ask(desk.client.conferences.retrieve_participant, person.id, id=conference_id)
    await call.hang_up()
    left = await desk.event(
        "conference.participant.left", lambda p: p["conference_id"] == conference_id
    )
    ended = await desk.event("conference.ended", lambda p: p["conference_id"] == conference_id)
    hung_up = await desk.event("call.hangup", lambda p: p["call_control_id"] == creator)
    after = (await desk.ask(desk.client.conferences.retrieve, conference_id)).data

    for each in (created, joined, left, ended, hung_up):
        assert each["payload"]["client_state"] == STATE, each
        assert each["payload"]["connection_id"] == desk.connection_id
        assert each["payload"]["call_control_id"] == creator
    assert (room.status, room.name, room.connection_id) == (
        "in_progress",
        "life",
        desk.connection_id,
    )
    assert (person.call_control_id, person.status, person.muted) == (creator, "joined", False)
    assert one.data.call_leg_id == person.call_leg_id
    assert [each.id for each in listed.data] == [conference_id]
    assert ended["payload"]["reason"] == "all_left"
    assert (after.status, after.end_reason) == ("completed", "all_left")


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("format", ["wav", "mp3"])
async def test_a_dual_recording_has_its_creator_left(
    desk: Desk, *, format: str, by_name: bool
) -> None:
    name = f"dual {format}/{by_name}"
    host, _, conference_id = await make(desk, name, tone=440)
    guest, _ = await add(desk, conference_id, f"g{format}{by_name}", tone=1_000)

    started = await desk.ask(
        desk.client.conferences.actions.record_start,
        name if by_name else conference_id,
        format=format,
        channels="dual",
        custom_file_name="board meeting",
    )
    await asyncio.sleep(1.0)
    stopped = await desk.ask(
        desk.client.conferences.actions.record_stop, conference_id, client_state=OTHER_STATE
    )
    payload = await desk.saved(started.data.recording_id)
    sound = await desk.sound(payload)

    assert (started.data.result, stopped.data.result) == ("ok", "ok")
    assert sound.channels == 2
    assert tone_level(sound.channel(0), 440, sound.rate_hz) > LEVEL - 3
    assert tone_level(sound.channel(1), 1_000, sound.rate_hz) > LEVEL - 3
    assert tone_level(sound.channel(0), 1_000, sound.rate_hz) < LEVEL - 40
    assert tone_level(sound.channel(1), 440, sound.rate_hz) < LEVEL - 40
    assert (payload["channels"], payload["format"]) == ("dual", format)
    assert list(payload["recording_urls"]) == [format]
    assert payload["client_state"] == OTHER_STATE
    assert payload["file_name"].startswith("board meeting-17") or payload["file_name"].startswith(
        "board meeting-"
    )
    assert payload["duration_millis"] == pytest.approx(sound.duration_ms, abs=1)
    assert "call_leg_id" not in payload
    await asyncio.gather(host.hang_up(), guest.hang_up())


async def test_a_single_recording_is_a_mix_with_its_beep(desk: Desk) -> None:
    """The beep is heard in the room and stands at the file's beginning."""
    host, _, conference_id = await make(desk, "single", tone=440)
    guest, _ = await add(desk, conference_id, "gsingle", tone=700)

    started = await desk.ask(
        desk.client.conferences.actions.record_start, conference_id, format="wav", play_beep=True
    )
    await asyncio.sleep(1.0)
    await asyncio.gather(host.hang_up(), guest.hang_up())
    payload = await desk.saved(started.data.recording_id)
    sound = await desk.sound(payload)

    assert sound.channels == 1
    for tone in (440, 700):
        assert tone_level(sound.mono(), tone, sound.rate_hz) > LEVEL - 4
    (beep,) = find_tone(sound.mono(), BEEP_HZ, rate_hz=sound.rate_hz)
    assert beep.start_ms < 60
    assert beep.duration_ms == pytest.approx(300, abs=20)
    assert len(find_tone(guest.heard().samples, BEEP_HZ)) == 1
    assert (payload["channels"], payload["client_state"]) == ("single", None)


async def test_the_webhooks_link_lives_ten_minutes(desk: Desk) -> None:
    """The one of the start's answer lives as long as the account chose."""
    host, _, conference_id = await make(desk, "link")
    actions = desk.client.conferences.actions
    started = await desk.ask(actions.record_start, conference_id, format="mp3")
    await asyncio.sleep(0.3)
    await desk.ask(actions.record_stop, conference_id)
    payload = await desk.saved(started.data.recording_id)

    (link,) = payload["recording_urls"].values()
    lives_s = int(parse_qs(urlsplit(link).query)["expires"][0]) - time.time()
    assert 500 < lives_s <= 601
    assert link.split("?")[0] == started.data.recording_url.split("?")[0]
    for url in (link, started.data.recording_url):
        assert (await desk.site.fetch(url)).status == 200
    await host.hang_up()


async def test_trimming_takes_the_silence_at_both_ends(desk: Desk) -> None:
    host, _, conference_id = await make(desk, "trim", tone=440)
    host.play(Silence())
    await asyncio.sleep(0.3)  # what the jitter buffer holds of the tone is still said
    started = await desk.ask(
        desk.client.conferences.actions.record_start,
        conference_id,
        format="wav",
        trim="trim-silence",
    )
    await asyncio.sleep(0.8)
    host.play(Tone(440, LEVEL))
    await asyncio.sleep(0.6)
    host.play(Silence())
    await asyncio.sleep(0.8)
    await desk.ask(desk.client.conferences.actions.record_stop, conference_id)
    sound = await desk.sound(await desk.saved(started.data.recording_id))

    (span,) = find_tone(sound.mono(), 440, rate_hz=sound.rate_hz)
    assert sound.duration_ms < 1_400
    assert span.duration_ms == pytest.approx(600, abs=60)
    await host.hang_up()


async def test_a_paused_time_is_nowhere(desk: Desk) -> None:
    host, _, conference_id = await make(desk, "pause", tone=440)
    actions = desk.client.conferences.actions
    started = await desk.ask(actions.record_start, conference_id, format="wav")
    await asyncio.sleep(0.6)
    for _ in range(2):  # pausing what is paused is nothing
        await desk.ask(actions.record_pause, conference_id)
    host.play(Tone(1_000, LEVEL))
    await asyncio.sleep(0.8)
    host.play(Tone(700, LEVEL))
    await asyncio.sleep(BREATH_S)
    await desk.ask(actions.record_resume, conference_id, recording_id=started.data.recording_id)
    await asyncio.sleep(0.6)
    await desk.ask(actions.record_stop, conference_id)
    sound = await desk.sound(await desk.saved(started.data.recording_id))

    assert find_tone(sound.mono(), 440, rate_hz=sound.rate_hz)
    assert find_tone(sound.mono(), 700, rate_hz=sound.rate_hz)
    assert not find_tone(sound.mono(), 1_000, rate_hz=sound.rate_hz)
    await host.hang_up()


async def test_muted_and_held_are_silent(desk: Desk) -> None:
    host, host_id, conference_id = await make(desk, "quiet", tone=440)
    muted, muted_id = await add(desk, conference_id, "gmuted", tone=700, mute=True)
    held, held_id = await add(desk, conference_id, "gheld", tone=1_000)
    actions = desk.client.conferences.actions
    await desk.ask(actions.hold, conference_id, call_control_ids=[held_id])
    on_hold = await desk.ask(
        desk.client.conferences.list_participants, conference_id, filter={"on_hold": True}
    )
    started = await desk.ask(actions.record_start, conference_id, format="wav")
    await asyncio.sleep(0.7)
    await desk.ask(actions.unmute, conference_id, call_control_ids=[muted_id])
    await desk.ask(actions.unhold, conference_id, call_control_ids=[held_id])
    await desk.ask(actions.mute, conference_id, call_control_ids=[host_id])
    await asyncio.sleep(0.9)
    await desk.ask(actions.record_stop, conference_id)
    sound = await desk.sound(await desk.saved(started.data.recording_id))

    assert [each.call_control_id for each in on_hold.data] == [held_id]
    mono, rate_hz = sound.mono(), sound.rate_hz
    (first,) = find_tone(mono, 440, rate_hz=rate_hz)
    assert first.start_ms < 100
    assert first.end_ms < sound.duration_ms - 500
    for tone in (700, 1_000):
        (span,) = find_tone(mono, tone, rate_hz=rate_hz)
        assert span.start_ms > 500
    await asyncio.gather(*(each.hang_up() for each in (host, muted, held)))


async def test_who_leaves_is_parked_and_may_come_again(desk: Desk) -> None:
    host, _, conference_id = await make(desk, "leave")
    guest, guest_id = await add(desk, conference_id, "gleave", tone=1_000)
    actions = desk.client.conferences.actions

    await desk.ask(actions.leave, conference_id, call_control_id=guest_id)
    await desk.event(
        "conference.participant.left",
        lambda p: (p["conference_id"], p["call_control_id"]) == (conference_id, guest_id),
    )
    alone = await desk.ask(desk.client.conferences.list_participants, conference_id)
    status = await desk.ask(desk.client.calls.retrieve_status, guest_id)
    await desk.ask(actions.join, conference_id, call_control_id=guest_id)

    assert len(alone.data) == 1
    assert status.data.is_alive
    assert not guest.is_over
    await asyncio.gather(host.hang_up(), guest.hang_up())


@pytest.mark.parametrize("is_soft", [True, False])
async def test_a_hosts_exit_ends_the_conference_hard_or_soft(desk: Desk, *, is_soft: bool) -> None:
    host, _, conference_id = await make(desk, f"host{is_soft}")
    field = "soft_end_conference_on_exit" if is_soft else "end_conference_on_exit"
    boss, _ = await add(desk, conference_id, f"boss{is_soft}", tone=700, **{field: True})

    await boss.hang_up()
    ended = await desk.event("conference.ended", lambda p: p["conference_id"] == conference_id)

    assert ended["payload"]["reason"] == "host_left"
    if is_soft:
        await asyncio.sleep(0.3)
        assert not host.is_over
        await host.hang_up()
    else:
        await host.ended(5)


async def test_end_hangs_everybody_up(desk: Desk) -> None:
    host, _, conference_id = await make(desk, "end")
    guest, guest_id = await add(desk, conference_id, "gend", tone=700)
    started = await desk.ask(
        desk.client.conferences.actions.record_start, conference_id, format="mp3"
    )

    await desk.ask(desk.client.conferences.actions.end_conference, conference_id)
    await asyncio.gather(host.ended(5), guest.ended(5))
    await desk.event("call.hangup", lambda p: p["call_control_id"] == guest_id)
    payload = await desk.saved(started.data.recording_id)
    after = (await desk.ask(desk.client.conferences.retrieve, conference_id)).data

    assert payload["conference_id"] == conference_id
    assert after.end_reason == "ended_via_api"


async def test_the_same_command_id_is_one_recording(desk: Desk) -> None:
    host, _, conference_id = await make(desk, "once")

    starts = await asyncio.gather(
        *(
            desk.ask(
                desk.client.conferences.actions.record_start,
                conference_id,
                format="wav",
                command_id="891510ac",
            )
            for _ in range(8)
        )
    )
    another = await desk.ask(
        desk.client.conferences.actions.record_start, conference_id, format="wav"
    )

    assert len({each.data.recording_id for each in starts}) == 1
    assert another.data.recording_id != starts[0].data.recording_id
    await desk.ask(desk.client.conferences.actions.record_stop, conference_id)
    for each in (starts[0], another):
        await desk.saved(each.data.recording_id)
    await host.hang_up()


async def test_a_room_that_a_document_made_is_recorded_too(desk: Desk) -> None:
    """Its first caller is the creator; the account's own webhook is told."""
    from tapeline.domain.command import SetAccount
    from tapeline.domain.id import AccountId

    account_id = AccountId(desk.site.account.auth_id)
    await desk.site.local.execute(
        SetAccount(account_id=account_id, webhook_url=desk.site.receiver.url("/own"))
    )
    first = await desk.site.sit("xml", caller="first", play=Tone(440, LEVEL))
    second = await desk.site.sit("xml", caller="second", play=Tone(1_000, LEVEL))

    started = await desk.ask(
        desk.client.conferences.actions.record_start, "xml", format="wav", channels="dual"
    )
    await asyncio.sleep(0.8)
    await desk.ask(desk.client.conferences.actions.record_stop, "xml")
    saved = await desk.event("conference.recording.saved", path="/own")
    sound = await desk.sound(saved["payload"])

    assert saved["payload"]["recording_id"] == started.data.recording_id
    assert tone_level(sound.channel(0), 440, sound.rate_hz) > LEVEL - 3
    assert tone_level(sound.channel(1), 1_000, sound.rate_hz) > LEVEL - 3
    await asyncio.gather(first.hang_up(), second.hang_up())


@pytest.mark.parametrize(
    ("body", "error", "code", "pointer"),
    [
        ({"format": "ogg"}, telnyx.UnprocessableEntityError, "10032", "/format"),
        ({"format": ""}, telnyx.UnprocessableEntityError, "10004", "/format"),
        (
            {"format": "wav", "channels": "stereo"},
            telnyx.UnprocessableEntityError,
            "10032",
            "/channels",
        ),
        (
            {"format": "wav", "custom_file_name": "x" * 41},
            telnyx.UnprocessableEntityError,
            "10033",
            "/custom_file_name",
        ),
        ({"format": "wav", "region": "Asia"}, telnyx.UnprocessableEntityError, "10032", "/region"),
        ({"format": "wav"}, telnyx.NotFoundError, "90058", None),
    ],
)
async def test_errors_are_the_sdks_own(
    desk: Desk, body: Any, error: type[telnyx.APIStatusError], code: str, pointer: str | None
) -> None:
    with pytest.raises(error) as raised:
        await desk.ask(desk.client.conferences.actions.record_start, "nowhere", **body)

    (fault,) = raised.value.body["errors"]  # type: ignore[index, call-overload]
    assert (fault["code"], fault.get("source", {}).get("pointer")) == (code, pointer)


async def test_what_a_conference_cannot_do_now(desk: Desk) -> None:
    host, _, conference_id = await make(desk, "cannot", max_participants=2)
    guest, guest_id = await add(desk, conference_id, "gcannot", tone=700)
    third, third_id = await desk.talk("desk-cannot3", caller="third")
    actions, conferences = desk.client.conferences.actions, desk.client.conferences

    async def code_of(function: Any, *args: Any, **more: Any) -> str:
        with pytest.raises(telnyx.UnprocessableEntityError) as raised:
            await desk.ask(function, *args, **more)
        return str(raised.value.body["errors"][0]["code"])  # type: ignore[index, call-overload]

    assert await code_of(actions.join, conference_id, call_control_id=third_id) == "90032"
    assert await code_of(actions.join, conference_id, call_control_id=guest_id) == "90044"
    assert await code_of(actions.join, conference_id, call_control_id="v3:bm9ib2R5") == "90015"
    assert await code_of(actions.record_stop, conference_id) == "90033"
    assert await code_of(actions.record_pause, conference_id) == "90033"
    assert await code_of(conferences.create, call_control_id=third_id, name="cannot") == "90033"
    with pytest.raises(telnyx.NotFoundError, match="10005"):
        await desk.ask(actions.record_stop, conference_id, recording_id="none")
    await guest.hang_up()
    await desk.event("call.hangup", lambda p: p["call_control_id"] == guest_id)
    assert await code_of(actions.join, conference_id, call_control_id=guest_id) == "90018"
    await host.hang_up()
    await desk.event("conference.ended", lambda p: p["conference_id"] == conference_id)
    for ended in (conference_id, "cannot"):
        assert await code_of(actions.record_start, ended, format="wav") == "90019"
    await third.hang_up()


async def test_a_wrong_key_is_an_authentication_error(desk: Desk) -> None:
    stranger = desk.client.copy(api_key="KEYwrong")

    with pytest.raises(telnyx.AuthenticationError, match="10009"):
        await desk.ask(stranger.conferences.actions.record_start, "x", format="wav")
