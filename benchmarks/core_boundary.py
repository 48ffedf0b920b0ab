"""What the core's boundary costs: start and stop of a recording as the event loop sees them, and
the CPU time of an event on its way from the core to a subscriber.

    uv run python benchmarks/core_boundary.py [--starts 300]
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np

from tapeline.domain.error import EngineFailed
from tapeline.domain.signal import LegHandle, RecorderSpec, RecordingFinished, RoomHandle, Signal
from tapeline.engine import CoreSettings
from tapeline.engine.core import CoreEngine
from tapeline.telemetry.bugs import Bugs

_NOBODY = LegHandle((1 << 32) + 4_000)
_BURST = 4_000
"""Commands handed over at once; the SIP thread's queue holds twice as many."""


async def measure_starts(engine: CoreEngine, spool: Path, count: int) -> None:
    """One recording after another, at random moments of the tick."""
    finished = asyncio.Event()

    def receive(signal: Signal) -> None:
        if isinstance(signal, RecordingFinished):
            finished.set()

    engine.subscribe(receive)
    room = await engine.create_room(rate_hz=8000)
    moments = np.random.default_rng(1)
    spans: dict[str, list[float]] = {"start": [], "stop": [], "finish": []}
    for number in range(count):
        finished.clear()
        await asyncio.sleep(moments.uniform(0, 0.02))
        spec = _spec(spool, number, room)
        begun = time.perf_counter()
        recorder = await engine.start_recording(spec)
        armed = time.perf_counter()
        await engine.stop_recording(recorder)
        stopped = time.perf_counter()
        await finished.wait()
        for name, span in (
            ("start", armed - begun),
            ("stop", stopped - armed),
            ("finish", time.perf_counter() - stopped),
        ):
            spans[name].append(span * 1000)
    for name, values in spans.items():
        p50, p99 = np.percentile(values, [50, 99])
        print(f"{name:8} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   max {max(values):6.1f} ms")


def _spec(spool: Path, number: int, room: RoomHandle) -> RecorderSpec:
    formats = ("wav", "mp3")
    return RecorderSpec(
        folder=str(spool / f"bench-{number}"), format=formats[number % len(formats)], room=room
    )


async def measure_events(engine: CoreEngine, bursts: int) -> None:
    """Commands that the core refuses: each is a hand-over, an event and a future."""
    used = time.thread_time()
    for _ in range(bursts):
        asked = [engine.ring(_NOBODY) for _ in range(_BURST)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        unexpected = [answer for answer in answers if not isinstance(answer, EngineFailed)]
        if unexpected:
            raise RuntimeError(f"the core did not refuse: {unexpected[0]!r}")
    each_us = (time.thread_time() - used) * 1e6 / (bursts * _BURST)
    print(f"command  {each_us:6.2f} us of the event loop's CPU, its answer and its task included")


async def main(starts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder)
        settings = CoreSettings(sip_udp=("127.0.0.1:0",), rtp_ports=(41_000, 41_999), spool=spool)
        engine = CoreEngine.build(settings, bugs=Bugs())
        engine.start()
        try:
            await measure_starts(engine, spool, starts)
            await measure_events(engine, bursts=20)
        finally:
            await engine.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=300)
    asyncio.run(main(parser.parse_args().starts))
