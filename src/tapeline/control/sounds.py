"""Files to be played: fetched from the customer's server, or spoken; gone once they were heard.
What is too long for a file is relayed while it is heard.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tapeline.control.soundstream import relayed
from tapeline.domain.delivery import Failure, OutgoingRequest
from tapeline.domain.error import (
    CannotBeSpoken,
    DestinationFault,
    EngineFailed,
    SynthesiserFailed,
)
from tapeline.domain.id import new_uuid
from tapeline.domain.port import Synthesiser
from tapeline.domain.signal import PlayedTone
from tapeline.domain.sound import Fetched, Given, Sound, Spoken
from tapeline.net import GuardedClient, Limits, RequestFailed

FETCH = Limits(
    connect_timeout_ms=2_000,  # contract §6: fixed, as the single second try is
    read_timeout_ms=120_000,
    total_ms=300_000,
    body_bytes=64 * 1024 * 1024,
)
TRIES = 2
UNKNOWN_LENGTH_MS = 2_000
"""Of what does not tell its length, and takes longer, nobody knows whether it ends."""
FETCHES_AT_ONCE = 32
"""Each may hold 64 MB of disk; further ones wait."""
_PREFIX = "sound-"
_OK = 200
_SERVER_ERROR = 500
_FINAL = frozenset({Failure.INVALID_URL, Failure.REFUSED_DESTINATION, Failure.TOO_LARGE})

BEEP = (PlayedTone(first_hz=1_000, on_ms=250),)
RING_BACK = (PlayedTone(first_hz=425, on_ms=1_000, off_ms=4_000),)
"""ITU-T E.180: what most of the world hears while it rings."""


NOT_HEARD = (DestinationFault, CannotBeSpoken, SynthesiserFailed, EngineFailed, OSError)
"""Why a sound may not be had or not be played, which is no bug of ours."""


class NoSounds:
    """Implements `domain.port.SoundSource` where no node runs."""

    @asynccontextmanager
    async def file(self, sound: Sound) -> AsyncIterator[Path]:
        raise EngineFailed("play", f"no node runs that could play a {type(sound).__name__}")
        yield Path()


class Sounds:
    """Implements `domain.port.SoundSource` with temporary files in `folder`; `node` makes it. What
    a dead process left there goes first.
    """

    def __init__(
        self,
        client: GuardedClient,
        synthesiser: Synthesiser,
        folder: Path,
        *,
        limits: Limits = FETCH,
        unknown_length_ms: int = UNKNOWN_LENGTH_MS,
    ) -> None:
        self._client = client
        self._synthesiser = synthesiser
        self._folder = folder
        self._limits = limits
        self._unknown_length_ms = unknown_length_ms
        self._room = asyncio.Semaphore(FETCHES_AT_ONCE)
        for left in folder.glob(f"{_PREFIX}*"):
            left.unlink(missing_ok=True)

    @asynccontextmanager
    async def file(self, sound: Sound) -> AsyncIterator[Path]:
        with self._temporary() as path:
            try:
                await self._write(sound, path)
            except RequestFailed as error:
                if error.failure is not Failure.TOO_LARGE or not isinstance(sound, Fetched):
                    raise
            else:
                yield path
                return
            path.unlink()
            async with relayed(self._client, sound.url, path) as stream:
                yield stream

    async def _write(self, sound: Sound, path: Path) -> None:
        match sound:
            case Fetched(url):
                async with self._room:
                    await self._fetch(url, path)
            case Given(content):
                await asyncio.to_thread(path.write_bytes, content)
            case Spoken(text=text, voice=voice, language=language):
                await self._synthesiser.speak(text, path, voice=voice, language=language)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        path = self._folder / f"{_PREFIX}{new_uuid()}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    async def _fetch(self, url: str, path: Path) -> None:
        """Nothing but 200 is a sound. Raises DestinationFault."""
        request = OutgoingRequest(method="GET", url=url, headers={}, body=b"")
        for tried in range(1, TRIES + 1):
            try:
                status = await self._client.download(
                    request,
                    path,
                    limits=self._limits,
                    unknown_length_ms=self._unknown_length_ms,
                )
            except RequestFailed as error:
                if tried == TRIES or error.failure in _FINAL:
                    raise
            else:
                if status == _OK:
                    return
                if tried == TRIES or status < _SERVER_ERROR:
                    raise DestinationFault(url, f"answered {status} instead of 200")
