"""The programs of `examples/`, as they are, against a live node with a call in the room."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.e2e.site import open_site

from tapeline.testing import Tone, find_tone, read_sound

PROGRAMS = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
MOST_LINES = 40
ROOM, TONE_HZ = "Example", 700


def test_there_is_one_for_each_sdk_and_each_is_short() -> None:
    assert len(PROGRAMS) == 3
    for program in PROGRAMS:
        assert len(program.read_text().splitlines()) < MOST_LINES


async def test_every_example_records_what_is_said(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        call = await site.sit(ROOM, play=Tone(TONE_HZ))
        environment = os.environ | {
            "BASE": site.node.http_url,
            "CONFERENCE": ROOM,
            "AUTH_ID": site.account.auth_id,
            "AUTH_TOKEN": site.account.auth_token,
            "API_KEY": site.account.api_key,
            "SECONDS_RECORDED": "1",
        }
        for program in PROGRAMS:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(program),
                cwd=tmp_path,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            async with asyncio.timeout(60):
                shown, _ = await process.communicate()
            if process.returncode:
                pytest.fail(f"{program.name}: {shown.decode()}")
            name = program.stem.removeprefix("record_with_")
            sound = read_sound((tmp_path / f"{ROOM}.{name}.wav").read_bytes())
            (span,) = find_tone(sound.mono(), TONE_HZ, rate_hz=sound.rate_hz)
            assert sound.duration_ms >= 1_000
            assert span.end_ms - span.start_ms >= sound.duration_ms - 40
        await call.hang_up()
