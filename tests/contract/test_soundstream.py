"""Sounds without end or too long for a file, over real sockets, read as the core does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.contract.bad_server import Misbehaviour, answer, bad_server, flood
from tests.contract.test_sounds import Speaker, files

from tapeline.control.sounds import Sounds
from tapeline.domain.sound import Fetched
from tapeline.net import Destinations, GuardedClient, Limits

QUICK = Limits(connect_timeout_ms=500, read_timeout_ms=500, total_ms=5_000, body_bytes=50_000)
LONG = bytes(range(256)) * 1_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 256000\r\n\r\n"


@pytest.fixture
async def sounds(tmp_path: Path) -> AsyncIterator[Sounds]:
    async with GuardedClient(Destinations(["127.0.0.0/8"])) as client:
        yield Sounds(client, Speaker(), tmp_path, limits=QUICK, unknown_length_ms=200)


class Core:
    """The core's side of one time that a sound is heard."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def hears(cls, path: Path) -> AsyncIterator["Core"]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, str(path))
            await loop.sock_sendall(connection, b"\0")
            yield cls(connection)

    async def read(self, count: int) -> bytes:
        """Fewer only at the end. Raises ConnectionResetError where the sound broke off."""
        heard = bytearray()
        while len(heard) < count:
            piece = await asyncio.get_running_loop().sock_recv(self._connection, count - len(heard))
            if not piece:
                break
            heard += piece
        return bytes(heard)


def url(port: int) -> Fetched:
    return Fetched(f"http://127.0.0.1:{port}/radio")


async def test_a_long_sound_is_heard_whole_each_time_and_keeps_nothing(
    sounds: Sounds, tmp_path: Path
) -> None:
    async with bad_server(answer(HEAD + LONG)) as port, sounds.file(url(port)) as path:
        assert path.is_socket()
        assert path.stat().st_mode & 0o777 == 0o600
        for _ in range(2):
            async with Core.hears(path) as core:
                assert await core.read(300_000) == LONG
        async with Core.hears(path) as one, Core.hears(path) as other:
            assert await one.read(1_000) == await other.read(1_000) == LONG[:1_000]

    assert files(tmp_path) == []


async def test_a_station_is_fetched_no_faster_than_it_is_heard(sounds: Sounds) -> None:
    sent = 0

    async def station(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async def settled() -> int:
        """What was sent when nothing more is."""
        while True:
            before = sent
            await asyncio.sleep(0.5)
            if sent == before:
                return sent

    async with bad_server(station) as port, sounds.file(url(port)) as path:
        async with Core.hears(path) as core:
            heard = 0
            for _ in range(3):
                heard += len(await core.read(5_000_000))
                # What the sockets hold, not what the station has.
                assert await settled() < heard + 16_000_000
        assert heard == 15_000_000


@pytest.mark.parametrize(
    ("bad", "heard"),
    [
        (answer(HEAD + LONG[:100_000]), 100_000),
        (answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno."), 0),
    ],
)
async def test_a_sound_that_breaks_off_is_told_from_one_that_ends(
    sounds: Sounds, bad: Misbehaviour, heard: int
) -> None:
    behave = flood

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await behave(reader, writer)

    async with bad_server(server) as port, sounds.file(url(port)) as path:
        behave = bad
        async with Core.hears(path) as core:
            assert await core.read(heard) == LONG[:heard]
            with pytest.raises(ConnectionResetError):
                await core.read(1)


async def test_what_tells_no_length_and_ends_soon_is_a_file(sounds: Sounds, tmp_path: Path) -> None:
    soon = answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nshort")
    async with bad_server(soon) as port, sounds.file(url(port)) as path:
        assert path.is_file()
        assert path.read_bytes() == b"short"
    assert files(tmp_path) == []


async def test_what_tells_no_length_and_goes_on_is_no_file(sounds: Sounds) -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with (
        bad_server(trickle) as port,
        sounds.file(url(port)) as path,
        Core.hears(path) as core,
    ):
        assert await core.read(5) == b"xxxxx"
