"""What ten mono recordings of one room cost the media thread, beside one: below 1.3 times its CPU.

`python benchmarks/recordings_at_once.py`. Prints the table's row.
"""

import re
import subprocess
import sys
from pathlib import Path

MANIFEST = Path(__file__).parent.parent / "core" / "Cargo.toml"
RESULT = re.compile(
    r"(?P<none>[\d.]+) unrecorded, (?P<one>[\d.]+) with one\s+recording, "
    r"(?P<ten>[\d.]+) with ten: (?P<ratio>[\d.]+) times; (?P<tracks>[\d.]+) with one and its tracks"
)


def main() -> int:
    command = [
        "cargo", "run", "--release", "--quiet", "--manifest-path", str(MANIFEST),
        "--package", "tapeline-core", "--example", "recordings_at_once",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found = RESULT.search(done.stdout)
    if done.returncode or found is None:
        print(done.stdout, done.stderr, file=sys.stderr)
        return 1
    print(
        f"| media thread, a room of 10 talkers recorded ten times at once | "
        f"**{found['ratio']} times** the CPU of one ({found['one']} to {found['ten']} us a tick); "
        f"{found['tracks']} us with one and its tracks | < 1.3 |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
