"""How many recorded participants one core carries without a gap: the next larger run fails."""

import argparse
import asyncio
import sys

from conference import show
from load import Load, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, action="append")
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    carried = 0
    for count in options.participants or [1_000, 1_500, 2_000, 2_500]:
        load = Load(participants=count, seconds=options.seconds, recorded_as="mp3")
        if show(asyncio.run(run(load))):
            break
        carried = count
    print(f"one core carries {carried} recorded participants")
    return 0 if carried else 1


if __name__ == "__main__":
    sys.exit(main())
