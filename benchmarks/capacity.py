"""How many recorded participants one core carries without a gap: the next larger run fails. PCMU in
rooms of ten that all talk; `--srtp` the same protected; `--opus` in rooms of five with one talker.
"""

import argparse
import asyncio
import sys

from conference import show
from load import Load, run

SUITE = "AES_CM_128_HMAC_SHA1_80"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, action="append")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--srtp", action="store_true")
    parser.add_argument("--opus", action="store_true")
    options = parser.parse_args()
    carried = 0
    for count in options.participants or [1_000, 1_500, 2_000, 2_500]:
        load = Load(
            participants=count,
            seconds=options.seconds,
            room_size=5 if options.opus else 10,
            recorded_as="mp3",
            codec="opus" if options.opus else "PCMU",
            one_talks=options.opus,
            srtp=SUITE if options.srtp else None,
        )
        if show(asyncio.run(run(load))):
            break
        carried = count
    print(f"one core carries {carried} recorded participants")
    return 0 if carried else 1


if __name__ == "__main__":
    sys.exit(main())
