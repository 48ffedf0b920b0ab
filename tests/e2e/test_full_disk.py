"""A node whose disk fills up while a call is recorded (R45), and a room that everybody left."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.site import Site, open_site

from tapeline.domain.recording import RecordingEnd, RecordingState
from tapeline.testing import EndedBy, Tone, find_tone, read_sound

DISK_MB = 96
RESERVE_MB = 32
LEFT_BYTES = 3_000_000
"""Below an eighth of the reserve: recordings end, and rows still find room."""
HERTZ = 440
PATIENCE_S = 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    size = f"size={DISK_MB}m"
    command = ["mount", "-t", "tmpfs", "-o", size, "tapeline", str(folder)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("mounts are not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    free = shutil.disk_usage(folder).free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - LEFT_BYTES)
    return filler


async def refused_start(site: Site) -> str:
    reply = await site.rest("POST", "Conference/full/Record/", json={"file_format": "wav"})
    assert reply.status >= 400, reply.body
    assert reply.headers["content-type"].startswith("application/json")
    return reply.body.decode()


async def test_r45_a_full_disk_ends_the_recording_and_never_the_call(small_disk: Path) -> None:
    settings = {"disk_reserve_mb": str(RESERVE_MB)}
    async with open_site(small_disk, settings) as site:
        call = await site.sit("full", play=Tone(HERTZ))
        started = await site.start(
            "full", file_format="wav", callback_url=site.receiver.url("/full")
        )
        await asyncio.sleep(2)
        filler = await asyncio.to_thread(fill, small_disk)

        told = (await site.receiver.wait_for("/full", timeout_s=PATIENCE_S)).json()

        recording = await site.recording(started["recording_id"])
        assert recording.state is RecordingState.COMPLETED
        assert recording.end_reason is RecordingEnd.WRITER_FAILED
        assert told["recording_health"] == "degraded"
        reply = await site.fetch(started["url"])
        sound = await asyncio.to_thread(read_sound, reply.body)
        assert sound.duration_ms == pytest.approx(told["recording_duration_ms"], abs=1)
        assert sound.duration_ms >= 2_000
        (span,) = find_tone(sound.mono(), HERTZ)
        assert span.end_ms == pytest.approx(sound.duration_ms, abs=60)

        assert "disk" in await refused_start(site)
        assert call.ended_by is None
        other = await site.sit("full", caller="bob", play=Tone(HERTZ))
        assert (call.ended_by, other.ended_by) == (None, None)

        filler.unlink()
        await site.start("full", file_format="wav", callback_url=site.receiver.url("/again"))
        await asyncio.sleep(0.5)
        await site.stop("full")
        again = (await site.receiver.wait_for("/again", timeout_s=PATIENCE_S)).json()
        assert again["recording_health"] == "ok"
        assert call.ended_by is not EndedBy.THEM


async def test_r45_orphans_end_with_the_last_participant(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        calls = [await site.sit("empty", caller=name, play=Tone(HERTZ)) for name in ("a", "b")]
        await site.start("empty", file_format="wav", callback_url=site.receiver.url("/empty"))
        await asyncio.sleep(1)
        await asyncio.gather(*(call.hang_up() for call in calls))
        left = time.monotonic()

        told = (await site.receiver.wait_for("/empty", timeout_s=PATIENCE_S)).json()

        assert time.monotonic() - left <= PATIENCE_S
        assert told["recording_health"] == "ok"
        stats = await site.local.stats()
        assert stats["recorders"] == 0
