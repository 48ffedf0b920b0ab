"""Files to be played: fetched from the customer's server, or spoken; gone once they were heard."""

import asyncio
import math
import struct
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tapeline.domain.delivery import Failure, OutgoingRequest
from tapeline.domain.error import DestinationFault
from tapeline.domain.id import new_uuid
from tapeline.domain.port import Synthesiser
from tapeline.net import GuardedClient, Limits, RequestFailed

FETCH = Limits(
    connect_timeout_ms=2_000,  # contract §6: fixed, as the single second try is
    read_timeout_ms=120_000,
    total_ms=300_000,
    body_bytes=64 * 1024 * 1024,
)
TRIES = 2
FETCHES_AT_ONCE = 32
"""Each may hold 64 MB of disk; further ones wait."""
_PREFIX = "sound-"
_OK = 200
_SERVER_ERROR = 500
_FINAL = frozenset({Failure.INVALID_URL, Failure.REFUSED_DESTINATION, Failure.TOO_LARGE})
_RATE_HZ = 8_000
_LOUDNESS = 3_300
"""-20 dBov."""


@dataclass(frozen=True, slots=True)
class Tone:
    hertz: int
    on_ms: int
    off_ms: int


BEEP = Tone(1_000, 250, 0)
RING_BACK = Tone(425, 1_000, 4_000)
"""ITU-T E.180: what most of the world hears while it rings."""


class SoundSource(Protocol):
    """Each gives a WAV or MP3 file that is there until the context ends."""

    def fetched(self, url: str) -> AbstractAsyncContextManager[Path]:
        """Raises DestinationFault, OSError."""

    def spoken(self, text: str, *, voice: str, language: str) -> AbstractAsyncContextManager[Path]:
        """Raises SynthesiserFailed, OSError."""

    def tone(self, tone: Tone) -> AbstractAsyncContextManager[Path]:
        """Raises OSError."""


class Sounds:
    """Implements SoundSource with temporary files in `folder`; `node` makes it. What a dead
    process left there goes first.
    """

    def __init__(
        self,
        client: GuardedClient,
        synthesiser: Synthesiser,
        folder: Path,
        *,
        limits: Limits = FETCH,
    ) -> None:
        self._client = client
        self._synthesiser = synthesiser
        self._folder = folder
        self._limits = limits
        self._room = asyncio.Semaphore(FETCHES_AT_ONCE)
        for left in folder.glob(f"{_PREFIX}*"):
            left.unlink(missing_ok=True)

    @asynccontextmanager
    async def fetched(self, url: str) -> AsyncIterator[Path]:
        with self._temporary() as path:
            async with self._room:
                await self._fetch(url, path)
            yield path

    @asynccontextmanager
    async def spoken(self, text: str, *, voice: str, language: str) -> AsyncIterator[Path]:
        with self._temporary() as path:
            await self._synthesiser.speak(text, path, voice=voice, language=language)
            yield path

    @asynccontextmanager
    async def tone(self, tone: Tone) -> AsyncIterator[Path]:
        with self._temporary() as path:
            await asyncio.to_thread(write_tone, path, tone)
            yield path

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
                status = await self._client.download(request, path, limits=self._limits)
            except RequestFailed as error:
                if tried == TRIES or error.failure in _FINAL:
                    raise
            else:
                if status == _OK:
                    return
                if tried == TRIES or status < _SERVER_ERROR:
                    raise DestinationFault(url, f"answered {status} instead of 200")


def write_tone(path: Path, tone: Tone) -> None:
    """One period of it."""
    on, off = (_RATE_HZ * ms // 1_000 for ms in (tone.on_ms, tone.off_ms))
    turn = 2 * math.pi * tone.hertz / _RATE_HZ
    samples = [round(_LOUDNESS * math.sin(turn * n)) for n in range(on)] + [0] * off
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE_HZ)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
