"""A backup of a node that records, restored elsewhere: every recording verifies."""

import asyncio
import stat
import tarfile
from pathlib import Path

import pytest
from tests.e2e.site import Site
from tests.e2e.test_cli import Shell

from tapeline.api.localnode import LocalNode
from tapeline.domain.command import GetRecording
from tapeline.domain.id import RecordingId
from tapeline.testing import ServedNode, Tone

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def record(site: Site, room: str, *, seconds: float) -> str:
    await site.sit(room, caller=room, play=Tone(440))
    started = await site.start(room, file_format="wav", callback_url=site.receiver.url(f"/{room}"))
    await asyncio.sleep(seconds)
    recording_id: str = started["recording_id"]
    return recording_id


def drafts_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


async def test_a_backup_during_a_recording_is_restored_and_verifies(
    site: Site, tmp_path: Path
) -> None:
    shell = Shell(data_dir=site.node.data_dir, settings={})
    whole = await record(site, "whole", seconds=1.2)
    await site.stop("whole")
    await site.receiver.wait_for("/whole")
    running = await record(site, "running", seconds=2.2)
    file = tmp_path / "node.tar"

    made = await shell("backup", str(file))
    await site.stop("running")
    healthy = await shell("doctor")
    elsewhere = Shell(data_dir=tmp_path / "elsewhere", settings={})
    restored = await elsewhere("restore", str(file))
    twice = await elsewhere("restore", str(file))

    assert made.status == 0, made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await asyncio.to_thread(drafts_in, tmp_path) == []
    assert (healthy.status, "rows without files: none" in healthy.out) == (0, True), healthy
    assert (restored.status, twice.status) == (0, 1), restored
    assert "rows without files: none" in restored.out
    async with ServedNode(tmp_path / "elsewhere") as second:
        command = GetRecording(account_id=None, recording_id=RecordingId(running))
        view = await LocalNode(second.data_dir).execute(command)
        assert view.recording.health_words == "recovered"
        assert view.recording.duration_ms >= 1_000
        for recording_id in (whole, running):
            verified = await elsewhere("verify", recording_id)
            assert (verified.status, verified.out.splitlines()[-1]) == (0, "OK"), verified
        chain = await elsewhere("verify", "--chain", str(second.data_dir / "recordings"))
        assert chain.status == 0, chain


async def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    shell = Shell(data_dir=tmp_path / "data", settings={})
    text, empty, evil = tmp_path / "text.tar", tmp_path / "empty.tar", tmp_path / "evil.tar"
    text.write_bytes(b"not a tar" * 100)
    with tarfile.open(empty, "w"):
        pass
    (tmp_path / "x").write_text("x")
    with tarfile.open(evil, "w") as archive:
        archive.add(tmp_path / "x", arcname="../outside")

    for file in (text, empty, evil, tmp_path / "nowhere.tar"):
        refused = await shell("restore", str(file))
        assert refused.status == 1, file
        assert "Traceback" not in refused.err
    missing = await shell("backup", str(tmp_path / "b.tar"))

    assert (missing.status, "no database" in missing.err) == (1, True)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "data" / "tapeline.db").exists()
    assert not (tmp_path / "b.tar").exists()
