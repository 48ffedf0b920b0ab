"""HTTP servers inside our own event loop: started, stopped and signalled by us alone."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG = 1_024
MAX_HEAD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 15.0
MAX_CONNECTIONS = 4_096
"""Beyond them, requests are answered 503."""


class _BoundedProtocol(HttpToolsProtocol):
    """A request's head (line and headers) is bounded in bytes and time; the connection closes."""

    _head_bytes = 0
    _is_in_head = True
    _is_head_alone = True
    """Whether nothing but a head has come in this read."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_in_head and self._deadline is None:
            self._expect_head()
        # What ends a body in this read is no head; what follows it there is bounded by the read.
        self._is_head_alone = self._is_in_head
        super().data_received(data)
        if self._is_head_alone:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

    def on_headers_complete(self) -> None:
        self._is_in_head = self._is_head_alone = False
        self._head_bytes = 0
        self._forget_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_head = True
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process has one owner of signals, and it is not this server."""
        yield


class HttpServer:
    """One application on one listening socket.

    `bind` first, so that a taken port is an OSError to whoever starts the node.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket, *, grace_s: int = 5) -> None:
        self._socket = listening
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                http=_BoundedProtocol,
                ws="none",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=grace_s,
                limit_concurrency=MAX_CONNECTIONS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Of a TCP server."""
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        """Returns when connections are taken."""
        self._task = asyncio.create_task(
            self._server.serve(sockets=[self._socket]), name="http server"
        )
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTP server ended while it started")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Takes no more connections, lets requests finish within the grace, then returns."""
        if self._task is None:
            self._socket.close()
            return
        self._server.should_exit = True
        await self._task
        self._task = None


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
