"""The core alone: both sides of a call in one file, with a prompt played to it, and a pause."""

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.line import open_line
from tests.e2e.rawphone import RATE_HZ, RawPhone, Samples, level_at, tone

from tapeline.domain.signal import (
    ChannelLayout,
    PlayFinished,
    PlaySpec,
    RecorderSpec,
    RecordingFinished,
)

pytestmark = pytest.mark.alone


def write_wav(path: Path, samples: Samples) -> str:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return str(path)


def read_sides(path: Path) -> tuple[Samples, Samples]:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE_HZ, 2)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    return frames[0::2], frames[1::2]


async def test_a_call_s_two_sides_keep_apart_and_hold_what_was_played(tmp_path: Path) -> None:
    prompt = write_wav(tmp_path / "prompt.wav", tone(2000, seconds=0.6))
    async with open_line(tmp_path / "spool") as line:
        engine = line.engine
        (address,) = engine.sip_addresses
        room = await engine.create_room(rate_hz=RATE_HZ)
        async with RawPhone(address) as low, RawPhone(address) as high:
            caller = await line.call(low, room)
            callee = await line.call(high, room, count=2)
            spec = RecorderSpec(
                folder=str(line.spool / "call"),
                format="wav",
                leg=caller.leg,
                layout=ChannelLayout.RX_TX,
            )
            recorder = await engine.start_recording(spec)
            playback = await engine.play(PlaySpec(path=prompt, leg=caller.leg))
            await asyncio.gather(low.say(tone(440, seconds=2.0)), high.say(tone(1000, seconds=2.0)))
            played = await line.wait_for(PlayFinished)
            await engine.pause_recording(recorder)
            await asyncio.gather(
                low.say(tone(3000, seconds=1.0)), high.say(tone(3000, seconds=1.0))
            )
            await low.bye()
            finished = await line.wait_for(RecordingFinished)
            await asyncio.gather(engine.hang_up(callee.leg), high.answer_bye())
        await engine.close_room(room)

    assert (played.playback, played.reason) == (playback, "completed")
    assert (finished.recorder, finished.reason) == (recorder, "leg_gone")
    left, right = read_sides(line.spool / "call" / "audio.part")
    assert len(left) == finished.sample_count
    assert 2.0 <= len(left) / RATE_HZ <= 2.5
    spoken = slice(RATE_HZ // 2, RATE_HZ * 3 // 2)
    assert level_at(left[spoken], 440) > 7000
    assert level_at(left[spoken], 1000) < 8
    assert level_at(right[spoken], 1000) > 7000
    assert level_at(right[spoken], 440) < 8
    assert level_at(right[:4000], 2000) > 4000
    assert level_at(left, 2000) < 8
    assert level_at(low.heard[:4000], 2000) > 4000
    assert level_at(high.heard, 2000) < 50
    for side in (left, right):
        assert level_at(side, 3000) < 50  # said in the pause
