"""Ways of audio and keys beside the ordinary one: IPv6, digits both ways, reports."""

import asyncio
import itertools
from pathlib import Path

import pytest
from tests.e2e.line import open_line
from tests.e2e.phonecall import answered, recorded
from tests.e2e.rawphone import RATE_HZ, level_at

from tapeline.domain.error import EngineFailed, Invalid
from tapeline.domain.signal import Digit, RecorderSpec, RecordingFinished
from tapeline.testing import Softphone

EVENT, PCMU = 101, 0


async def test_a_call_over_ipv6_is_heard_and_recorded(tmp_path: Path) -> None:
    async with (
        open_line(tmp_path / "spool", address="::1") as line,
        Softphone("alice", address="::1") as alice,
        Softphone("bob", address="::1") as bob,
    ):
        room = await line.engine.create_room(rate_hz=RATE_HZ)
        low, low_leg = await answered(line, alice, 440)
        high, high_leg = await answered(line, bob, 1000)
        for leg in (low_leg, high_leg):
            await line.engine.join(leg, room)
        await asyncio.sleep(0.3)
        samples = await recorded(line, low_leg, 1.0)
        levels = line.engine.levels(low_leg)

    assert low.stream.remote is not None
    assert low.stream.remote[0] == "::1"
    assert level_at(samples, 440) > 3500
    assert level_at(samples, 1000) < 50
    assert level_at(low.heard().samples[-RATE_HZ:] * 32768, 1000) > 3000
    assert level_at(high.heard().samples[-RATE_HZ:] * 32768, 440) > 3000
    assert levels is not None
    assert levels.packets_lost == 0


async def test_digits_go_out_in_the_audio_s_own_stream(tmp_path: Path) -> None:
    async with open_line(tmp_path / "spool") as line, Softphone("alice") as alice:
        call, leg = await answered(line, alice, 440)
        await asyncio.sleep(0.3)
        await line.engine.send_digits(leg, "19w#D")
        await asyncio.sleep(0.1)
        packets = list(call.stream.packets)
        with pytest.raises(Invalid) as refused:
            await line.engine.send_digits(leg, "12345x")
        assert "12345" not in str(refused.value)
        await call.hang_up()
        with pytest.raises(EngineFailed):
            await line.engine.send_digits(leg, "1")

    numbers = [packet.sequence for packet in packets]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))
    events = [packet for packet in packets if packet.payload_type == EVENT]
    keys = [packet.payload[0] for packet in events if packet.marker]
    assert keys == [1, 9, 11, 15]
    ends = [packet for packet in events if packet.payload[1] & 0x80]
    assert len(ends) == 3 * len(keys)
    assert {packet.payload[2:] for packet in ends} == {(800).to_bytes(2, "big")}


async def test_r43_digits_of_a_pause_reach_neither_spool_nor_logs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "8642#97531"
    async with open_line(tmp_path / "spool") as line, Softphone("alice") as alice:
        call, leg = await answered(line, alice, 440)
        folder = line.spool / "paused"
        spec = RecorderSpec(folder=str(folder), format="wav", leg=leg)
        recorder = await line.engine.start_recording(spec)
        await asyncio.sleep(0.3)
        await line.engine.pause_recording(recorder)
        call.send_digits(secret)
        await line.wait_for(Digit, count=len(secret))
        await line.engine.send_digits(leg, secret, tone_ms=40, gap_ms=40)
        await line.engine.resume_recording(recorder)
        await asyncio.sleep(0.3)
        await line.engine.stop_recording(recorder)
        await line.wait_for(RecordingFinished)
        heard = "".join(signal.digit for signal in line.signals if isinstance(signal, Digit))
        trace = {str(path): path.read_bytes() for path in line.spool.rglob("*") if path.is_file()}
    out, err = capfd.readouterr()

    assert heard == secret
    assert trace
    for name, content in trace.items():
        assert secret.encode() not in content, name
        if not name.endswith("audio.part"):
            assert b"digit" not in content.lower(), name
            assert all(f'"{key}"'.encode() not in content for key in secret), name
    assert secret not in out + err


async def test_levels_tell_how_a_call_is(tmp_path: Path) -> None:
    async with open_line(tmp_path / "spool") as line, Softphone("alice") as alice:
        _, leg = await answered(line, alice, 440)
        await asyncio.sleep(5.5)
        levels = line.engine.levels(leg)

    assert levels is not None
    assert levels.mos is not None
    assert 3.5 < levels.mos <= 4.41
    assert levels.jitter_ms < 20
    assert levels.remote_lost == 0
    assert levels.round_trip_ms is None, "this phone sends no reports"
