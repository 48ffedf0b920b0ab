"""What phones and carriers do within a call, by SIPp: `sip/` names each behaviour."""

from pathlib import Path

import pytest
from tests.e2e.sippcall import run_sipp
from tests.e2e.site import Site, eventually

from tapeline.domain.call import EndCause
from tapeline.domain.command import ListCalls
from tapeline.testing import Answer, Tone, find_tone, read_sound

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCENARIOS = Path(__file__).parent / "sip"


async def sipp(site: Site, folder: Path, scenario: str, called: str, *more: str) -> None:
    await run_sipp(site.node.sip_address, SCENARIOS / f"{scenario}.xml", folder, called, *more)


async def nobody_is_left(site: Site) -> None:
    async def is_so() -> bool:
        stats = await site.local.stats()
        return not any(stats[name] for name in ("legs", "rooms", "live_calls", "live_conferences"))

    await eventually(is_so, "no leg, room or call is left")


async def causes(site: Site, called: str) -> list[EndCause | None]:
    calls = await site.local.execute(ListCalls(limit=1_000))
    return [call.end_cause for call in calls if call.called == called]


@pytest.mark.parametrize(
    "scenario",
    [
        "hold-0.0.0.0-resume",
        "out-of-order-cseq-gets-500",
        "refer-is-declined",
        "requests-before-ack-are-answered",
        "session-timer-refresh",
        "unknown-methods-get-405-and-501",
        "update-without-sdp",
    ],
)
async def test_a_call_that_ends_as_its_phone_wants(
    site: Site, tmp_path: Path, scenario: str
) -> None:
    await sipp(site, tmp_path, scenario, f"room-{scenario}")

    await nobody_is_left(site)
    assert await causes(site, f"room-{scenario}") == [EndCause.NORMAL]


@pytest.mark.parametrize(
    "scenario", ["codec-and-port-change-keeps-audio", "offerless-reinvite-keeps-audio"]
)
async def test_a_call_s_audio_goes_on_through_a_reinvite(
    site: Site, tmp_path: Path, scenario: str
) -> None:
    """SIPp echoes: what the other member says comes back to it as long as audio flows both ways."""
    room = scenario[:8]
    phone = await site.sit(room, play=Tone(440))
    started = await site.start(room, file_format="wav", callback_url=site.receiver.url(f"/{room}"))
    await sipp(site, tmp_path, scenario, f"room-{room}", "-rtp_echo", "-mp", "37200")
    await phone.hang_up()

    heard = find_tone(phone.heard().samples, 440)
    assert sum(span.duration_ms for span in heard) > 800
    await site.receiver.wait_for(f"/{room}")
    sound = read_sound((await site.fetch(started["url"])).body)
    (span,) = find_tone(sound.mono(), 440)
    assert span.duration_ms > max(1_000, sound.duration_ms - 250)


async def test_a_caller_who_gives_up_while_it_rings(site: Site, tmp_path: Path) -> None:
    site.receiver.script("/slow", Answer(delay_s=5.0))
    await site.application("7101", answer_url=site.receiver.url("/slow"))

    await sipp(site, tmp_path, "uac-cancel-while-ringing", "7101")

    await nobody_is_left(site)
    assert await causes(site, "7101") == [EndCause.CANCELED]


async def test_a_call_that_requires_what_nobody_knows(site: Site, tmp_path: Path) -> None:
    await sipp(site, tmp_path, "unknown-requirement-gets-420", "room-required")

    assert await causes(site, "room-required") == []
