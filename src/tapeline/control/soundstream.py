"""Sounds that are longer than can be kept, or have no end: relayed while they are heard.

The core plays what it reads from a socket in the node's folder, as fast as it is heard; this end
fetches no faster than the socket takes it. So neither disk nor memory grows with a station's hours.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tapeline.domain.delivery import OutgoingRequest
from tapeline.net import GuardedClient, Limits, RequestFailed
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

STREAM = Limits(
    connect_timeout_ms=2_000,
    read_timeout_ms=30_000,
    total_ms=24 * 3_600 * 1_000,
    body_bytes=None,
)
_OK = 200
_LISTENERS = 64
_BREATH_S = 0.1
"""Between two that begin: a short stream that is repeated asks its server ten times a second."""


@asynccontextmanager
async def relayed(client: GuardedClient, url: str, path: Path) -> AsyncIterator[Path]:
    """A path that the core can play: each time it does, the URL is fetched from its beginning.
    Raises OSError.
    """
    with _listening(path) as (listener, short_path):
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(_serve(client, listener, url), name="relay a sound")
            try:
                yield short_path
            finally:
                serving.cancel()


@contextmanager
def _listening(path: Path) -> Iterator[tuple[socket.socket, Path]]:
    """A socket at `path`, and a path to it that has fewer than 108 characters (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short_path = Path(f"/proc/self/fd/{folder}/{path.name}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(short_path))
            short_path.chmod(0o600)
            listener.setblocking(False)
            listener.listen(_LISTENERS)
            yield listener, short_path
    finally:
        os.close(folder)


async def _serve(client: GuardedClient, listener: socket.socket, url: str) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as relays:
        while True:
            reader, _ = await loop.sock_accept(listener)
            relays.create_task(_relay(client, reader, url), name="relay a sound")
            await asyncio.sleep(_BREATH_S)


class _NobodyHears(Exception):
    pass


async def _relay(client: GuardedClient, reader: socket.socket, url: str) -> None:
    """The core greets with one byte: read, the sound has come to its end; left unread, it sees that
    the connection was reset, and fails.
    """
    loop = asyncio.get_running_loop()

    async def put(piece: bytes) -> None:
        try:
            await loop.sock_sendall(reader, piece)
        except OSError as error:
            raise _NobodyHears from error

    with reader:
        reader.setblocking(False)
        request = OutgoingRequest(method="GET", url=url, headers={}, body=b"")
        try:
            status = await client.relay(request, put, limits=STREAM)
        except _NobodyHears:
            return
        except RequestFailed as error:
            _log.warning("sound_broke_off", reason=str(error))
            return
        if status == _OK:
            with suppress(OSError):  # nobody hears the end
                await loop.sock_recv(reader, 1)
        else:
            _log.warning("sound_not_there", reason=f"answered {status} instead of 200")
