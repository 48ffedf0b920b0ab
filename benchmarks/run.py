"""All figures of the README's table, one after the other: `make bench`."""

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FIGURES = (
    "conference.py",
    "latency.py",
    "capacity.py",
    "janus.py",
    "tick.py",
    "call_setup.py",
    "start_latency.py",
    "transcription.py",
    "kills.py",
    "recordings_at_once.py",
)


def output(*words: str) -> str:
    done = subprocess.run(words, cwd=HERE, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.processor()


def main() -> int:
    dirty = " with changes" if output("git", "status", "--porcelain") != "unknown" else ""
    print(f"commit {output('git', 'rev-parse', '--short', 'HEAD')}{dirty}")
    print(f"machine {processor()}, {platform.system()} {platform.release()}")
    print(f"Python {platform.python_version()}, {output('rustc', '--version')}")
    print(f"load before: {os.getloadavg()[0]:.2f}\n", flush=True)
    status = 0
    for figure in FIGURES:
        status |= subprocess.run([sys.executable, HERE / figure], check=False).returncode
        print(flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
