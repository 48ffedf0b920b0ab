"""`kill -9` of a node at a random moment of two recordings, and what the next start makes of it."""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest
from tests.e2e.site import Site, eventually, open_site

from tapeline.domain.command import ListConferences
from tapeline.domain.conference import ConferenceEnd
from tapeline.testing import EndedBy, Tone, find_tone, read_sound

pytestmark = pytest.mark.alone

LOST_TAIL_MS = 1_000
FORMATS = {"wav": 440, "mp3": 620}
"""Each room has a tone of its own."""


def moment() -> float:
    """When to kill, in seconds from the recordings' start. KILL_SEED repeats a run."""
    seed = os.environ.get("KILL_SEED") or str(random.SystemRandom().getrandbits(32))
    at_s = random.Random(seed).uniform(1.2, 4.0)
    print(f"KILL_SEED={seed}: killed {at_s:.3f} s after the start")  # noqa: T201 - for whom it fails
    return at_s


async def check_recovered(site: Site, started: dict[str, str], killed_unix_ms: float) -> None:
    recording = await site.recording(started["recording_id"])
    file_format = recording.format.value
    told = (await site.receiver.wait_for(f"/{file_format}")).json()
    assert told["recording_id"] == recording.id
    assert told["recording_health"] == "recovered"
    assert recording.duration_ms == told["recording_duration_ms"]
    sent_ms = killed_unix_ms - recording.started_at_ms
    assert sent_ms - LOST_TAIL_MS <= recording.duration_ms <= sent_ms + 100

    reply = await site.fetch(started["url"])
    sound = await asyncio.to_thread(read_sound, reply.body)
    assert sound.duration_ms == pytest.approx(recording.duration_ms, abs=60)
    (span,) = find_tone(sound.mono(), FORMATS[file_format])
    assert span.start_ms == pytest.approx(0, abs=60)
    assert span.end_ms == pytest.approx(sound.duration_ms, abs=60)
    assert await complaint_of_a_player(reply.body) == ""


async def complaint_of_a_player(content: bytes) -> str:
    process = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "null", "-",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate(content)
    return complaint.decode()


async def check_closed(site: Site) -> None:
    """The calls and conferences that were open: lost with the node."""
    assert {row["cause"] for row in await site.node.command("calls", "list")} == {"node_lost"}
    views = await site.local.execute(ListConferences(only_live=False))
    ends = {view.conference.name: view.conference.end_reason for view in views}
    assert ends == dict.fromkeys(FORMATS, ConferenceEnd.NODE_LOST)
    assert all(view.participants == () for view in views)


async def test_after_a_kill_the_files_play_and_everything_is_closed(tmp_path: Path) -> None:
    at_s = moment()
    async with open_site(tmp_path) as site:
        node = site.node
        calls = [
            await site.sit(name, caller=name, play=Tone(hertz)) for name, hertz in FORMATS.items()
        ]
        started = [
            await site.start(name, file_format=name, callback_url=site.receiver.url(f"/{name}"))
            for name in FORMATS
        ]
        await asyncio.sleep(at_s)
        killed_unix_ms = time.time_ns() / 1e6
        await node.kill()
        await asyncio.sleep(0.2)
        assert site.receiver.requests == []
        assert [call.ended_by for call in calls] == [None, None]

        await node.start()

        for each in started:
            await check_recovered(site, each, killed_unix_ms)
        await check_closed(site)
        assert list((node.data_dir / "spool").iterdir()) == []
        await asyncio.gather(*(call.hang_up() for call in calls))
        again = await site.sit("wav", caller="again", play=Tone(440))
        await site.start("wav", callback_url=site.receiver.url("/again"))
        await asyncio.sleep(0.3)
        await site.stop("wav")
        assert (await site.receiver.wait_for("/again")).json()["recording_health"] == "ok"
        assert again.ended_by is not EndedBy.THEM
        counts = {name: len(site.receiver.received(f"/{name}")) for name in FORMATS}
        assert counts == dict.fromkeys(FORMATS, 1)


async def test_a_kill_right_after_the_stop_was_answered(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        node = site.node
        await site.sit("wav", play=Tone(440))
        started = await site.start("wav", callback_url=site.receiver.url("/done"))
        await asyncio.sleep(1.4)
        await site.stop("wav")
        await node.kill()

        await node.start()

        told = (await site.receiver.wait_for("/done", timeout_s=40)).json()
        assert told["recording_health"] in {"ok", "recovered"}
        assert told["recording_duration_ms"] >= 1_400 - LOST_TAIL_MS
        reply = await site.fetch(started["url"])
        assert read_sound(reply.body).duration_ms == pytest.approx(
            told["recording_duration_ms"], abs=60
        )

        async def is_clear() -> bool:
            return not list((node.data_dir / "spool").iterdir())

        await eventually(is_clear, "the spool is empty")
