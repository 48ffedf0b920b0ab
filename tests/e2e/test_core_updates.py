"""A call that is renegotiated while it is recorded: nothing of its audio is lost (R16)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.line import Line, decode_wav, open_line
from tests.e2e.rawphone import RATE_HZ, RawPhone, Samples, tone

from tapeline.domain.signal import (
    CallUpdated,
    ChannelLayout,
    RecorderSpec,
    RecordingFinished,
)

WINDOW = RATE_HZ // 50


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path / "spool") as opened:
        yield opened


def silence_ms(samples: Samples) -> int:
    """How much of it, in windows of 20 ms, is quieter than a phone that talks."""
    windows = range(0, len(samples) - WINDOW + 1, WINDOW)
    return 20 * sum(np.abs(samples[at : at + WINDOW]).max() < 1_000 for at in windows)


async def test_hold_resume_and_a_new_port_lose_no_audio_of_a_recording(line: Line) -> None:
    engine = line.engine
    room = await engine.create_room(rate_hz=RATE_HZ)
    async with RawPhone(engine.sip_addresses[0]) as phone:
        arrived = await line.call(phone, room)
        talking = asyncio.create_task(phone.say(tone(440, seconds=4)))
        await asyncio.sleep(0.4)
        spec = RecorderSpec(
            folder=str(line.spool / "one"),
            format="wav",
            leg=arrived.leg,
            layout=ChannelLayout.RX,
        )
        loop = asyncio.get_running_loop()
        recorder = await engine.start_recording(spec)
        begun = loop.time()
        # It holds us and goes on talking; then its audio comes from elsewhere, with another SSRC.
        for number, change in enumerate(("sendonly", "0.0.0.0", "sendrecv", "moved", ""), start=2):
            await asyncio.sleep(0.5)
            await phone.renegotiate(number, change)
        await asyncio.sleep(0.5)
        lasted_ms = (loop.time() - begun) * 1_000
        await engine.stop_recording(recorder)
        await line.wait_for(RecordingFinished)
        await talking
        await phone.bye(7)

    held = [signal.is_held for signal in line.signals if isinstance(signal, CallUpdated)]
    assert held == [True, False, False]
    audio = decode_wav(line.spool / "one" / "audio.part")
    assert len(audio) / RATE_HZ * 1_000 == pytest.approx(lasted_ms, abs=60)
    assert silence_ms(audio) <= 100


async def test_a_held_phone_hears_nothing_until_it_resumes(line: Line) -> None:
    engine = line.engine
    room = await engine.create_room(rate_hz=RATE_HZ)
    async with (
        RawPhone(engine.sip_addresses[0]) as talker,
        RawPhone(engine.sip_addresses[0]) as holder,
    ):
        await line.call(talker, room)
        await line.call(holder, room, count=2)
        talking = asyncio.create_task(talker.say(tone(440, seconds=3)))
        mumbling = asyncio.create_task(holder.say(tone(440, seconds=3) * 0))
        await asyncio.sleep(0.5)
        await holder.renegotiate(2, "sendonly")
        await asyncio.sleep(0.2)
        before = len(holder.heard)
        await asyncio.sleep(0.8)
        while_held = len(holder.heard) - before
        await holder.renegotiate(3, "sendrecv")
        await asyncio.sleep(0.8)
        after = len(holder.heard) - before - while_held
        await asyncio.gather(talking, mumbling)
        await holder.bye(4)
        await talker.bye(2)

    assert while_held == 0
    assert after > RATE_HZ // 2


def test_the_silence_of_a_tone_is_counted() -> None:
    whole = tone(440, seconds=1)
    assert silence_ms(whole) == 0
    whole[:1_600] = 0
    assert silence_ms(whole) == pytest.approx(200, abs=20)
