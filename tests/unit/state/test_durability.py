"""What was answered is on the disk: a node killed at any moment keeps every answered write."""

import subprocess
import sys
from pathlib import Path

from tests.contract import stores

CHILD = """
import asyncio, pathlib, sys
from tests.contract import stores

async def main():
    store = await stores.open_sqlite(pathlib.Path(sys.argv[1]))
    await store.write(stores.add_basics)

    async def add(n):
        await store.write(lambda tx: tx.calls.add(stores.call(f"kill-{n}")))
        print(n, flush=True)

    for start in range(0, 100_000, 8):
        await asyncio.gather(*(add(n) for n in range(start, start + 8)))

asyncio.run(main())
"""


def written_until_killed(folder: Path) -> set[str]:
    """The calls whose write was answered before the node was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        answered = [child.stdout.readline() for _ in range(200)]
        child.kill()
        answered += child.stdout.read().splitlines(keepends=True)
    return {f"kill-{int(line)}" for line in answered if line.endswith(b"\n")}


async def test_every_answered_write_outlives_kill_9(tmp_path: Path) -> None:
    answered = written_until_killed(tmp_path)

    store = await stores.open_sqlite(tmp_path)
    calls = await store.read(lambda tx: tx.calls.list(None, only_live=False, limit=200_000))
    await store.close()
    assert len(answered) >= 200
    assert answered <= {call.id for call in calls}
