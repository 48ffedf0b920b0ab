"""Protected calls: a phone that shares no code with the core, the recorded file decoded."""

import asyncio
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.line import decode_wav, open_line
from tests.e2e.phonecall import answered, recorded
from tests.e2e.rawphone import RATE_HZ, level_at

from tapeline.domain.signal import CallEnded, DialSpec, RecorderSpec, RecordingFinished
from tapeline.testing import CallRejected, Softphone, Tone
from tapeline.testing.srtp import SUITES, SrtpKey, SrtpReceiver, SrtpSender

ROOM_TONE_HZ = 1000


@pytest.mark.parametrize("suite", SUITES)
async def test_a_protected_call_is_recorded_and_heard(tmp_path: Path, suite: str) -> None:
    async with open_line(tmp_path / "spool", srtp="accept") as line:
        room = await line.engine.create_room(rate_hz=RATE_HZ)
        async with Softphone("alice", srtp=suite) as alice, Softphone("bob") as bob:
            protected, leg = await answered(line, alice, 440)
            plain, other = await answered(line, bob, ROOM_TONE_HZ)
            await line.engine.join(leg, room)
            await line.engine.join(other, room)
            await asyncio.sleep(0.3)
            samples = await recorded(line, leg, 1.0)
            heard = protected.heard()
            levels = line.engine.levels(leg)
            stats = line.engine.stats()

    assert protected.srtp_key is not None
    assert level_at(samples, 440) > 3500
    assert level_at(samples, ROOM_TONE_HZ) < 50
    assert level_at(heard.samples[-RATE_HZ:] * 32768, ROOM_TONE_HZ) > 3000
    assert plain.srtp_key is None
    assert level_at(plain.heard().samples[-RATE_HZ:] * 32768, 440) > 3000
    assert protected.stream.forged_heard == 0
    assert levels is not None
    assert levels.packets_lost == 0
    assert stats["srtp_forged"] == stats["srtp_replayed"] == 0


async def test_a_wrong_key_is_silence_and_counted_and_its_replay_is_ignored(
    tmp_path: Path,
) -> None:
    async with (
        open_line(tmp_path / "spool", srtp="accept") as line,
        Softphone("alice", srtp=SUITES[0]) as alice,
    ):
        call, leg = await answered(line, alice, 440)
        remote, ours = call.stream.remote, call.srtp_key
        assert remote is not None
        assert ours is not None
        assert call.stream._srtp is not None
        theirs = call.stream._srtp[1].key
        await asyncio.sleep(0.2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"\x80\x00" + bytes(170), remote)

        call.stream.protect(SrtpKey.generate(SUITES[0]), theirs)
        await asyncio.sleep(0.3)
        silence = await recorded(line, leg, 0.6)
        forged = line.engine.stats()["srtp_forged"]
        call.stream.protect(ours, theirs)
        await asyncio.sleep(0.3)

        # An eavesdropper sends everything once more, from the phone's own port.
        said: list[bytes] = []
        original = call.stream.rtp
        before = line.engine.stats()["srtp_replayed"]
        for _ in range(50):
            sender = call.stream._srtp[0]
            packet = call.stream.turn()
            assert packet is not None
            said.append(sender.protect(packet))
            original.sendto(said[-1], remote)
            original.sendto(said[-1], remote)
            await asyncio.sleep(0.02)
        replayed = line.engine.stats()["srtp_replayed"] - before

    assert level_at(silence, 440) < 2
    assert forged >= 25
    assert replayed >= 50


FFMPEG = ("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-nostdin")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg speaks SRTP independently")
@pytest.mark.parametrize("suite", SUITES[:2])
async def test_ffmpeg_is_heard_and_hears(tmp_path: Path, suite: str) -> None:
    """One ffmpeg protects a tone, another opens what the core sends (it has no AES-GCM)."""
    async with (
        open_line(tmp_path / "spool", srtp="accept") as line,
        Softphone("alice", srtp=suite) as alice,
    ):
        room = await line.engine.create_room(rate_hz=RATE_HZ)
        talking, talker = await answered(line, alice, 440, media_port=40_610)
        hearing, hearer = await answered(line, alice, 440, media_port=40_620)
        for leg in (talker, hearer):
            await line.engine.join(leg, room)
        assert talking.srtp_key is not None
        assert hearing.stream._srtp is not None
        assert talking.stream.remote is not None
        core_key = hearing.stream._srtp[1].key
        host, port = talking.stream.remote
        described = tmp_path / "hear.sdp"
        described.write_text(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio 40620 RTP/SAVP 0\na=rtpmap:0 PCMU/8000\na=crypto:{core_key.to_line()}\n"
        )
        heard = tmp_path / "heard.wav"
        protocols = ("-protocol_whitelist", "file,udp,rtp,srtp")
        receiver = await asyncio.create_subprocess_exec(
            *FFMPEG, *protocols, "-i", str(described), "-t", "2", str(heard)
        )
        tone = ("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=8")
        codec = ("-af", "volume=4", "-ac", "1", "-c:a", "pcm_mulaw", "-f", "rtp")
        key = talking.srtp_key.to_line().split("inline:")[1]
        srtp = ("-srtp_out_suite", suite, "-srtp_out_params", key)
        url = f"srtp://{host}:{port}?localrtpport=40610&pkt_size=172"
        sender = await asyncio.create_subprocess_exec(*FFMPEG, *tone, *codec, *srtp, url)
        try:
            await asyncio.sleep(1.5)
            samples = await recorded(line, talker, 1.0)
            async with asyncio.timeout(10):
                await receiver.wait()
        finally:
            for process in (sender, receiver):
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        stats = line.engine.stats()

    assert level_at(samples, 440) > 2000
    assert level_at(decode_wav(heard)[-RATE_HZ:], 440) > 2000
    # Its reports have tags of 32 bits with the second suite; RFC 4568 §6.2 wants 80 there.
    assert stats["srtp_forged"] <= (suite == SUITES[1])
    assert stats["srtp_replayed"] == 0


async def test_new_keys_by_reinvite_lose_nothing(tmp_path: Path) -> None:
    async with (
        open_line(tmp_path / "spool", srtp="accept") as line,
        Softphone("alice", srtp=SUITES[2]) as alice,
    ):
        call, leg = await answered(line, alice, 440)
        await asyncio.sleep(0.3)
        folder = line.spool / "rekeyed"
        recorder = await line.engine.start_recording(
            RecorderSpec(folder=str(folder), format="wav", leg=leg)
        )
        first = call.srtp_key
        await asyncio.sleep(0.5)
        await call.renegotiate(new_key=True)
        await asyncio.sleep(0.7)
        await line.engine.stop_recording(recorder)
        await line.wait_for(RecordingFinished)
        heard_then = call.stream.packets_heard
        await asyncio.sleep(0.2)
        samples = decode_wav(folder / "audio.part")

    assert call.srtp_key != first
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    silent = np.count_nonzero(np.abs(frames).max(axis=1) < 1000)
    assert silent <= 5, f"{silent} frames of 20 ms"
    assert call.stream.packets_heard > heard_then
    assert call.stream.forged_heard == 0


async def test_keys_do_not_travel_over_plain_sip_unless_configured(tmp_path: Path) -> None:
    async with open_line(tmp_path / "spool") as line:
        (address,) = line.engine.sip_addresses
        async with Softphone("alice", srtp=SUITES[0]) as alice:
            with pytest.raises(CallRejected) as refused:
                await alice.call(f"sip:7001@{address}")
    assert refused.value.status == 488


async def test_a_core_that_requires_srtp_refuses_plain_calls_and_offers_keys(
    tmp_path: Path,
) -> None:
    async with open_line(tmp_path / "spool", srtp="require") as line:
        (address,) = line.engine.sip_addresses
        async with Softphone("alice") as alice:
            with pytest.raises(CallRejected) as refused:
                await alice.call(f"sip:7001@{address}")
            assert refused.value.status == 488

            leg = await line.engine.dial(
                DialSpec(uri=alice.uri, caller="tapeline", caller_name="", ring_limit_ms=5_000)
            )
            call = await (await alice.incoming()).answer(play=Tone(440))
            assert call.srtp_key is not None
            await asyncio.sleep(0.3)
            samples = await recorded(line, leg, 0.6)
            assert call.stream.packets_heard > 10
            assert call.stream.forged_heard == 0
            await call.hang_up()
            await line.wait_for(CallEnded)
    assert level_at(samples, 440) > 3500


async def test_no_key_is_seen_in_spool_signals_or_reprs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_line(tmp_path / "spool", srtp="accept") as line:
        async with Softphone("alice", srtp=SUITES[0]) as alice:
            call, leg = await answered(line, alice, 440)
            await recorded(line, leg, 0.2)
            assert call.srtp_key is not None
            assert call.stream._srtp is not None
            keys = [call.srtp_key, call.stream._srtp[1].key]
        seen = repr(line.signals) + repr(line.engine.stats()) + repr(keys)
    out, err = capfd.readouterr()
    files = b"".join(path.read_bytes() for path in line.spool.rglob("*") if path.is_file())
    for key in keys:
        text = key.to_line().split("inline:")[1]
        assert text not in seen + out + err
        assert text.encode() not in files
        assert key.master not in files


def test_the_phone_s_srtp_follows_the_roll_over() -> None:
    for suite in SUITES:
        key = SrtpKey.generate(suite)
        sender, receiver = SrtpSender(key), SrtpReceiver(key)
        for number in range(65_530, 65_560):
            sequence = number & 0xFFFF
            packet = b"\x80\x00" + sequence.to_bytes(2, "big") + bytes(8) + b"audio"
            protected = sender.protect(packet)
            assert receiver.open(protected) == packet
            assert receiver.open(protected[:-1] + bytes([protected[-1] ^ 1])) is None
