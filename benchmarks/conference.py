"""CPU per participant and tick, by thread: rooms of ten, all talking, every room recorded."""

import argparse
import asyncio
import sys

from load import Load, Outcome, run


def show(outcome: Outcome) -> int:
    load = outcome.load
    recorded = f"{outcome.recordings} recordings ({load.recorded_as})"
    print(f"{load.name},")
    print(f"{load.seconds} s; {recorded if load.recorded_as else 'not recorded'}")
    for name, nanoseconds in outcome.spent_ns.items():
        if nanoseconds > 0:
            print(f"  {name:<20} {outcome.us_per_tick(nanoseconds):7.3f} µs")
    print(f"  {'all threads':<20} {outcome.total_us:7.3f} µs per participant and 20 ms tick")
    late = outcome.core.get("ticks_late", 0)
    print(f"  {outcome.heard['sampled']} phones heard just the others; {late} ticks late")
    if outcome.troubles:
        print(f"  FAILED: {', '.join(outcome.troubles)}: the figure does not count")
    return 1 if outcome.troubles else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--room-size", type=int, default=10)
    parser.add_argument("--format", choices=("wav", "mp3", "none"), action="append")
    options = parser.parse_args()
    status = 0
    for recorded_as in options.format or ["wav", "mp3"]:
        load = Load(
            participants=options.participants,
            seconds=options.seconds,
            room_size=options.room_size,
            recorded_as=None if recorded_as == "none" else recorded_as,
        )
        status |= show(asyncio.run(run(load)))
    return status


if __name__ == "__main__":
    sys.exit(main())
