"""Latency that a room adds: from a talker's packet in to a listener's packet out; all recorded."""

import argparse
import asyncio
import sys

from load import Load, run

CONCEALED_LIMIT = 0.001


async def measure(participants: int, seconds: int) -> int:
    outcome = await run(Load(participants=participants, seconds=seconds, pulses=True))
    heard = outcome.heard
    p50, p99, worst = (heard[f"latency_{name}_us"] / 1000 for name in ("p50", "p99", "max"))
    concealed = outcome.core.get("frames_concealed", 0) / max(outcome.core["rtp_received"], 1)
    print(f"{participants} participants in rooms of 10, recorded, {heard['pulses']} pulses:")
    print(f"  p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.1f} ms (20 ms are the packet grid)")
    late = outcome.core.get("ticks_late", 0)
    print(f"  {concealed:.3%} of the packets concealed, {late} ticks late")
    troubles = [*outcome.troubles]
    if concealed > CONCEALED_LIMIT:
        troubles.append("concealment")
    if troubles:
        print(f"  FAILED: {', '.join(troubles)}: the figure does not count")
    return 1 if troubles else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, action="append")
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    counts = options.participants or [150, 1_000]
    return max(asyncio.run(measure(count, options.seconds)) for count in counts)


if __name__ == "__main__":
    sys.exit(main())
