"""The core alone, from the first INVITE to the last byte of the file."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.line import Line, decode_wav, open_line
from tests.e2e.rawphone import RATE_HZ, RawPhone, level_at, tone

from tapeline.domain.error import EngineFailed
from tapeline.domain.signal import (
    CallEnded,
    LegHandle,
    RecorderSpec,
    RecordingFinished,
    RoomEmpty,
)
from tapeline.engine import Access, CoreSettings
from tapeline.engine.core import CoreEngine
from tapeline.engine.spool import AudioShape, CoreSpoolTools
from tapeline.telemetry.bugs import Bugs

NOBODY = LegHandle((1 << 32) + 77)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path / "spool") as opened:
        yield opened


async def test_two_phones_are_recorded_and_neither_hears_itself(line: Line) -> None:
    engine = line.engine
    (address,) = engine.sip_addresses
    room = await engine.create_room(rate_hz=RATE_HZ)
    async with RawPhone(address) as low, RawPhone(address) as high:
        first = await line.call(low, room)
        second = await line.call(high, room, count=2)
        spec = RecorderSpec(folder=str(line.spool / "one"), format="wav", room=room)
        recorder = await engine.start_recording(spec)

        await asyncio.gather(
            low.say(tone(440, seconds=2.0)),
            high.say(tone(1000, seconds=2.0)),
        )
        await engine.stop_recording(recorder)
        finished = await line.wait_for(RecordingFinished)
        levels = engine.levels(first.leg)
        await low.bye()
        await asyncio.gather(engine.hang_up(second.leg), high.answer_bye())
        await line.wait_for(RoomEmpty)
        await line.wait_for(CallEnded, count=2)

    audio_file = line.spool / "one" / "audio.part"
    audio = decode_wav(audio_file)
    assert len(audio) == finished.sample_count
    assert 2.0 <= len(audio) / RATE_HZ <= 2.3
    assert finished.byte_count == audio_file.stat().st_size
    assert finished.sha256 == hashlib.sha256(audio_file.read_bytes()).hexdigest()
    assert finished.missing_ms == []
    middle = audio[RATE_HZ // 2 : RATE_HZ * 3 // 2]
    assert level_at(middle, 440) > 7000
    assert level_at(middle, 1000) > 7000
    assert level_at(low.heard[4000:12_000], 1000) > 7000
    assert level_at(low.heard[4000:12_000], 440) < 50
    assert level_at(high.heard[4000:12_000], 440) > 7000
    assert level_at(high.heard[4000:12_000], 1000) < 50
    assert levels is not None
    assert levels.packets_received >= 94  # told every 100 ms
    ended = [signal.by for signal in line.signals if isinstance(signal, CallEnded)]
    assert ended == ["remote_bye", "command"]
    await engine.close_room(room)


async def test_a_running_recording_s_folder_can_be_repaired_from_a_copy(
    line: Line, tmp_path: Path
) -> None:
    room = await line.engine.create_room(rate_hz=RATE_HZ)
    tools = CoreSpoolTools()
    copy = tmp_path / "copy"
    async with RawPhone(line.engine.sip_addresses[0]) as phone:
        await line.call(phone, room)
        spec = RecorderSpec(folder=str(line.spool / "two"), format="wav", room=room)
        await line.engine.start_recording(spec)
        await phone.say(tone(440, seconds=2.0))

        shutil.copytree(line.spool / "two", copy)
        report = await asyncio.to_thread(tools.repair, str(copy))

    assert report.has_audio
    assert not report.was_finished
    assert 1.0 <= report.sample_count / RATE_HZ <= 2.3
    audio = decode_wav(copy / "audio.part")
    assert len(audio) == report.sample_count
    assert level_at(audio[4000:8000], 440) > 7000
    assert report.sha256 == hashlib.sha256((copy / "audio.part").read_bytes()).hexdigest()
    assert tools.probe(copy / "audio.part") == AudioShape(
        sample_count=report.sample_count, rate_hz=RATE_HZ, channels=1
    )
    with pytest.raises(ValueError, match=r"journal|WAV|MP3|audio"):
        tools.probe(copy / "journal.jsonl")
    assert not tools.repair(str(tmp_path / "nowhere")).has_audio


async def test_a_stop_finishes_what_runs(tmp_path: Path) -> None:
    settings = CoreSettings(
        sip_udp=("127.0.0.1:0",),
        rtp_ports=(42_000, 42_999),
        spool=tmp_path / "spool",
        access=Access(networks=("127.0.0.0/8",)),
        realtime=False,
    )
    engine = CoreEngine.build(settings, bugs=Bugs())
    line = Line(engine, tmp_path / "spool")
    engine.start()
    room = await engine.create_room(rate_hz=RATE_HZ)
    async with RawPhone(engine.sip_addresses[0]) as phone:
        await line.call(phone, room)
        spec = RecorderSpec(folder=str(line.spool / "three"), format="wav", room=room)
        await engine.start_recording(spec)
        await phone.say(tone(440, seconds=0.5))
        begun = asyncio.get_running_loop().time()

        _, took_s = await asyncio.gather(phone.answer_bye(), stopped_after(engine, begun))

    finished = await line.wait_for(RecordingFinished)
    assert finished.sample_count >= RATE_HZ // 2
    assert len(decode_wav(line.spool / "three" / "audio.part")) == finished.sample_count
    assert (await line.wait_for(CallEnded)).by == "command"
    assert took_s < 2.0
    assert engine.stats()["recorders"] == 0


async def stopped_after(engine: CoreEngine, begun: float) -> float:
    await engine.stop()
    return asyncio.get_running_loop().time() - begun


async def test_what_is_not_there_cannot_be_commanded(line: Line) -> None:
    room = await line.engine.create_room(rate_hz=RATE_HZ)
    await line.engine.close_room(room)
    spec = RecorderSpec(folder=str(line.spool / "none"), format="mp3", room=room)

    for command in (
        line.engine.answer(NOBODY),
        line.engine.join(NOBODY, room),
        line.engine.close_room(room),
        line.engine.start_recording(spec),
    ):
        with pytest.raises(EngineFailed):
            await command

    await line.engine.stop()
    assert not (line.spool / "none").exists()
