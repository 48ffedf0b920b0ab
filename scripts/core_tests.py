"""The core's tests: its test programs two at a time, because most of their time is real time; then,
one by one, those that measure time.
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CORE = Path(__file__).parent.parent / "core"
ALONE = {"record_disks", "record_faults", "record_kills"}
AT_ONCE = 2
SLOWEST = 5


def programs() -> list[tuple[str, Path, Path]]:
    """Name, program and the folder that it runs in. Raises SystemExit when it does not compile."""
    words = ["cargo", "test", "--locked", "--quiet", "--no-run", "--message-format=json"]
    done = subprocess.run(words, cwd=CORE, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    found = []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["profile"]["test"]:
            folder = Path(message["manifest_path"]).parent
            found.append((message["target"]["name"], Path(message["executable"]), folder))
    return found


def run(program: tuple[str, Path, Path]) -> tuple[str, float, bool]:
    name, path, folder = program
    begun = time.monotonic()
    done = subprocess.run(
        [path, "--quiet"],
        cwd=folder,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(f"\n{name} failed:\n{done.stdout}", flush=True)
    return name, time.monotonic() - begun, done.returncode == 0


def main() -> int:
    found = programs()
    together = [program for program in found if program[0] not in ALONE]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, together))
    results += [run(program) for program in found if program[0] in ALONE]
    failed = [name for name, _, is_ok in results if not is_ok]
    slowest = sorted(results, key=lambda result: -result[1])[:SLOWEST]
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds, _ in slowest)
    print(f"core: {len(results)} test programs, {len(failed)} failed; slowest: {times}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
