"""What a participant costs the audio thread, by codec: the tick in virtual time, without sockets.

Beside CPU time the instructions, which repeat on a noisy machine (needs `valgrind`).
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from load import build_example

TICKS, COUNTED_TICKS = 1_000, 100
WARM_UP_TICKS = 100
"""The harness runs them first; the instructions are counted from its start."""
CASES = {
    "PCMU, rooms of 10, all talk, recorded": ("pcmu", 10, 10, 1),
    "G.722, rooms of 10, all talk, recorded": ("g722", 10, 10, 1),
    "Opus, rooms of 5, one talks, recorded": ("opus", 5, 1, 1),
    "Opus, rooms of 5, all talk, recorded": ("opus", 5, 5, 1),
    "Opus, one room of 500, one talks": ("opus", 500, 1, 0),
}
PARTICIPANTS = 500


def words(case: tuple[str, int, int, int], ticks: int) -> list[str]:
    codec, legs, talkers, recordings = case
    options = {
        "rooms": PARTICIPANTS // legs, "legs": legs, "codec": codec, "talkers": talkers,
        "recordings": recordings, "ticks": ticks,
    }  # fmt: skip
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def instructions(binary: Path, case: tuple[str, int, int, int]) -> float:
    """Per participant and tick."""
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as folder:
        out = Path(folder) / "callgrind"
        tool = ["valgrind", "--tool=callgrind", "--toggle-collect=*Tick::run*"]
        subprocess.run(
            [*tool, f"--callgrind-out-file={out}", binary, *words(case, COUNTED_TICKS)],
            check=True,
            capture_output=True,
        )
        totals = [line for line in out.read_text().splitlines() if line.startswith("totals:")]
    return int(totals[0].split()[1]) / (PARTICIPANTS * (WARM_UP_TICKS + COUNTED_TICKS))


def run(binary: Path, case: tuple[str, int, int, int], ticks: int) -> dict[str, float]:
    done = subprocess.run([binary, *words(case, ticks)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    binary = build_example("tick_harness")
    has_valgrind = shutil.which("valgrind") is not None
    print("the tick alone, per participant and 20 ms:")
    status = 0
    for name, case in CASES.items():
        found = run(binary, case, TICKS)
        line = f"  {name:<40} {found['us_per_participant_tick']:7.3f} µs"
        if has_valgrind:
            line += f", {instructions(binary, case):8,.0f} instructions"
        if found["packets_missing"]:
            line += f"; FAILED: {found['packets_missing']} packets missing"
            status = 1
        print(line, flush=True)
    if not has_valgrind:
        print("  instructions: skipped, valgrind is not installed")
    return status


if __name__ == "__main__":
    sys.exit(main())
