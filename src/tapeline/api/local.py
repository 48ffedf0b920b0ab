"""The control socket: `DATA_DIR/control.sock` (0600), by which the command line talks to a running
node. `POST /execute` runs any command of the domain; `GET /stats` are the core's figures.
"""

import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tapeline.api.codec import (
    CodecError,
    decode,
    decode_command,
    encode,
    encode_command,
    outcome_kind,
)
from tapeline.api.operations import Surroundings, read_body
from tapeline.domain import error as errors
from tapeline.domain.command import Command
from tapeline.domain.error import InternalFault, InvalidBody, TapelineError, Unavailable
from tapeline.domain.id import new_uuid

SOCKET_NAME = "control.sock"
CALL_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
OutcomeT = TypeVar("OutcomeT")

Stats = Callable[[], Mapping[str, int]]


class LocalApp:
    """Who can open the socket may do everything: the file's mode is the lock."""

    def __init__(self, *, surroundings: Surroundings, stats: Stats) -> None:
        self._with = surroundings
        self._stats = stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive)
        try:
            status, body = await self._serve(http)
        except (CodecError, ValueError) as error:
            status, body = 400, _failure(InvalidBody(str(error)))
        except TapelineError as error:
            status, body = 422, _failure(error)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - a bug of ours
            reference = new_uuid()
            self._with.report_fault(f"control socket {reference}", error)
            status, body = 500, _failure(InternalFault(reference))
        await JSONResponse(body, status)(scope, receive, send)

    async def _serve(self, http: Request) -> tuple[int, dict[str, Any]]:
        match http.method, http.scope["path"]:
            case "POST", "/execute":
                command = decode_command(json.loads(await read_body(http)))
                return 200, {"outcome": encode(await self._with.control.execute(command))}
            case "GET", "/stats":
                return 200, {"stats": dict(self._stats())}
            case _:
                return 404, _failure(InvalidBody("there is nothing at this address"))


def _failure(error: TapelineError) -> dict[str, Any]:
    return {"error": {"type": type(error).__name__, "message": str(error)}}


def bind_control_socket(data_dir: Path) -> socket.socket:
    """Replaces what a dead node left; only its owner can open it. Raises OSError."""
    path = data_dir / SOCKET_NAME
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


class LocalNode:
    """The client side: has `execute` as the control plane itself."""

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
