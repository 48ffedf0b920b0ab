"""SIPp, a SIP stack that is not ours, against a live node: `sipp/` names what the caller does."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.sippcall import run_sipp
from tests.e2e.site import Site, eventually

from tapeline.domain.call import EndCause
from tapeline.domain.command import ListCalls
from tapeline.testing import Answer, Tone, find_tone, read_sound

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCENARIOS = Path(__file__).parent / "sipp"


async def sipp(site: Site, folder: Path, scenario: str, called: str, *more: str) -> None:
    await run_sipp(site.node.sip_address, SCENARIOS / f"{scenario}.xml", folder, called, *more)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def nobody_is_left(site: Site) -> None:
    async def is_so() -> bool:
        stats = await site.local.stats()
        return not any(stats[name] for name in ("legs", "rooms", "live_calls", "live_conferences"))

    await eventually(is_so, "no leg, room or call is left")


async def causes(site: Site, called: str) -> list[Any]:
    calls = await site.local.execute(ListCalls(limit=1_000))
    return [call.end_cause for call in calls if call.called == called]


@pytest.mark.parametrize("scenario", ["call", "reinvite"])
async def test_a_call_is_answered_and_hung_up(site: Site, tmp_path: Path, scenario: str) -> None:
    await sipp(site, tmp_path, scenario, f"room-{scenario}")

    await nobody_is_left(site)
    assert await causes(site, f"room-{scenario}") == [EndCause.NORMAL]


async def test_its_audio_is_in_the_room_and_in_the_file(site: Site, tmp_path: Path) -> None:
    phone = await site.sit("echo", play=Tone(440))
    started = await site.start("echo", file_format="wav", callback_url=site.receiver.url("/echo"))
    media = free_port() & ~1
    await sipp(site, tmp_path, "long_call", "room-echo", "-rtp_echo", "-mp", str(media))
    await phone.hang_up()

    heard = find_tone(phone.heard().samples, 440)
    assert sum(span.duration_ms for span in heard) > 1_400
    await site.receiver.wait_for("/echo")
    sound = read_sound((await site.fetch(started["url"])).body)
    (span,) = find_tone(sound.mono(), 440)
    assert span.duration_ms == pytest.approx(sound.duration_ms, abs=60)


async def test_a_caller_who_gives_up_while_it_rings(site: Site, tmp_path: Path) -> None:
    site.receiver.script("/slow", Answer(delay_s=5.0))
    await site.application("7001", answer_url=site.receiver.url("/slow"))

    await sipp(site, tmp_path, "cancel", "7001")

    await nobody_is_left(site)
    assert await causes(site, "7001") == [EndCause.CANCELED]


@pytest.mark.parametrize(
    ("scenario", "called"),
    [
        ("options", "room-any"),
        ("unknown_number", "90210"),
        ("no_common_codec", "room-any"),
        ("malformed", "room-any"),
    ],
)
async def test_what_becomes_no_call(site: Site, tmp_path: Path, scenario: str, called: str) -> None:
    await sipp(site, tmp_path, scenario, called)

    assert await causes(site, called) == []
    await nobody_is_left(site)


async def test_the_node_hangs_up_when_the_room_ends(site: Site, tmp_path: Path) -> None:
    document = '<Response><Conference endConferenceOnExit="true">hosted</Conference></Response>'
    await site.application("7002", answer_document=document)
    host = await site.phone.call(site.node.sip_uri("7002"), caller="host")
    guests = asyncio.create_task(
        sipp(site, tmp_path, "bye_from_the_node", "room-hosted", "-m", "3", "-r", "20")
    )

    async def are_in() -> bool:
        room = await site.rest("GET", "Conference/hosted/")
        return room.status == 200 and room.json["conference_member_count"] == "4"

    await eventually(are_in, "host and guests are in the room")
    await host.hang_up()

    await guests
    await nobody_is_left(site)
    assert await causes(site, "room-hosted") == [EndCause.END_OF_DOCUMENT] * 3


async def test_many_calls_a_second(site: Site, tmp_path: Path) -> None:
    await sipp(site, tmp_path, "call", "room-many", "-m", "80", "-r", "40")

    await nobody_is_left(site)
    assert await causes(site, "room-many") == [EndCause.NORMAL] * 80
