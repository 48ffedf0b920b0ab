"""Two vendors' SDKs, unmodified, let calls and conferences hear files and speech; telephones tell
what was heard.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import plivo
import pytest
import pytest_asyncio
import telnyx
from tests.contract.bad_server import bad_server
from tests.e2e.site import Site
from tests.e2e.test_core_stream import endless_wav
from tests.e2e.test_document_sounds import tone_file
from tests.sdk.stage import CALLEE_HZ, CALLER_HZ, blocking, talking
from tests.sdk.telnyx_desk import Desk, open_desk

from tapeline import compat
from tapeline.api.dialects.telnyx import words
from tapeline.domain.recording import TrackSide
from tapeline.testing import Answer, Call, Tone, find_tone, read_sound, tone_level
from tapeline.testing.rtp import DIGITS

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE_HZ = 2_000.0
SECONDS = 1.0
ALIGNED_MS = 40
GRID_MS = 20
GONE_DB = -45.0
DIGIT_TYPE = 101


@pytest.fixture
def client(site: Site) -> Iterator[Any]:
    made = plivo.RestClient(site.account.auth_id, site.account.auth_token)
    with compat.plivo(made, site.node.http_url) as pointed:
        yield pointed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("node")) as opened:
        yield opened


def heard_of(call: Call, hertz: float) -> list[Any]:
    return find_tone(call.heard().samples, hertz)


def said_by(speaker: Call, heard_by: Call, hertz: float) -> list[Any]:
    """Stretches of the speaker's tone; gaps that its own late packets explain are none."""
    gap_ms = GRID_MS + speaker.stream.worst_lateness_ms
    return find_tone(heard_by.heard().samples, hertz, longest_gap_ms=gap_ms)


def keyed_on(call: Call) -> str:
    """The telephone-events (RFC 4733) that have come, each once."""
    events = {
        packet.timestamp: DIGITS[packet.payload[0]]
        for packet in call.stream.packets
        if packet.payload_type == DIGIT_TYPE
    }
    return "".join(events.values())


def level_while(call: Call, hertz: float, span: Any) -> float:
    """Of a tone in the middle of another one's span."""
    begin, end = round((span.start_ms + 200) * 8), round((span.end_ms - 200) * 8)
    return tone_level(call.heard().samples[begin:end], hertz)


async def test_a_file_is_mixed_into_a_call(site: Site, client: Any) -> None:
    site.receiver.script("/mixed.wav", tone_file(int(FILE_HZ), SECONDS))
    async with talking(site, "plivo", number="mixed") as talk:
        answered = await blocking(
            client.calls.play, talk.call_id, urls=[site.receiver.url("/mixed.wav")]
        )
        await asyncio.sleep(SECONDS + 0.7)
        (span,) = heard_of(talk.caller, FILE_HZ)
        others = heard_of(talk.callee, FILE_HZ)
        under = level_while(talk.caller, CALLEE_HZ, span)

    assert answered.message == "play started"
    assert span.duration_ms == pytest.approx(SECONDS * 1_000, abs=ALIGNED_MS)
    assert others == []
    assert under > -25


async def test_a_file_is_heard_instead_by_the_other_leg(site: Site, client: Any) -> None:
    site.receiver.script("/alone.wav", tone_file(int(FILE_HZ), SECONDS))
    async with talking(site, "plivo", number="alone") as talk:
        await blocking(
            client.calls.play,
            talk.call_id,
            urls=[site.receiver.url("/alone.wav")],
            legs="bleg",
            mix=False,
        )
        await asyncio.sleep(SECONDS + 0.7)
        (span,) = heard_of(talk.callee, FILE_HZ)
        under = level_while(talk.callee, CALLER_HZ, span)
        others = heard_of(talk.caller, FILE_HZ)

    assert span.duration_ms == pytest.approx(SECONDS * 1_000, abs=ALIGNED_MS)
    assert under < GONE_DB
    assert others == []


async def test_a_file_that_goes_on_is_stopped(site: Site, client: Any) -> None:
    site.receiver.script("/loop.wav", tone_file(int(FILE_HZ), 0.5))
    async with talking(site, "plivo", number="loop") as talk:
        await blocking(
            client.calls.play, talk.call_id, urls=[site.receiver.url("/loop.wav")], loop=True
        )
        await asyncio.sleep(1.5)
        assert await blocking(client.calls.stop_playing, talk.call_id) is None
        await asyncio.sleep(0.6)
        (span,) = heard_of(talk.caller, FILE_HZ)

    assert 1_000 < span.duration_ms < 2_200


async def test_members_hear_a_file_alone_or_all_together(site: Site, client: Any) -> None:
    site.receiver.script("/all.wav", tone_file(int(FILE_HZ), 0.5))
    site.receiver.script("/one.wav", tone_file(1_500, 0.5))
    first = await site.sit("playing", caller="first", play=Tone(CALLER_HZ))
    second = await site.sit("playing", caller="second", play=Tone(CALLEE_HZ))
    members = (await blocking(client.conferences.get, "playing")).members
    (member_id,) = [each["member_id"] for each in members if each["from"] == "first"]

    everybody = await blocking(
        client.conferences.member_play, "playing", "all", site.receiver.url("/all.wav")
    )
    one = await blocking(
        client.conferences.member_play, "playing", member_id, site.receiver.url("/one.wav")
    )
    await asyncio.sleep(1.3)
    stopped = await blocking(client.conferences.member_play_stop, "playing", "all")
    heard = [(len(heard_of(each, FILE_HZ)), len(heard_of(each, 1_500))) for each in (first, second)]
    for each in (first, second):
        await each.hang_up()

    assert (everybody.message, everybody.member_id) == ("play queued into conference", "all")
    assert one.member_id == member_id
    assert stopped is None
    assert heard == [(1, 1), (1, 0)]


async def test_what_cannot_be_fetched_is_the_sdks_error(site: Site, client: Any) -> None:
    site.receiver.script("/nothing.wav", Answer(status=404))
    async with talking(site, "plivo", number="nothing") as talk:
        with pytest.raises(plivo.exceptions.ValidationError, match="404"):
            await blocking(
                client.calls.play, talk.call_id, urls=[site.receiver.url("/nothing.wav")]
            )


async def test_digits_are_pressed_on_the_other_leg(site: Site, client: Any) -> None:
    async with talking(site, "plivo", number="digits") as talk:
        answered = await blocking(client.calls.send_digits, talk.call_id, digits="15#", leg="bleg")
        await asyncio.sleep(1.5)
        keyed = keyed_on(talk.callee), keyed_on(talk.caller)

    assert answered.message == "digits sent"
    assert keyed == ("15#", "")


# The third dialect.


async def test_a_playback_is_told_of_from_its_start_to_its_end(desk: Desk) -> None:
    desk.site.receiver.script("/play.wav", tone_file(int(FILE_HZ), 0.5))
    desk.site.receiver.script("/nothing.wav", Answer(status=404))
    url = desk.site.receiver.url("/play.wav")
    call, ccid = await desk.talk("desk-play", caller="pia")
    actions = desk.client.calls.actions

    await desk.ask(actions.start_playback, ccid, audio_url=url, loop=2, client_state="cGxheQ==")
    started = await desk.event("call.playback.started", lambda p: p["call_control_id"] == ccid)
    ended = await desk.event("call.playback.ended", lambda p: p["call_control_id"] == ccid)
    await asyncio.sleep(0.3)
    await desk.ask(actions.start_playback, ccid, audio_url=url, loop="infinity")
    await asyncio.sleep(0.3)
    await desk.ask(actions.stop_playback, ccid)
    cancelled = await desk.event(
        "call.playback.ended",
        lambda p: p["call_control_id"] == ccid and p["status"] == "cancelled",
    )
    with pytest.raises(telnyx.NotFoundError) as missing:
        await desk.ask(
            actions.start_playback, ccid, audio_url=desk.site.receiver.url("/nothing.wav")
        )
    first = heard_of(call, FILE_HZ)[0]
    await call.hang_up()

    assert first.duration_ms == pytest.approx(1_000, abs=ALIGNED_MS)
    assert started["payload"]["media_url"] == url
    assert (ended["payload"]["status"], ended["payload"]["client_state"]) == (
        "completed",
        "cGxheQ==",
    )
    assert cancelled["payload"]["media_url"] == url
    assert missing.value.body["errors"][0]["code"] == "10005"  # type: ignore[index]


async def test_a_conference_hears_a_file_and_is_told(desk: Desk) -> None:
    desk.site.receiver.script("/room.wav", tone_file(int(FILE_HZ), 0.5))
    url = desk.site.receiver.url("/room.wav")
    host, host_id = await desk.talk("desk-host", caller="host")
    guest, guest_id = await desk.talk("desk-guest", caller="guest")
    made = await desk.ask(desk.client.conferences.create, call_control_id=host_id, name="Heard")
    actions = desk.client.conferences.actions
    await desk.ask(actions.join, made.data.id, call_control_id=guest_id)

    await desk.ask(actions.play, made.data.id, audio_url=url)
    ended = await desk.event(
        "conference.playback.ended", lambda p: p["conference_id"] == made.data.id
    )
    await asyncio.sleep(0.3)  # a pause that tells one tone from two
    await desk.ask(actions.play, made.data.id, audio_url=url, call_control_ids=[guest_id])
    own = await desk.event(
        "conference.participant.playback.ended", lambda p: p["conference_id"] == made.data.id
    )
    await asyncio.sleep(0.3)
    heard = [len(heard_of(each, FILE_HZ)) for each in (host, guest)]
    await desk.ask(actions.end_conference, made.data.id)
    for each in (host, guest):
        await each.ended(5)

    assert ended["payload"]["conference_id"] == made.data.id
    assert ended["payload"]["media_url"] == url
    assert own["payload"]["call_control_id"] == guest_id
    assert heard == [1, 2]


async def test_hold_music_is_heard_until_the_hold_ends(desk: Desk) -> None:
    desk.site.receiver.script("/music.wav", tone_file(int(FILE_HZ), 0.5))
    host, host_id = await desk.talk("desk-host", caller="anna", play=Tone(CALLER_HZ))
    guest, guest_id = await desk.talk("desk-guest", caller="otto")
    made = await desk.ask(desk.client.conferences.create, call_control_id=host_id, name="Held")
    actions = desk.client.conferences.actions
    await desk.ask(actions.join, made.data.id, call_control_id=guest_id)
    await asyncio.sleep(0.5)

    await desk.ask(
        actions.hold,
        made.data.id,
        call_control_ids=[guest_id],
        audio_url=desk.site.receiver.url("/music.wav"),
    )
    await asyncio.sleep(1.2)
    await desk.ask(actions.unhold, made.data.id, call_control_ids=[guest_id])
    await asyncio.sleep(0.8)
    (music,) = heard_of(guest, FILE_HZ)
    spoken = said_by(host, guest, CALLER_HZ)
    await desk.ask(actions.end_conference, made.data.id)
    for each in (host, guest):
        await each.ended(5)

    assert music.duration_ms > 1_000
    begin, end = music.start_ms + 3 * ALIGNED_MS, music.end_ms - 3 * ALIGNED_MS
    before, after = spoken
    assert before.end_ms <= begin
    assert after.start_ms >= end


async def test_a_station_without_end_is_heard_by_each_of_those_it_is_played_to(
    desk: Desk, tmp_path: Path
) -> None:
    music, listeners = endless_wav(tmp_path / "music.wav"), 0

    async def station(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal listeners
        listeners += 1
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + music)
        while True:
            writer.write(music[-16_000:])
            await writer.drain()
            await asyncio.sleep(0.2)

    calls = [await desk.talk("desk-host", caller=name) for name in ("una", "due", "tre")]
    made = await desk.ask(
        desk.client.conferences.create, call_control_id=calls[0][1], name="Stations"
    )
    actions = desk.client.conferences.actions
    for _, call_id in calls[1:]:
        await desk.ask(actions.join, made.data.id, call_control_id=call_id)
    async with bad_server(station) as port:
        await desk.ask(
            actions.play,
            made.data.id,
            audio_url=f"http://127.0.0.1:{port}/radio",
            call_control_ids=[call_id for _, call_id in calls[:2]],
        )
        await asyncio.sleep(2.0)
        heard = [len(heard_of(call, FILE_HZ)) for call, _ in calls]
        await desk.ask(actions.end_conference, made.data.id)
        for call, _ in calls:
            await call.ended(5)

    assert heard == [1, 1, 0]
    assert listeners == 3, "one to see whether it ends, and one for each"


async def test_a_dialled_call_joins_its_conference(desk: Desk) -> None:
    host, host_id = await desk.talk("desk-host", caller="gina", play=Tone(CALLER_HZ))
    made = await desk.ask(desk.client.conferences.create, call_control_id=host_id, name="Dialled")
    dialled = await desk.ask(
        desk.client.calls.dial,
        connection_id=desk.connection_id,
        from_="+15550001",
        to=desk.site.phone.uri,
        conference_config={"conference_name": "Dialled", "end_conference_on_exit": True},
    )
    guest = await (await desk.site.phone.incoming()).answer(play=Tone(CALLEE_HZ))
    guest_leg = dialled.data.call_leg_id
    joined = await desk.event(
        "conference.participant.joined", lambda p: p["call_leg_id"] == guest_leg
    )
    await asyncio.sleep(0.8)
    heard = [len(said_by(guest, host, CALLEE_HZ)), len(said_by(host, guest, CALLER_HZ))]
    await guest.hang_up()
    await host.ended(5)

    assert joined["payload"]["conference_id"] == made.data.id
    assert heard == [1, 1]


async def test_a_whisper_is_heard_by_whom_it_is_meant_for(desk: Desk) -> None:
    customer, customer_id = await desk.talk("desk-c", caller="customer", play=Tone(CALLER_HZ))
    agent, agent_id = await desk.talk("desk-a", caller="agent")
    boss, boss_id = await desk.talk("desk-b", caller="boss", play=Tone(FILE_HZ))
    made = await desk.ask(desk.client.conferences.create, call_control_id=customer_id, name="Coach")
    actions = desk.client.conferences.actions
    await desk.ask(actions.join, made.data.id, call_control_id=agent_id)
    await desk.ask(
        actions.join,
        made.data.id,
        call_control_id=boss_id,
        supervisor_role="whisper",
        whisper_call_control_ids=[agent_id],
    )
    await asyncio.sleep(1.0)
    people = await desk.ask(desk.client.conferences.list_participants, made.data.id)
    whispered = {
        each.call_control_id: each.whisper_call_control_ids
        for each in people.data
        if each.whisper_call_control_ids
    }
    heard = [len(heard_of(each, FILE_HZ)) for each in (customer, agent)]
    supervised = len(heard_of(boss, CALLER_HZ))
    await desk.ask(actions.update, made.data.id, call_control_id=boss_id, supervisor_role="barge")
    await asyncio.sleep(0.8)
    barged = len(heard_of(customer, FILE_HZ))
    await desk.ask(actions.end_conference, made.data.id)
    for each in (customer, agent, boss):
        await each.ended(5)

    assert whispered == {boss_id: [agent_id]}
    assert heard == [0, 1]
    assert (supervised, barged) == (1, 1)


async def test_digits_are_pressed_and_gathered(desk: Desk) -> None:
    call, ccid = await desk.talk("desk-digits", caller="dora")
    actions = desk.client.calls.actions

    await desk.ask(actions.send_dtmf, ccid, digits="4w2")
    await asyncio.sleep(2.0)
    keyed = keyed_on(call)
    await desk.ask(actions.gather, ccid, maximum_digits=3)
    await asyncio.sleep(0.2)
    call.send_digits("789")
    gathered = await desk.event("call.gather.ended", lambda p: p["call_control_id"] == ccid)
    await call.hang_up()

    assert keyed == "42"
    assert (gathered["payload"]["digits"], gathered["payload"]["status"]) == ("789", "valid")


async def test_two_calls_are_bridged_and_end_together(desk: Desk) -> None:
    one, one_id = await desk.talk("desk-one", caller="uno", play=Tone(CALLER_HZ))
    two, two_id = await desk.talk("desk-two", caller="duo", play=Tone(CALLEE_HZ))

    await desk.ask(desk.client.calls.actions.bridge, one_id, call_control_id_to_bridge_with=two_id)
    await desk.event("call.bridged", lambda p: p["call_control_id"] == two_id)
    await asyncio.sleep(0.8)
    heard = [len(said_by(two, one, CALLEE_HZ)), len(said_by(one, two, CALLER_HZ))]
    await one.hang_up()
    await two.ended(5)

    assert heard == [1, 1], "without a gap"
    for call_id in (one_id, two_id):
        hung_up = await desk.event(
            "call.hangup", lambda p, its=call_id: p["call_control_id"] == its
        )
        quality = hung_up["payload"]["call_quality_stats"]
        inbound, outbound = quality["inbound"], quality["outbound"]
        assert float(inbound["mos"]) > 3.0
        assert min(int(inbound["packet_count"]), int(outbound["packet_count"])) > 30
        assert int(inbound["skip_packet_count"]) == 0


async def test_a_bridged_call_has_a_track_of_each_side(desk: Desk) -> None:
    one, one_id = await desk.talk("desk-left", caller="lea", play=Tone(CALLER_HZ))
    two, two_id = await desk.talk("desk-right", caller="ria", play=Tone(CALLEE_HZ))
    actions = desk.client.calls.actions
    await desk.ask(actions.bridge, one_id, call_control_id_to_bridge_with=two_id)
    await desk.event("call.bridged", lambda p: p["call_control_id"] == two_id)
    started = await desk.ask(
        actions.start_recording,
        one_id,
        channels="single",
        format="wav",
        extra_body={"tracks": True},
    )
    await asyncio.sleep(1.5)
    await one.hang_up()
    await two.ended(5)
    await desk.saved(started.data.recording_id, kind="call")
    view = await desk.view(started.data.recording_id)

    sides = [(each.side, each.track.number, each.track.call_id) for each in view.tracks]
    assert sides == [
        (TrackSide.INBOUND, 1, words.read_call_control_id(one_id)),
        (TrackSide.OUTBOUND, 2, None),
    ]
    for each, own, other in zip(
        view.tracks, (CALLER_HZ, CALLEE_HZ), (CALLEE_HZ, CALLER_HZ), strict=True
    ):
        assert (each.track.offset_ms, each.track.sample_count) == (0, view.recording.sample_count)
        sound = read_sound((await desk.site.fetch(each.link)).body)
        assert len(find_tone(sound.channel(0), own, rate_hz=sound.rate_hz)) == 1
        assert find_tone(sound.channel(0), other, rate_hz=sound.rate_hz) == []


async def test_r20_every_participant_has_a_track_of_its_own(desk: Desk) -> None:
    host, host_id = await desk.talk("desk-host", caller="tina", play=Tone(CALLER_HZ))
    guest, guest_id = await desk.talk("desk-guest", caller="toni", play=Tone(CALLEE_HZ))
    made = await desk.ask(desk.client.conferences.create, call_control_id=host_id, name="Tracks")
    actions = desk.client.conferences.actions
    started = await desk.ask(
        actions.record_start, made.data.id, format="wav", extra_body={"tracks": True}
    )
    await asyncio.sleep(1.0)
    await desk.ask(actions.join, made.data.id, call_control_id=guest_id)
    await asyncio.sleep(1.0)
    await desk.ask(actions.record_stop, made.data.id)
    await desk.saved(started.data.recording_id)
    view = await desk.view(started.data.recording_id)
    sounds = []
    for each in view.tracks:
        reply = await desk.site.fetch(each.link)
        assert (reply.status, len(reply.body)) == (200, each.track.byte_count)
        sounds.append(read_sound(reply.body))
    await desk.ask(actions.end_conference, made.data.id)
    for each in (host, guest):
        await each.ended(5)

    calls = [words.call_control_id(str(each.track.call_id)) for each in view.tracks]
    assert calls == [host_id, guest_id]
    for sound, own, other in zip(
        sounds, (CALLER_HZ, CALLEE_HZ), (CALLEE_HZ, CALLER_HZ), strict=True
    ):
        assert len(find_tone(sound.channel(0), own, rate_hz=sound.rate_hz)) == 1
        assert find_tone(sound.channel(0), other, rate_hz=sound.rate_hz) == []
    first, second = (each.track for each in view.tracks)
    assert first.offset_ms == 0
    assert 800 < second.offset_ms < 2_500
    assert second.sample_count < first.sample_count
