"""A running node as the command line sees it: commands through `DATA_DIR/control.sock`.

Without the HTTP server's imports: a command must answer at once.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp

from tapeline.api.codec import decode, encode_command, outcome_kind
from tapeline.domain import error as errors
from tapeline.domain.command import Command
from tapeline.domain.error import TapelineError, Unavailable
from tapeline.domain.signal import TracedMessage

SOCKET_NAME = "control.sock"
CALL_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
OutcomeT = TypeVar("OutcomeT")


class LocalNode:
    """Has `execute` as the control plane itself."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / SOCKET_NAME

    async def is_there(self) -> bool:
        """Whether a node listens."""
        try:
            await self.stats()
        except Unavailable:
            return False
        return True

    async def execute(self, command: Command[OutcomeT]) -> OutcomeT:
        """Raises the TapelineError that the node met, Unavailable when there is no node."""
        kind: Any = outcome_kind(cast("Any", type(command)))
        body = await self._call("POST", "/execute", encode_command(command))
        return cast("OutcomeT", decode(kind, body["outcome"], "outcome"))

    async def stats(self) -> Mapping[str, int]:
        stats: Mapping[str, int] = (await self._call("GET", "/stats", None))["stats"]
        return stats

    async def sip_trace(self, call: str) -> list[TracedMessage]:
        """The last SIP messages of a call; none of one that is unknown, or forgotten."""
        body = await self._call("POST", "/sip-trace", call)
        return [TracedMessage(**message) for message in body["messages"]]

    async def _call(self, method: str, path: str, body: object) -> dict[str, Any]:
        async def exchange(client: aiohttp.ClientSession) -> dict[str, Any]:
            async with client.request(method, f"http://node{path}", json=body) as response:
                answer: dict[str, Any] = json.loads(await response.content.read(MAX_ANSWER_BYTES))
                return answer

        answer = await self._with_client(exchange)
        if "error" in answer:
            raise _raised(answer["error"]["type"], answer["error"]["message"])
        return answer

    async def _with_client(
        self, exchange: Callable[[aiohttp.ClientSession], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        connector = aiohttp.UnixConnector(str(self._path))
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
                return await exchange(client)
        except (OSError, TimeoutError, aiohttp.ClientError, json.JSONDecodeError) as error:
            raise Unavailable(f"no node answers at {self._path}: {error}") from error


def _raised(name: str, message: str) -> TapelineError:
    """The node's error as its own kind; its fields stay there, its text comes over."""
    kind = getattr(errors, name, TapelineError)
    if not (isinstance(kind, type) and issubclass(kind, TapelineError)):
        kind = TapelineError
    raised: TapelineError = kind.__new__(kind)
    raised.args = (message,)
    return raised
