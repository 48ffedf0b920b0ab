"""Recordings of single calls on a live node: who is in which channel, and what a pause leaves."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.site import Site, open_site

from tapeline.domain.command import (
    ConferenceRef,
    ListConferences,
    PauseCallRecording,
    PauseConferenceRecording,
    RecordingView,
    StartCallRecording,
    StartConferenceRecording,
    StopCallRecording,
    StopConferenceRecording,
    TransferCall,
)
from tapeline.domain.id import AccountId, CallId
from tapeline.domain.recording import (
    Layout,
    RecordingEnd,
    RecordingFormat,
    RecordingOptions,
    Starter,
)
from tapeline.testing import Answer, Silence, Sound, Tone, find_tone, read_sound, tone_level
from tapeline.testing.detect import envelope

pytestmark = pytest.mark.asyncio(loop_scope="module")

DIALECT = "vobiz"
OWN_HZ, REST_HZ, SECRET_HZ = 440, 1_000, 1_370
LEVEL_DBOV = -20.0
CROSS_TALK_DB = -60
LOST_TAIL_MS = 1_000
SECRET_DIGITS = "973158642"


def starter(site: Site, path: str) -> Starter:
    return Starter(dialect=DIALECT, request_id="request", callback_url=site.receiver.url(path))


def options(layout: Layout = Layout.MIX) -> RecordingOptions:
    return RecordingOptions(format=RecordingFormat.WAV, layout=layout)


async def call_id(site: Site, room: str, caller: str) -> CallId:
    (view,) = await site.local.execute(ListConferences(name=room))
    return next(each.call.id for each in view.participants if each.call.caller == caller)


async def start(site: Site, of: CallId, layout: Layout, path: str) -> RecordingView:
    return await site.local.execute(
        StartCallRecording(
            account_id=AccountId(site.account.auth_id),
            call_id=of,
            starter=starter(site, path),
            options=options(layout),
        )
    )


async def finished(site: Site, path: str, view: RecordingView) -> Sound:
    await site.receiver.wait_for(path)
    return await asyncio.to_thread(read_sound, (await site.fetch(view.link)).body)


async def test_a_call_s_recordings_hold_what_it_says_and_what_it_hears(site: Site) -> None:
    ann = await site.sit("sides", caller="ann")
    bob = await site.sit("sides", caller="bob")
    anns = await call_id(site, "sides", "ann")
    layouts = (Layout.CALLER_CALLEE, Layout.INBOUND, Layout.OUTBOUND, Layout.MIX)
    views = {layout: await start(site, anns, layout, f"/side-{layout}") for layout in layouts}
    ann.play(Tone(OWN_HZ, LEVEL_DBOV))
    bob.play(Tone(REST_HZ, LEVEL_DBOV))
    await asyncio.sleep(1.2)
    await ann.hang_up()
    await bob.hang_up()

    sounds = {layout: await finished(site, f"/side-{layout}", views[layout]) for layout in layouts}
    assert {layout: sound.channels for layout, sound in sounds.items()} == {
        layout: layout.channels for layout in layouts
    }
    both = sounds[Layout.CALLER_CALLEE]
    heard = {
        "left": both.channel(0),
        "right": both.channel(1),
        "in": sounds[Layout.INBOUND].channel(0),
        "out": sounds[Layout.OUTBOUND].channel(0),
    }
    for side in ("left", "in"):
        apart = tone_level(heard[side], REST_HZ) - tone_level(heard[side], OWN_HZ)
        assert apart <= CROSS_TALK_DB, side
    for side in ("right", "out"):
        apart = tone_level(heard[side], OWN_HZ) - tone_level(heard[side], REST_HZ)
        assert apart <= CROSS_TALK_DB, side
    mix = sounds[Layout.MIX].channel(0)
    assert find_tone(mix, OWN_HZ)
    assert find_tone(mix, REST_HZ)
    row = await site.recording(views[Layout.MIX].recording.id)
    assert (row.end_reason, row.call_id) == (RecordingEnd.LEG_GONE, anns)


async def pause(site: Site, *, resumes: bool = False) -> None:
    """Pauses, or resumes, everything that records the room and the call in it."""
    where = ConferenceRef(account_id=AccountId(site.account.auth_id), name="pci")
    await site.local.execute(
        PauseConferenceRecording(conference=where, dialect=DIALECT, resumes=resumes)
    )
    await site.local.execute(
        PauseCallRecording(
            account_id=where.account_id,
            call_id=await call_id(site, "pci", "ann"),
            dialect=DIALECT,
            resumes=resumes,
        )
    )


async def test_r43_of_what_is_said_and_keyed_in_a_pause_nothing_is_left(site: Site) -> None:
    events = site.receiver.url("/pci-events")
    document = (
        f'<Response><Conference callbackUrl="{events}" digitsMatch="{SECRET_DIGITS},12">pci'
        "</Conference></Response>"
    )
    site.receiver.script("/pci", Answer(body=document.encode(), content_type="application/xml"))
    await site.application("9100", answer_url=site.receiver.url("/pci"))
    ann = await site.phone.call(site.node.sip_uri("9100"), caller="ann", play=Tone(OWN_HZ))
    await site.receiver.wait_for("/pci-events")
    where = ConferenceRef(account_id=AccountId(site.account.auth_id), name="pci")
    room = await site.local.execute(
        StartConferenceRecording(
            conference=where, starter=starter(site, "/pci-room"), options=options()
        )
    )
    alone = await start(site, await call_id(site, "pci", "ann"), Layout.INBOUND, "/pci-call")
    await asyncio.sleep(0.6)
    await pause(site)
    ann.play(Tone(SECRET_HZ))
    for digit in SECRET_DIGITS:
        ann.send_digits(digit)
        await asyncio.sleep(0.25)
    ann.play(Silence())
    await asyncio.sleep(0.3)
    await pause(site, resumes=True)
    ann.play(Tone(OWN_HZ))
    await asyncio.sleep(0.6)
    for digit in "12":
        ann.send_digits(digit)
        await asyncio.sleep(0.25)
    await site.local.execute(StopConferenceRecording(conference=where, dialect=DIALECT))
    await site.local.execute(
        StopCallRecording(
            account_id=where.account_id,
            call_id=await call_id(site, "pci", "ann"),
            dialect=DIALECT,
        )
    )
    await ann.hang_up()

    for path, view in (("/pci-room", room), ("/pci-call", alone)):
        sound = await finished(site, path, view)
        # One frame of 20 ms that slipped in would reach 0.04; the cut itself clicks at 0.0005.
        assert envelope(sound.mono(), SECRET_HZ).max() < 0.003
        assert find_tone(sound.mono(), OWN_HZ)
        assert 900 < sound.duration_ms < 2_400  # 0.6 s and 1.1 s, without the pause of 2.6 s
    matches = [
        fields["ConferenceDigitsMatch"]
        for request in site.receiver.received("/pci-events")
        if (fields := request.fields()).get("ConferenceAction") == "digits"
    ]
    assert sorted(matches) == ["12", "withheld"]
    assert [path for path in files(site.node.data_dir.parent) if holds(path, SECRET_DIGITS)] == []


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()


async def test_r07_both_sides_of_a_call_survive_a_kill_of_the_node(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        ann = await site.sit("killed", caller="ann", play=Tone(OWN_HZ, LEVEL_DBOV))
        bob = await site.sit("killed", caller="bob", play=Tone(REST_HZ, LEVEL_DBOV))
        anns = await call_id(site, "killed", "ann")
        view = await start(site, anns, Layout.CALLER_CALLEE, "/killed")
        await asyncio.sleep(2.0)
        await site.node.kill()

        await site.node.start()

        told = (await site.receiver.wait_for("/killed")).fields()
        sound = await asyncio.to_thread(read_sound, (await site.fetch(view.link)).body)
        row = await site.recording(view.recording.id)
        await asyncio.gather(ann.hang_up(), bob.hang_up())

    assert (told["recording_health"], told["call_uuid"]) == ("recovered", anns)
    assert (row.end_reason, row.call_id) == (RecordingEnd.NODE_LOST, anns)
    assert sound.channels == 2
    assert sound.duration_ms >= 2_000 - LOST_TAIL_MS
    for side, hertz in enumerate((OWN_HZ, REST_HZ)):
        (span,) = find_tone(sound.channel(side), hertz)
        assert span.duration_ms == pytest.approx(sound.duration_ms, abs=60)


async def test_r31_a_call_s_recording_follows_it_through_a_transfer(site: Site) -> None:
    first, second = [
        await site.sit(room, caller=f"in-{room}", play=Tone(hertz, LEVEL_DBOV))
        for room, hertz in (("before", REST_HZ), ("after", SECRET_HZ))
    ]
    document = b"<Response><Conference>after</Conference></Response>"
    site.receiver.script("/after", Answer(body=document, content_type="application/xml"))
    ann = await site.sit("before", caller="ann", play=Tone(OWN_HZ, LEVEL_DBOV))
    anns = await call_id(site, "before", "ann")
    view = await start(site, anns, Layout.CALLER_CALLEE, "/transferred")
    await asyncio.sleep(0.8)
    await site.local.execute(
        TransferCall(
            account_id=AccountId(site.account.auth_id),
            call_id=anns,
            url=site.receiver.url("/after"),
        )
    )
    await site.receiver.wait_for("/after")
    await asyncio.sleep(0.8)
    for call in (ann, first, second):
        await call.hang_up()

    sound = await finished(site, "/transferred", view)
    (own,) = find_tone(sound.channel(0), OWN_HZ)
    (before,) = find_tone(sound.channel(1), REST_HZ)
    (after,) = find_tone(sound.channel(1), SECRET_HZ)
    assert own.duration_ms == pytest.approx(sound.duration_ms, abs=60)
    assert before.duration_ms > 700
    assert after.duration_ms > 500
    assert before.end_ms <= after.start_ms + 20
    assert (await site.recording(view.recording.id)).health_words == "ok"
