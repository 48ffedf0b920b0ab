"""npm's `telnyx` 7.24.0, unmodified: the seed's own sample starts a recording, and the SDK's check
accepts the webhook of its end.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.sdk.telnyx_desk import HOOK, open_desk

from tapeline.testing import Tone, tone_level

HERE = Path(__file__).parent / "node"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tapeline" / "node"
OLDEST = 18
DEBIAN = Path("/etc/debian_version")
PATIENCE_S = 30.0


def node_version() -> int:
    """0 when there is none."""
    if shutil.which("node") is None:
        return 0
    shown = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return int(shown.stdout.removeprefix("v").partition(".")[0])


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The scripts beside the modules that set-up has installed."""
    version = node_version()
    if version < OLDEST and not DEBIAN.exists():
        pytest.skip(f"Node {OLDEST} is not there")
    assert version >= OLDEST
    assert (CACHE / "node_modules").is_dir(), "run scripts/setup.sh test"
    (tmp_path / "node_modules").symlink_to(CACHE / "node_modules")
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, tmp_path)
    return tmp_path


async def run(script: Path, *, env: Mapping[str, str] | None = None, sent: str = "") -> str:
    """Its standard output."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate(sent.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_seeds_sample_records_a_conference(scripts: Path, tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        call, creator = await desk.talk("desk-node", play=Tone(440, -20.0))
        await desk.ask(desk.client.conferences.create, call_control_id=creator, name="id")
        env = {
            "TELNYX_API_KEY": desk.site.account.api_key,
            "TELNYX_BASE_URL": f"{desk.site.node.http_url}/v2",
        }

        shown = await run(scripts / "record.mjs", env=env)
        await asyncio.sleep(0.6)
        await call.hang_up()
        saved = await desk.event("conference.recording.saved")
        received = next(
            each
            for each in desk.site.receiver.received(HOOK)
            if each.json()["data"]["id"] == saved["id"]
        )
        question = {
            "body": received.body.decode(),
            "headers": dict(received.headers),
            "key": desk.client.public_key,
        }
        unwrapped = json.loads(await run(scripts / "unwrap.mjs", sent=json.dumps(question)))
        sound = await desk.sound(saved["payload"])

    assert "result: 'ok'" in shown
    assert f"recording_id: '{saved['payload']['recording_id']}'" in shown
    assert unwrapped["event_type"] == "conference.recording.saved"
    assert tone_level(sound.mono(), 440, sound.rate_hz) > -23.0


async def test_a_changed_webhook_is_refused(scripts: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "telnyx" / "signed-body.txt"
    question = {
        "body": golden.read_text(encoding="utf-8") + " ",
        "headers": {"telnyx-timestamp": "1763700000", "telnyx-signature-ed25519": "AAAA"},
        "key": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    }

    with pytest.raises(AssertionError, match="Error"):
        await run(scripts / "unwrap.mjs", sent=json.dumps(question))
