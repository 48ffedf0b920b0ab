"""Export, hold and deletion of a real recording from the command line and through its own API."""

import asyncio
import json
import zipfile
from pathlib import Path

import pytest
from tests.e2e.site import Site
from tests.e2e.test_cli import Shell

from tapeline.testing import Tone

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_r44_export_hold_and_deletion(site: Site, tmp_path: Path) -> None:
    shell = Shell(data_dir=site.node.data_dir, settings={})
    await site.sit("keep", caller="carla", play=Tone(440))
    started = await site.start("keep", file_format="wav", callback_url=site.receiver.url("/keep"))
    await asyncio.sleep(1.3)
    await site.stop("keep")
    await site.receiver.wait_for("/keep")
    row = await site.recording(started["recording_id"])

    # export: whole, in a folder and as a zip, and verified without the node
    out = tmp_path / "export"
    exported = await shell("recordings", "export", row.id, "--out", str(out))
    zipped = await shell("recordings", "export", row.id, "--out", str(tmp_path / "e.zip"))
    taken = await shell("recordings", "export", row.id, "--out", str(out))
    elsewhere = Shell(data_dir=tmp_path / "nowhere", settings={})
    verified = await elsewhere(
        "verify", str(out / f"{row.id}.wav"), "--key", str(out / "public-keys.pem")
    )
    names = {file.name.removeprefix(row.id) for file in out.iterdir()}
    assert (exported.status, zipped.status, taken.status) == (0, 0, 1), (exported, zipped)
    assert names >= {".wav", ".manifest.json", ".journal.jsonl", ".personal.json"}
    assert (verified.status, verified.out.splitlines()[-1]) == (0, "OK"), verified
    assert "carla" in (out / f"{row.id}.personal.json").read_text()
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert {Path(name).name for name in archive.namelist()} == {f.name for f in out.iterdir()}

    # a hold forbids deletion to the account's own requests and to the operator
    held = await shell("recordings", "hold", row.id, "--because", "case 7", "--json")
    by_api = await site.rest("DELETE", f"Recording/{row.id}/")
    by_operator = await shell("recordings", "delete", row.id, "--because", "tidy")
    assert held.json["held_because"] == "case 7"
    assert by_api.status == 409, by_api
    assert "legal hold" in by_api.json["error"]
    assert (by_operator.status, "legal hold" in by_operator.err) == (1, True)
    assert (await site.fetch(started["url"])).status == 200

    # released, it goes; a tombstone is what its id is answered with
    await shell("recordings", "release", row.id)
    gone = await shell("recordings", "delete", row.id, "--because", "asked", "--by", "officer Li")
    after = await shell("verify", row.id)
    audio = site.node.data_dir / "recordings" / row.storage_key
    left = {file.name.removeprefix(row.id) for file in audio.parent.glob(f"{row.id}*")}
    chain = await shell("verify", "--chain", str(site.node.data_dir / "recordings"))
    assert gone.status == 0, gone
    assert left == {".manifest.json", ".tombstone.json"}
    assert (await site.fetch(started["url"])).status in {404, 410}
    assert after.status == 1
    assert "deleted by officer Li (asked)" in after.out
    assert chain.status == 0, chain
    tombstone = json.loads(audio.with_suffix(".tombstone.json").read_text())["manifest"]
    assert tombstone["deleted"]["audio_sha256"] == row.sha256
    assert "carla" not in json.dumps(tombstone)


async def test_a_due_date_is_set_and_taken_back(site: Site) -> None:
    shell = Shell(data_dir=site.node.data_dir, settings={})
    await site.sit("due", caller="dan", play=Tone(440))
    started = await site.start("due", callback_url=site.receiver.url("/due"))
    await asyncio.sleep(0.5)
    await site.stop("due")
    await site.receiver.wait_for("/due")
    recording_id = started["recording_id"]

    dated = await shell("recordings", "keep", recording_id, "--until", "2099-01-31", "--json")
    both = await shell("recordings", "keep", recording_id, "--until", "2099-01-31", "--days", "1")
    back = await shell("recordings", "keep", recording_id, "--json")

    assert dated.json["delete_at"].startswith("2099-01-31T00:00:00")
    assert both.status == 1
    assert back.json["delete_at"] is None
