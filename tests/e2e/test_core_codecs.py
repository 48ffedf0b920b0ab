"""Legs of different codecs in one room of the core alone; ffmpeg is the other end's codec."""

import asyncio
import subprocess
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.line import Line, open_line
from tests.e2e.ogg import opus_packets, opus_stream
from tests.e2e.rawphone import RATE_HZ, RawPhone, Samples, level_at, tone

from tapeline.domain.signal import RecorderSpec, RecordingFinished

WIDE_HZ = 16_000
PCM = ("-f", "s16le", "-ar", str(WIDE_HZ), "-ac", "1")


def _ffmpeg(*arguments: str, given: bytes) -> bytes:
    command = ["ffmpeg", "-v", "error", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def _pieces(encoded: bytes, size: int) -> list[bytes]:
    return [encoded[at : at + size] for at in range(0, len(encoded) - size + 1, size)]


def _to_g722(pcm: bytes) -> Sequence[bytes]:
    encoded = _ffmpeg(*PCM, "-i", "pipe:0", "-c:a", "g722", "-f", "g722", "pipe:1", given=pcm)
    return _pieces(encoded, 160)


def _from_g722(payloads: Sequence[bytes]) -> bytes:
    return _ffmpeg("-f", "g722", "-i", "pipe:0", *PCM, "pipe:1", given=b"".join(payloads))


def _to_opus(layout: str) -> Callable[[bytes], Sequence[bytes]]:
    # The filter, as ffmpeg would take 3 dB off both sides when it makes stereo of mono.
    coded = ("-af", f"pan={layout}", "-c:a", "libopus", "-b:a", "32k", "-frame_duration", "20")

    def encode(pcm: bytes) -> Sequence[bytes]:
        return opus_packets(_ffmpeg(*PCM, "-i", "pipe:0", *coded, "-f", "ogg", "pipe:1", given=pcm))

    return encode


def _from_opus(payloads: Sequence[bytes]) -> bytes:
    return _ffmpeg("-f", "ogg", "-i", "pipe:0", *PCM, "pipe:1", given=opus_stream(payloads))


def _swapped(pcm: bytes) -> bytes:
    return np.frombuffer(pcm, "<i2").astype(">i2").tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    payload_type: int
    encoding: str
    units: int
    encode: Callable[[bytes], Sequence[bytes]]
    decode: Callable[[Sequence[bytes]], bytes]


CODECS = {
    "g722": Codec(
        payload_type=9, encoding="G722/8000", units=160, encode=_to_g722, decode=_from_g722
    ),
    "opus": Codec(
        payload_type=111,
        encoding="opus/48000/2",
        units=960,
        encode=_to_opus("mono|c0=c0"),
        decode=_from_opus,
    ),
    "opus-stereo": Codec(
        payload_type=96,
        encoding="opus/48000/2",
        units=960,
        encode=_to_opus("stereo|c0=c0|c1=c0"),
        decode=_from_opus,
    ),
    "l16": Codec(
        payload_type=97,
        encoding="L16/16000",
        units=320,
        encode=lambda pcm: _pieces(_swapped(pcm), 640),
        decode=lambda payloads: _swapped(b"".join(payloads)),
    ),
}


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path / "spool") as opened:
        yield opened


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
async def test_r15_legs_of_different_codecs_share_a_room(line: Line, codec: Codec) -> None:
    engine = line.engine
    (address,) = engine.sip_addresses
    room = await engine.create_room(rate_hz=RATE_HZ)
    spoken = tone(1000, seconds=3.0, rate_hz=WIDE_HZ) + tone(5200, seconds=3.0, rate_hz=WIDE_HZ)
    payloads = codec.encode(spoken.astype("<i2").tobytes())
    async with (
        RawPhone(address) as narrow,
        RawPhone(address, payload_type=codec.payload_type, encoding=codec.encoding) as wide,
    ):
        await line.call(narrow, room)
        await line.call(wide, room, count=2)
        await asyncio.gather(
            narrow.say(tone(440, seconds=0.3)), wide.send(payloads[:15], units=codec.units)
        )
        spec = RecorderSpec(folder=str(line.spool / "one"), format="wav", room=room)
        recorder = await engine.start_recording(spec)
        await asyncio.gather(
            narrow.say(tone(440, seconds=2.0)), wide.send(payloads[15:115], units=codec.units)
        )
        await engine.stop_recording(recorder)
        await line.wait_for(RecordingFinished)
        await asyncio.gather(narrow.bye(), wide.bye())

    heard = np.frombuffer(codec.decode(wide.payloads), "<i2").astype(np.float64)
    middle = heard[len(heard) // 2 : len(heard) // 2 + WIDE_HZ // 2]
    assert level_at(middle, 440, rate_hz=WIDE_HZ) > 6000
    assert level_at(middle, 1000, rate_hz=WIDE_HZ) < 100
    middle = narrow.heard[len(narrow.heard) // 2 :][: RATE_HZ // 2]
    assert level_at(middle, 1000) > 6000
    assert level_at(middle, 440) < 50
    assert level_at(middle, 2800) < 100, "what 8 kHz cannot hold was folded down"
    rate_hz, recorded = _recorded(line.spool / "one" / "audio.part")
    assert rate_hz == WIDE_HZ
    middle = recorded[WIDE_HZ // 2 : WIDE_HZ * 3 // 2]
    for hz in (440, 1000, 5200):
        assert level_at(middle, hz, rate_hz=rate_hz) > 5500, hz


def _recorded(path: Path) -> tuple[int, Samples]:
    with wave.open(str(path)) as file:
        frames = file.readframes(file.getnframes())
        return file.getframerate(), np.frombuffer(frames, "<i2").astype(np.float64)
