"""A node of its own for a test: `tapeline serve` in a process, on free loopback ports, with its own
data folder.

    async with ServedNode(tmp_path / "data") as node:
        account = node.first_account()
        call = await phone.call(node.sip_uri("room-standup"), play=Tone(440))
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

ADDRESS = "127.0.0.1"
RTP_FIRST, RTP_LAST, RTP_SHARE = 20_000, 29_999, 1_000
START_S, STOP_S, COMMAND_S = 30.0, 30.0, 30.0
ENTRY = "from tapeline.cli import main; main()"
OK = 200


class NodeTrouble(Exception):
    """The node, or a command beside it, did not do what it should; the message has its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAccount:
    """What requests of one account prove themselves with."""

    auth_id: str
    auth_token: str = field(repr=False)
    api_key: str = field(repr=False)


class ServedNode:
    """Start, kill, stop and start again: ports and data folder stay the same.

    `settings` are `TAPELINE_…` variables without their prefix, in lower case. Loopback may be
    called by HTTP unless they say otherwise.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.http_port = _free_port(socket.SOCK_STREAM)
        self.sip_port = _free_port(socket.SOCK_DGRAM)
        first = random.randrange(RTP_FIRST, RTP_LAST - RTP_SHARE, RTP_SHARE)
        self._settings = {
            "data_dir": str(data_dir),
            "http_bind": f"{ADDRESS}:{self.http_port}",
            "sip_udp": f"{ADDRESS}:{self.sip_port}",
            "rtp_address": ADDRESS,
            "rtp_ports": f"{first}-{first + RTP_SHARE - 1}",
            "outgoing_allow": "127.0.0.0/8",
            "log_format": "json",
            **(settings or {}),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def http_url(self) -> str:
        return f"http://{ADDRESS}:{self.http_port}"

    @property
    def sip_address(self) -> tuple[str, int]:
        return (ADDRESS, self.sip_port)

    @property
    def process_id(self) -> int:
        """Raises NodeTrouble when it does not run."""
        if self._process is None:
            raise NodeTrouble("the node does not run")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".log")

    def sip_uri(self, user: str) -> str:
        return f"sip:{user}@{ADDRESS}:{self.sip_port}"

    def log_text(self) -> str:
        """Everything that the node wrote to its standard streams, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def faults(self) -> list[str]:
        """Lines of the log that mean a bug of the node's own: unexpected exceptions, panics."""
        words = ("unexpected_exception", "panicked at", "caught_panic", "Traceback (most")
        return [line for line in self.log_text().splitlines() if any(w in line for w in words)]

    async def start(self) -> None:
        """Returns when calls can come in. Raises NodeTrouble with the log's end."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_command("serve"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        try:
            async with asyncio.timeout(START_S), aiohttp.ClientSession() as client:
                while not await self._is_ready(client):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.kill()
            raise NodeTrouble(f"the node was not ready in time:\n{self._log_end()}") from None

    async def stop(self) -> int:
        """SIGTERM, then waits for the clean end; the exit status. Raises NodeTrouble."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: what a crash or an out-of-memory kill is to a node."""
        await self._end(signal.SIGKILL)

    def first_account(self) -> NodeAccount:
        """The account that a first start makes, with its ready room. Raises NodeTrouble."""
        path = self.data_dir / "first-account.json"
        try:
            found = json.loads(path.read_text())
        except OSError as error:
            raise NodeTrouble(f"no first account: {error}") from error
        return _account(found)

    async def create_account(self, name: str) -> NodeAccount:
        return _account(await self.command("account", "create", "--name", name))

    async def command(self, *words: str) -> Any:
        """A `tapeline` command beside the node, with `--json`. Raises NodeTrouble."""
        process = await asyncio.create_subprocess_exec(
            *_command(*words, "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment(),
        )
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate()
        if process.returncode:
            raise NodeTrouble(f"tapeline {' '.join(words)}: {err.decode().strip()}")
        return json.loads(out)

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
        return kept | {f"TAPELINE_{key.upper()}": v for key, v in self._settings.items()}

    async def _is_ready(self, client: aiohttp.ClientSession) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise NodeTrouble(f"the node ended with {self._process.returncode}:\n{self._log_end()}")
        try:
            async with client.get(f"{self.http_url}/readyz") as response:
                return response.status == OK
        except aiohttp.ClientError:
            return False

    async def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise NodeTrouble(f"the node did not stop in time:\n{self._log_end()}") from None

    def _log_end(self) -> str:
        return "\n".join(self.log_text().splitlines()[-30:])


def _command(*words: str) -> list[str]:
    """This very environment's `tapeline`, whatever the path is."""
    return [sys.executable, "-c", ENTRY, *words]


def _account(found: Mapping[str, str]) -> NodeAccount:
    return NodeAccount(
        auth_id=found["auth_id"], auth_token=found["auth_token"], api_key=found["api_key"]
    )


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((ADDRESS, 0))
        return int(sock.getsockname()[1])
