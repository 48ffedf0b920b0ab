"""The control socket: `DATA_DIR/control.sock` (0600), by which the command line talks to a running
node; `localnode.py` is its side. `POST /execute` runs any command of the domain, `GET /stats` are
the core's figures, `POST /sip-trace` gives the last SIP messages of a call.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tapeline.api.codec import CodecError, decode_command, encode
from tapeline.api.localnode import SOCKET_NAME
from tapeline.api.operations import Surroundings, read_body
from tapeline.domain.error import InternalFault, InvalidBody, TapelineError
from tapeline.domain.id import new_uuid
from tapeline.domain.signal import TracedMessage

Stats = Callable[[], Mapping[str, int]]
Trace = Callable[[str], Sequence[TracedMessage]]
"""By tapeline's id of a live call, or by SIP Call-ID."""


class LocalApp:
    """Who can open the socket may do everything: the file's mode is the lock."""

    def __init__(self, *, surroundings: Surroundings, stats: Stats, trace: Trace) -> None:
        self._with = surroundings
        self._stats = stats
        self._trace = trace

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
            case "POST", "/sip-trace":
                call = str(json.loads(await read_body(http)))
                return 200, {"messages": [asdict(message) for message in self._trace(call)]}
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
