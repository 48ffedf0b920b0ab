"""Real recordings prove what they are: manifests of what was said, and `tapeline verify`."""

import asyncio
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.e2e.site import Site, open_site
from tests.e2e.test_cli import Shell

from tapeline.domain.command import GetProof
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import Recording
from tapeline.proof import FindingKind, PublicKeys, read_public_key, verify_file
from tapeline.testing import Tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 5
FLIPS = 100
WAV_HEAD, WAV_SECOND = 80, 16_000


@dataclass(frozen=True)
class Kept:
    """A recording as somebody has it who downloaded it and its manifest."""

    site: Site
    row: Recording
    folder: Path
    manifest: dict[str, Any]

    @property
    def audio(self) -> Path:
        return self.folder / f"copy.{self.row.format.value}"

    @property
    def keys(self) -> PublicKeys:
        return read_public_key(self.site.node.data_dir / "keys")

    @property
    def on_disk(self) -> Path:
        return self.site.node.data_dir / "recordings" / self.row.storage_key


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kept]:
    """One recording in each format, of a room with two callers; one came late, one left."""
    folder = tmp_path_factory.mktemp("copies")

    async def record(file_format: str) -> Kept:
        room = f"proof-{file_format}"
        ann = await site.sit(room, caller=f"ann{file_format}", play=Tone(440))
        started = await site.start(
            room, file_format=file_format, callback_url=site.receiver.url(f"/{room}")
        )
        await asyncio.sleep(0.6)
        await site.sit(room, caller=f"bob{file_format}", play=Tone(620))
        await asyncio.sleep(1.4)
        await ann.hang_up()
        await asyncio.sleep(SECONDS - 2)
        await site.stop(room)
        await site.receiver.wait_for(f"/{room}")
        row = await site.recording(started["recording_id"])
        mine = folder / file_format
        mine.mkdir()
        (mine / f"copy.{file_format}").write_bytes((await site.fetch(started["url"])).body)
        beside = site.node.data_dir / "recordings" / row.storage_key
        await until_there(beside.with_suffix(".manifest.json"))
        document = beside.with_suffix(".manifest.json").read_text()
        (mine / "copy.manifest.json").write_text(document)
        return Kept(site, row, mine, json.loads(document)["manifest"])

    found = await asyncio.gather(record("wav"), record("mp3"))
    return {each.row.format.value: each for each in found}


async def until_there(file: Path) -> None:
    async with asyncio.timeout(5):
        while not await asyncio.to_thread(file.exists):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
async def test_the_manifest_says_what_when_and_who(kept: dict[str, Kept], file_format: str) -> None:
    one = kept[file_format]
    manifest, row = one.manifest, one.row
    blocks = manifest["audio"]["blocks"]

    assert manifest["recording"]["id"] == row.id
    assert manifest["recording"]["state"] == "completed"
    assert manifest["audio"]["sha256"] == row.sha256
    assert manifest["audio"]["sample_count"] == row.sample_count
    assert manifest["audio"]["byte_count"] == len(one.audio.read_bytes())
    # The head and every second that begins; of MP3 what is less than a frame begins none, and the
    # padding may begin one more.
    whole, begun = row.duration_ms // 1000, -(-row.duration_ms // 1000)
    is_mp3 = file_format == "mp3"
    assert blocks["count"] in ({whole + 1, begun + 1, begun + 2} if is_mp3 else {begun + 1})
    ann, bob = manifest["participants"]
    assert ann["joined_at_ms"] <= row.started_at_ms < bob["joined_at_ms"]
    assert bob["joined_at_ms"] - row.started_at_ms == pytest.approx(650, abs=500)
    assert ann["left_at_ms"] > bob["joined_at_ms"]
    assert bob["left_at_ms"] is None
    text = json.dumps(manifest)
    assert "ann" + file_format not in text
    assert f"room-proof-{file_format}" not in text


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
async def test_personal_values_lie_in_rows(kept: dict[str, Kept], file_format: str) -> None:
    one = kept[file_format]
    proof = await one.site.local.execute(
        GetProof(account_id=None, recording_id=RecordingId(one.row.id))
    )

    values = {each.name: each.value for each in proof.values}
    assert values["participants.0.caller"] == f"ann{file_format}"
    assert values["participants.1.caller"] == f"bob{file_format}"
    assert values["who.conference_name"] == f"proof-{file_format}"


async def test_manifests_of_an_account_follow_each_other(kept: dict[str, Kept]) -> None:
    numbers = sorted(one.manifest["number"] for one in kept.values())

    assert numbers == [1, 2]
    first, second = sorted(kept.values(), key=lambda one: one.manifest["number"])
    assert first.manifest["previous"] is None
    assert second.manifest["previous"] is not None


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
async def test_every_one_of_a_hundred_flipped_bytes_is_named(
    kept: dict[str, Kept], file_format: str
) -> None:
    """The second is reckoned from the format itself: WAV by its samples, MP3 by its bit rate."""
    one, numbers = kept[file_format], random.Random(11)
    content = one.audio.read_bytes()
    head = WAV_HEAD if file_format == "wav" else mp3_frame_bytes(content)
    places = [numbers.randrange(len(content)) for _ in range(FLIPS - 8)]
    places += [numbers.randrange(head) for _ in range(8)]
    damaged_file = one.folder / f"damaged.{file_format}"

    for at in places:
        damaged = bytearray(content)
        damaged[at] ^= numbers.randrange(1, 256)
        damaged_file.write_bytes(bytes(damaged))
        verdict = verify_file(damaged_file, one.keys, manifest=one.folder / "copy.manifest.json")

        (finding,) = verdict.findings
        if at < head:
            assert finding.kind is FindingKind.HEAD_DAMAGED, at
            continue
        assert finding.kind is FindingKind.SECOND_DAMAGED, at
        assert finding.second in seconds_at(file_format, at, head), at


def mp3_frame_bytes(content: bytes) -> int:
    """Of the first frame: the next one's sync is where it ends."""
    at = 4
    while content[at : at + 2] != content[:2]:
        at += 1
    return at


def seconds_at(file_format: str, at: int, head: int) -> set[int]:
    if file_format == "wav":
        return {(at - WAV_HEAD) // WAV_SECOND}
    # 16 kbit/s; a frame is 72 ms, and the encoder's delay of 1105 samples comes before second 0.
    ms = (at - head) * 1000 // 2000 - 138
    return {max(0, ms - 80) // 1000, max(0, ms + 80) // 1000}


async def test_verify_on_the_command_line_needs_no_node(
    kept: dict[str, Kept], tmp_path: Path
) -> None:
    one = kept["mp3"]
    shell = Shell(data_dir=tmp_path / "nowhere", settings={})
    shown = await Shell(data_dir=one.site.node.data_dir, settings={})("verify", "--show-key")
    key = tmp_path / "key.pem"
    key.write_text(shown.out.partition("\n")[2])

    good = await shell("verify", str(one.audio), "--key", str(key))
    content = bytearray(one.audio.read_bytes())
    content[-5] ^= 255
    damaged = tmp_path / "copy.mp3"
    damaged.write_bytes(bytes(content))
    manifest = str(one.folder / "copy.manifest.json")
    bad = await shell("verify", str(damaged), "--key", str(key), "--manifest", manifest)
    bare = await shell("verify", str(damaged), "--key", str(key))
    keyless = await shell("verify", str(one.audio))

    assert (good.status, good.out.splitlines()[-1]) == (0, "OK"), good
    assert bad.status == 1
    assert f"second {one.manifest['audio']['blocks']['count'] - 2} " in bad.out
    assert bad.out.splitlines()[-1] == "NOT OK"
    assert (bare.status, "no manifest" in bare.out) == (1, True)
    assert (keyless.status, "give --key" in keyless.err) == (1, True)


async def test_verify_by_id_makes_a_lost_manifest_again(kept: dict[str, Kept]) -> None:
    one = kept["wav"]
    shell = Shell(data_dir=one.site.node.data_dir, settings={})
    beside = one.on_disk.with_suffix(".manifest.json")
    before = beside.read_bytes()
    beside.unlink()

    done = await shell("verify", one.row.id)
    unknown = await shell("verify", "0" * 8)

    assert (done.status, done.out.splitlines()[-1]) == (0, "OK"), done
    assert beside.read_bytes() == before
    assert (unknown.status, "recording not found" in unknown.err) == (1, True)


async def test_the_chain_of_an_account_is_written_and_verified(
    kept: dict[str, Kept], tmp_path: Path
) -> None:
    one = kept["wav"]
    shell = Shell(data_dir=one.site.node.data_dir, settings={})

    written = await shell(
        "recordings", "chain", "--account", one.row.account_id, "--out", str(tmp_path / "chain")
    )
    whole = await shell("verify", "--chain", str(tmp_path / "chain"))
    (tmp_path / "chain" / "00000001.manifest.json").unlink()
    broken = await shell("verify", "--chain", str(tmp_path / "chain"))

    assert written.status == 0, written
    assert (whole.status, "OK" in whole.out) == (0, True), whole
    assert broken.status == 1
    assert "link 1 is missing" in broken.out


async def test_what_a_kill_left_has_a_manifest_too(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        await site.sit("lost", play=Tone(440))
        started = await site.start("lost", callback_url=site.receiver.url("/lost"))
        await asyncio.sleep(2.2)
        await site.node.kill()
        await site.node.start()
        await site.receiver.wait_for("/lost", timeout_s=40)

        row = await site.recording(started["recording_id"])
        audio = site.node.data_dir / "recordings" / row.storage_key
        manifest = audio.with_suffix(".manifest.json")
        await until_there(manifest)

        said = json.loads(manifest.read_text())["manifest"]
        assert [note["flag"] for note in said["recording"]["health"]] == ["recovered"]
        assert said["audio"]["blocks"]["count"] >= 2
        keys = read_public_key(site.node.data_dir / "keys")
        assert verify_file(audio, keys).findings == ()
