"""CPU per call: set up, joined to a room, torn down, all its rows written; driven by SIPp."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from node_cpu import by_thread, pin, spent_between

from tapeline.testing import ServedNode

SCENARIO = Path(__file__).parent.parent / "tests" / "e2e" / "sipp" / "call.xml"
NODE_CORE, LOAD_CORE = 0, 1
WARM_UP_CALLS = 50


async def sipp(node: ServedNode, folder: Path, count: int, rate: int) -> bool:
    """Whether every call went as its scenario says."""
    host, port = node.sip_address
    process = await asyncio.create_subprocess_exec(
        "sipp", f"{host}:{port}", "-sf", str(SCENARIO), "-s", "room-bench", "-i", host,
        "-m", str(count), "-r", str(rate), "-nostdin", "-timeout", "120",
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    pin(process.pid, LOAD_CORE)
    return await process.wait() == 0


async def run(count: int, rate: int) -> int:
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as name:
        folder = Path(name)
        async with ServedNode(folder / "data", {"log_level": "warning"}) as node:
            pin(node.process_id, NODE_CORE)
            await sipp(node, folder, WARM_UP_CALLS, rate)
            before = by_thread(node.process_id)
            is_fine = await sipp(node, folder, count, rate)
            await asyncio.sleep(1)
            spent = spent_between(before, by_thread(node.process_id))
    print(f"{count} calls of 300 ms into one room, {rate} a second")
    for thread, nanoseconds in spent.items():
        if nanoseconds > 0:
            print(f"  {thread:<20} {nanoseconds / 1e6 / count:7.3f} ms")
    print(f"  {'all threads':<20} {sum(spent.values()) / 1e6 / count:7.3f} ms CPU per call")
    if not is_fine:
        print("  FAILED: not every call went through; the figure does not count")
    return 0 if is_fine else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rate", type=int, default=50)
    options = parser.parse_args()
    return asyncio.run(run(options.calls, options.rate))


if __name__ == "__main__":
    sys.exit(main())
