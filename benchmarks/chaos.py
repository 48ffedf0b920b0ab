"""The chaos test at its full length: 200 recordings, twenty kills of the node at seeded moments, a
store that refuses at first, a receiver that flaps.

`python benchmarks/chaos.py [ROUNDS [ROOMS]]` (20 10). CHAOS_SEED repeats a run.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

TEST = Path(__file__).parent.parent / "tests" / "e2e" / "chaos"
ROUNDS, ROOMS = 20, 10


def main(rounds: int, rooms: int) -> int:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", str(TEST)],
        cwd=TEST.parents[2],
        env={**os.environ, "CHAOS_ROUNDS": str(rounds), "CHAOS_ROOMS": str(rooms)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        return 1
    print(
        f"{rounds * rooms} recordings, {rounds} kills: none lost, none twice, each told "
        f"({time.monotonic() - began:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(given + [ROUNDS, ROOMS][len(given) :])))
