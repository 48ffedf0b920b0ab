"""Files for calls to hear, over real sockets on loopback: what is fetched, repeated, refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.bad_server import Misbehaviour, answer, bad_server, say_nothing

from tapeline.control.sounds import Sounds
from tapeline.domain.error import DestinationFault, SynthesiserFailed
from tapeline.domain.sound import Fetched, Given, Spoken
from tapeline.net import Destinations, GuardedClient, Limits

QUICK = Limits(connect_timeout_ms=500, read_timeout_ms=200, total_ms=2_000, body_bytes=100_000)
SOUND = bytes(range(256)) * 100
GOOD = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 25600\r\n\r\n" + SOUND)


class Speaker:
    """Speaks by writing the words down."""

    async def speak(self, text: str, out: Path, *, voice: str, language: str) -> None:
        if not text:
            raise SynthesiserFailed("nothing to say")
        await asyncio.to_thread(out.write_text, f"{voice} {language} {text}")


@pytest.fixture
async def sounds(tmp_path: Path) -> AsyncIterator[Sounds]:
    async with GuardedClient(Destinations(["127.0.0.0/8"])) as client:
        yield Sounds(client, Speaker(), tmp_path, limits=QUICK)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Counted:
    """The first `failures` connections meet `bad`, the others are answered."""

    def __init__(self, bad: Misbehaviour, failures: int) -> None:
        self.connections = 0
        self._bad, self._failures = bad, failures

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        behave = self._bad if self.connections <= self._failures else GOOD
        await behave(reader, writer)


async def fetched(sounds: Sounds, port: int) -> bytes:
    async with sounds.file(Fetched(f"http://127.0.0.1:{port}/hello.wav")) as path:
        return path.read_bytes()


BUSY = answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
CUT = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 25600\r\n\r\nhalf of it")


@pytest.mark.parametrize("bad", [say_nothing, BUSY, CUT])
async def test_a_server_that_fails_once_is_asked_again(
    sounds: Sounds, tmp_path: Path, bad: Misbehaviour
) -> None:
    server = Counted(bad, 1)

    async with bad_server(server) as port:
        assert await fetched(sounds, port) == SOUND

    assert server.connections == 2
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("bad", "asked"),
    [
        (BUSY, 2),
        (CUT, 2),
        (answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno."), 1),
        (answer(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), 1),
    ],
)
async def test_what_cannot_be_fetched_leaves_nothing_behind(
    sounds: Sounds, tmp_path: Path, bad: Misbehaviour, asked: int
) -> None:
    server = Counted(bad, 9)

    async with bad_server(server) as port:
        with pytest.raises(DestinationFault):
            await fetched(sounds, port)

    assert server.connections == asked
    assert files(tmp_path) == []


async def test_words_are_files_for_as_long_as_they_are_heard(
    sounds: Sounds, tmp_path: Path
) -> None:
    async with sounds.file(Spoken(text="Hello", voice="WOMAN")) as path:
        assert path.read_text() == "WOMAN en-US Hello"
    async with sounds.file(Given(b"RIFF")) as path:
        assert path.read_bytes() == b"RIFF"
    with pytest.raises(SynthesiserFailed):
        async with sounds.file(Spoken(text="")):
            pass

    assert files(tmp_path) == []


async def test_what_a_dead_process_left_goes_first(tmp_path: Path) -> None:
    (tmp_path / "sound-old").write_bytes(b"left")
    (tmp_path / "rec-1").mkdir()

    async with GuardedClient(Destinations()) as client:
        Sounds(client, Speaker(), tmp_path)

    assert files(tmp_path) == ["rec-1"]
