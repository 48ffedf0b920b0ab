"""What `kill -9` costs: seeded random moments over WAV and MP3, mono, stereo and tracks, several
recordings a process; each file repaired and played by ffmpeg, soxi or ffprobe, and `wave`.

`python benchmarks/kills.py [RECORDINGS]` (500). KILL_SEED repeats a run. Prints the table's row.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

MANIFEST = Path(__file__).parent.parent / "core" / "Cargo.toml"
RECORDINGS = 500
RESULT = re.compile(
    r"(?P<killed>\d+) recordings killed: "
    r"(?P<median>\d+) ms lost in the median, (?P<most>\d+) at most"
)


def main(recordings: int) -> int:
    command = [
        "cargo", "test", "--release", "--quiet", "--manifest-path", str(MANIFEST),
        "--test", "record_kills", "--", "--nocapture",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env={**os.environ, "KILLS": str(recordings)},
        check=False,
        capture_output=True,
        text=True,
    )
    found = RESULT.search(done.stdout)
    if done.returncode or found is None:
        print(done.stdout, done.stderr, file=sys.stderr)
        return 1
    print(
        f"| `kill -9` during {found['killed']} recordings | tail lost: **{found['median']} ms** "
        f"in the median, {found['most']} ms at most; every file played | 500, 1,000 |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDINGS))
