"""A core without a node: its engine, what it signals, and how a test phone calls it."""

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from tests.e2e.rawphone import RATE_HZ, RawPhone, Samples

from tapeline.domain.signal import CallArrived, RoomHandle, Signal
from tapeline.engine import Access, CoreSettings
from tapeline.engine.core import CoreEngine
from tapeline.telemetry.bugs import Bugs

SignalT = TypeVar("SignalT")
_LIMIT_S = 5.0


class Line:
    """A running engine and everything it has signalled."""

    def __init__(self, engine: CoreEngine, spool: Path) -> None:
        self.engine = engine
        self.spool = spool
        self.signals: list[Signal] = []
        self._came = asyncio.Event()
        engine.subscribe(self._receive)

    def _receive(self, signal: Signal) -> None:
        self.signals.append(signal)
        self._came.set()

    async def wait_for(self, kind: type[SignalT], *, count: int = 1) -> SignalT:
        """The `count`-th signal of that kind since the start."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                found = [signal for signal in self.signals if isinstance(signal, kind)]
                if len(found) >= count:
                    return found[count - 1]
                self._came.clear()
                await self._came.wait()

    async def call(self, phone: RawPhone, room: RoomHandle, *, count: int = 1) -> CallArrived:
        """Brings a phone into a room; `count` is which call it is."""
        await phone.invite("7001")
        arrived = await self.wait_for(CallArrived, count=count)
        await self.engine.ring(arrived.leg)
        await self.engine.answer(arrived.leg)
        await phone.accept()
        await self.engine.join(arrived.leg, room)
        return arrived


@asynccontextmanager
async def open_line(
    spool: Path, *, address: str = "127.0.0.1", srtp: str = ""
) -> AsyncIterator[Line]:
    """Nothing is left of any call at its end, and nothing panicked. With `srtp` (a policy) its keys
    may travel over UDP.
    """
    host = f"[{address}]" if ":" in address else address
    settings = CoreSettings(
        sip_udp=(f"{host}:0",),
        rtp_ports=(42_000, 42_999),
        spool=spool,
        access=Access(networks=("127.0.0.0/8", "::1")),
        realtime=False,
        srtp=srtp or "accept",
        sdes_over_plain_sip=bool(srtp),
    )
    engine = CoreEngine.build(settings, bugs=Bugs())
    line = Line(engine, spool)
    engine.start()
    yield line
    await engine.stop()
    assert engine.stats()["legs"] == 0
    assert engine.stats()["rooms"] == 0
    assert engine.stats()["recorders"] == 0
    assert engine.stats()["caught_panics"] == 0


def decode_wav(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE_HZ, 1)
        frames = file.readframes(file.getnframes())
    return np.frombuffer(frames, "<i2").astype(np.float64)
