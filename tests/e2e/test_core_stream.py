"""The core alone: a station that is heard while it is fetched, and tones that nobody fetches."""

import asyncio
from pathlib import Path

from tests.contract.bad_server import bad_server
from tests.contract.test_sounds import Speaker
from tests.e2e.line import open_line
from tests.e2e.rawphone import RATE_HZ, RawPhone, level_at, tone
from tests.e2e.test_core_call_audio import write_wav

from tapeline.control.sounds import Sounds
from tapeline.domain.signal import PlayedTone, PlayFinished, PlaySpec
from tapeline.domain.sound import Fetched
from tapeline.net import Destinations, GuardedClient

PIECE = 3_200


def endless_wav(path: Path) -> bytes:
    """Ten seconds of one whose head does not know how long it is."""
    whole = Path(write_wav(path, tone(2000, seconds=10.0))).read_bytes()
    return whole[:40] + b"\xff\xff\xff\xff" + whole[44:]


async def test_a_station_is_heard_while_it_is_fetched_and_then_tones(tmp_path: Path) -> None:
    music = endless_wav(tmp_path / "music.wav")
    sent = 0

    async def station(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for at in range(0, len(music), PIECE):
            writer.write(music[at : at + PIECE])
            await writer.drain()
            sent += PIECE
            await asyncio.sleep(0.1)

    (tmp_path / "sounds").mkdir()
    async with (
        open_line(tmp_path / "spool") as line,
        bad_server(station) as port,
        GuardedClient(Destinations(["127.0.0.0/8"])) as client,
    ):
        engine = line.engine
        (address,) = engine.sip_addresses
        sounds = Sounds(client, Speaker(), tmp_path / "sounds", unknown_length_ms=200)
        room = await engine.create_room(rate_hz=RATE_HZ)
        async with RawPhone(address) as phone:
            caller = await line.call(phone, room)
            async with sounds.file(Fetched(f"http://127.0.0.1:{port}/")) as path:
                await engine.play(PlaySpec(path=str(path), leg=caller.leg))
                await phone.say(tone(440, seconds=1.5))
                await engine.stop_plays(leg=caller.leg)
                stopped = await line.wait_for(PlayFinished)
            music_heard = phone.heard
            beep = PlayedTone(first_hz=1500, on_ms=500, level_db=-12)
            await engine.play(PlaySpec(tones=(beep,), leg=caller.leg))
            await phone.say(tone(440, seconds=0.8))
            completed = await line.wait_for(PlayFinished, count=2)
            await asyncio.gather(engine.hang_up(caller.leg), phone.answer_bye())
        await engine.close_room(room)

    assert (stopped.reason, completed.reason) == ("stopped", "completed")
    assert sent < len(music) // 2
    assert level_at(music_heard[-RATE_HZ // 2 :], 2000) > 4000
    assert level_at(phone.heard[len(music_heard) :], 1500) > 2000
