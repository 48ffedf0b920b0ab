"""CPU per participant and tick: rooms of ten, all talking, every room recorded to MP3."""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import aiohttp
from node_cpu import by_thread, pin, spent_between

from tapeline.api.dialect import Dialect, fill, find_dialects
from tapeline.api.localnode import LocalNode
from tapeline.domain.command import ListRecordings
from tapeline.testing import ServedNode, Softphone

ROOM_SIZE = 10
TICKS_PER_S = 50
SETTLE_S = 3.0
NODE_CORE, LOAD_CORE = 0, 1
DIALS_AT_ONCE = 20
ROOT = Path(__file__).parent.parent


def build_load() -> Path:
    """The load generator's binary; cargo decides whether anything must be built."""
    words = ["cargo", "build", "--release", "--locked", "--message-format=json", "--quiet"]
    words += ["--manifest-path", "core/Cargo.toml", "-p", "tapeline-core", "--example", "rtp_load"]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        if found.get("target", {}).get("name") == "rtp_load" and found.get("executable"):
            return Path(found["executable"])
    raise SystemExit("cargo built no rtp_load")


async def run(participants: int, seconds: int) -> int:
    load_binary = await asyncio.to_thread(build_load)
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as folder:
        settings = {"log_level": "warning", "rtp_ports": "20000-29999"}
        async with ServedNode(Path(folder) / "data", settings) as node:
            load = await asyncio.create_subprocess_exec(
                str(load_binary), str(participants), str(int(seconds + 2 * SETTLE_S)),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            pin(node.process_id, NODE_CORE)
            pin(load.pid, LOAD_CORE)
            try:
                return await _measure(node, load, participants, seconds)
            finally:
                if load.returncode is None:
                    load.kill()


async def _measure(
    node: ServedNode, load: asyncio.subprocess.Process, participants: int, seconds: int
) -> int:
    assert load.stdin is not None  # noqa: S101 - it is a pipe
    assert load.stdout is not None  # noqa: S101
    ports = [int(await load.stdout.readline()) for _ in range(participants)]
    async with Softphone("bench") as phone:
        peers = await _dial(node, phone, ports)
        rooms = -(-participants // ROOM_SIZE)
        await _record(node, rooms)
        load.stdin.write("".join(f"{host}:{port}\n" for host, port in peers).encode())
        await load.stdin.drain()
        await asyncio.sleep(SETTLE_S)
        before, stats_before = by_thread(node.process_id), await _stats(node)
        await asyncio.sleep(seconds)
        spent = spent_between(before, by_thread(node.process_id))
        stats = await _stats(node)
        heard = json.loads(await load.stdout.readline())
    recordings = (await LocalNode(node.data_dir).execute(ListRecordings(limit=100))).views
    ticks = participants * seconds * TICKS_PER_S
    total = sum(spent.values()) / 1000 / ticks
    print(f"{participants} PCMU participants in rooms of {ROOM_SIZE}, all talking, {seconds} s;")
    print(f"{len(recordings)} MP3 recordings")
    for name, nanoseconds in spent.items():
        if nanoseconds > 0:
            print(f"  {name:<20} {nanoseconds / 1000 / ticks:7.3f} µs")
    print(f"  {'all threads':<20} {total:7.3f} µs per participant and 20 ms tick")
    print(f"  load: {heard}")
    moved = {k: v - stats_before.get(k, 0) for k, v in stats.items() if "late" in k or "skip" in k}
    print(f"  core: {moved}")
    troubles = [key for key in ("lost", "silent", "deaf_phones", "refused") if heard[key]]
    if troubles:
        print(f"  FAILED: {', '.join(troubles)}: the figure does not count")
    return 1 if troubles else 0


async def _dial(node: ServedNode, phone: Softphone, ports: list[int]) -> list[tuple[str, int]]:
    """One call a port; where each must send."""
    gate = asyncio.Semaphore(DIALS_AT_ONCE)

    async def one(number: int, port: int) -> tuple[str, int]:
        async with gate:
            uri = node.sip_uri(f"room-{number // ROOM_SIZE}")
            call = await phone.dial(uri, play=None, media_port=port).answered()
        if call.stream.remote is None:
            raise SystemExit("the node answered without audio")
        return call.stream.remote

    return list(await asyncio.gather(*(one(n, port) for n, port in enumerate(ports))))


async def _record(node: ServedNode, rooms: int) -> None:
    """Each room's recording is started by the request of the default dialect's demo row."""
    account, dialect = node.first_account(), _dialect()
    row = dialect.demo
    async with aiohttp.ClientSession() as client:
        for number in range(rooms):
            values = {
                "auth_id": account.auth_id,
                "auth_token": account.auth_token,
                "api_key": account.api_key,
                "conference": quote(str(number)),
                "callback_url": node.http_url,
                "format": "mp3",
            }
            headers = {k: fill(v, values) for k, v in row.headers.items()}
            url = node.http_url + fill(row.start_path, values)
            async with client.request(
                row.start_method, url, data=fill(row.start_body, values), headers=headers
            ) as response:
                if not response.ok:
                    raise SystemExit(f"{response.status} {await response.text()}")


def _dialect() -> Dialect:
    return next(iter(find_dialects().values()))


async def _stats(node: ServedNode) -> dict[str, int]:
    return dict(await LocalNode(node.data_dir).stats())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    return asyncio.run(run(options.participants, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
