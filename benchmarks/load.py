"""A node under load: its participants, their rooms and recordings, and what the phones heard."""

import asyncio
import base64
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
from node_cpu import by_thread, pin, prefer, spent_between

from tapeline.api.dialect import Dialect, fill, find_dialects
from tapeline.api.localnode import LocalNode
from tapeline.domain.command import ListRecordings, RecordingView
from tapeline.testing import ServedNode, Softphone

TICKS_PER_S = 50
SETTLE_S = 3.0
NODE_CORE, LOAD_CORE = 0, 1
DIALS_AT_ONCE = 20
PAGE = 50
ROOT = Path(__file__).parent.parent
TROUBLES = ("lost", "late", "silent", "deaf_phones", "refused", "misheard", "pulses_missed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    participants: int
    seconds: int
    room_size: int = 10
    recorded_as: str | None = "mp3"
    """Format of one recording a room; None: nothing is recorded."""
    pulses: bool = False
    """The phones measure latency instead of listening to each other."""
    codec: str = "PCMU"
    """Or opus."""
    one_talks: bool = False
    """Of each room; else all of them."""
    srtp: str | None = None
    """The suite that calls offer."""

    @property
    def name(self) -> str:
        talkers = "one of each" if self.one_talks else "all"
        codec = f"{self.codec}, SRTP" if self.srtp else self.codec
        who = f"{self.participants} {codec} participants in rooms of {self.room_size}"
        return f"{who}, {talkers} talking"

    @property
    def words(self) -> list[str]:
        """For the load generator, behind its numbers."""
        named = (("pulses", self.pulses), ("opus", self.codec == "opus"))
        return [word for word, is_meant in (*named, ("one-talks", self.one_talks)) if is_meant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    load: Load
    spent_ns: Mapping[str, int]
    """CPU of the node by thread, in the measured span."""
    heard: Mapping[str, int]
    """What the load generator printed."""
    core: Mapping[str, int]
    """Growth of the node's counters in the measured span."""
    recordings: int
    faulty_recordings: int

    def us_per_tick(self, nanoseconds: int) -> float:
        """Microseconds per participant and tick of 20 ms."""
        return nanoseconds / 1000 / (self.load.participants * self.load.seconds * TICKS_PER_S)

    @property
    def total_us(self) -> float:
        return self.us_per_tick(sum(self.spent_ns.values()))

    @property
    def troubles(self) -> list[str]:
        """Any of them makes the figures void."""
        found = [f"{name} {self.heard[name]}" for name in TROUBLES if self.heard[name]]
        found += [f"{n} {self.core[n]}" for n in ("ticks_skipped",) if self.core.get(n)]
        if self.faulty_recordings:
            found.append(f"faulty recordings {self.faulty_recordings}")
        return found


async def run(load: Load) -> Outcome:
    """A node on one core, the phones on another. Raises SystemExit for what cannot be measured."""
    if load.participants % load.room_size:
        raise SystemExit("every room is full: participants are a multiple of the room's size")
    binary = await asyncio.to_thread(build_example, "rtp_load")
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as folder:
        settings = {"log_level": "warning", "rtp_ports": "20000-29999"}
        if load.srtp:
            settings["sdes_over_plain_sip"] = "true"
        async with ServedNode(Path(folder) / "data", settings) as node:
            phones = await asyncio.create_subprocess_exec(
                str(binary),
                str(load.participants),
                str(int(load.seconds + 2 * SETTLE_S)),
                str(load.room_size),
                *load.words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            pin(node.process_id, NODE_CORE)
            pin(phones.pid, LOAD_CORE)
            prefer(phones.pid)
            try:
                return await _measure(node, phones, load)
            finally:
                if phones.returncode is None:
                    phones.kill()


def build_example(name: str) -> Path:
    """An example's binary; cargo decides whether anything must be built."""
    words = ["cargo", "build", "--release", "--locked", "--message-format=json", "--quiet"]
    words += ["--manifest-path", "core/Cargo.toml", "-p", "tapeline-core", "--example", name]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        if found.get("target", {}).get("name") == name and found.get("executable"):
            return Path(found["executable"])
    raise SystemExit(f"cargo built no {name}")


async def _measure(node: ServedNode, phones: asyncio.subprocess.Process, load: Load) -> Outcome:
    assert phones.stdin is not None  # noqa: S101 - it is a pipe
    assert phones.stdout is not None  # noqa: S101
    ports = [int(await phones.stdout.readline()) for _ in range(load.participants)]
    async with Softphone("bench", srtp=load.srtp) as phone:
        peers = await _dial(node, phone, ports, load)
        if load.recorded_as is not None:
            await _record(node, load.participants // load.room_size, load.recorded_as)
        phones.stdin.write("".join(f"{peer}\n" for peer in peers).encode())
        await phones.stdin.drain()
        await asyncio.sleep(SETTLE_S)
        before, stats_before = by_thread(node.process_id), await _stats(node)
        await asyncio.sleep(load.seconds)
        spent = spent_between(before, by_thread(node.process_id))
        stats = await _stats(node)
        heard = json.loads(await phones.stdout.readline())
    views = await _recordings(node)
    return Outcome(
        load=load,
        spent_ns=spent,
        heard=heard,
        core={name: value - stats_before.get(name, 0) for name, value in stats.items()},
        recordings=len(views),
        faulty_recordings=sum(view.recording.health_words != "ok" for view in views),
    )


async def _recordings(node: ServedNode) -> list[RecordingView]:
    local = LocalNode(node.data_dir)
    found: list[RecordingView] = []
    while True:
        page = await local.execute(ListRecordings(limit=PAGE, offset=len(found)))
        found += page.views
        if len(page.views) < PAGE:
            return found


async def _dial(node: ServedNode, phone: Softphone, ports: list[int], load: Load) -> list[str]:
    """One call a port; for each a line of the load generator: where it must send, and its keys."""
    gate = asyncio.Semaphore(DIALS_AT_ONCE)

    async def one(number: int, port: int) -> str:
        async with gate:
            uri = node.sip_uri(f"room-{number // load.room_size}")
            dialled = phone.dial(uri, play=None, media_port=port, media_codec=load.codec)
            call = await dialled.answered()
        if call.stream.remote is None:
            raise SystemExit("the node answered without audio")
        host, to_port = call.stream.remote
        if load.srtp is None:
            return f"{host}:{to_port}"
        if call.srtp_key is None or call.peer_key is None:
            raise SystemExit("the node answered without SRTP")
        keys = (base64.b64encode(key.master).decode() for key in (call.srtp_key, call.peer_key))
        return " ".join((f"{host}:{to_port}", load.srtp, *keys))

    return list(await asyncio.gather(*(one(n, port) for n, port in enumerate(ports))))


async def _record(node: ServedNode, rooms: int, recorded_as: str) -> None:
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
                "format": recorded_as,
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
