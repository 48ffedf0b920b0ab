"""A web server on loopback that stands for a customer's: it records every request, and answers as
told.

    async with Receiver() as receiver:
        receiver.script("/done", refuse(2))           # 503 twice, then 200
        receiver.script("/answer", Answer(body=document, content_type="application/xml"))
        ...
        request = await receiver.wait_for("/done", count=3)
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

MOST_REQUESTS = 100_000
LONGEST_BODY = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came; header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    arrived_unix_us: int

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def fields(self) -> dict[str, Any]:
        """The body or the query, whatever it was sent as."""
        if self.method == "GET":
            return dict(self.query)
        is_json = self.headers.get("content-type", "").startswith("application/json")
        return dict(self.json()) if is_json else dict(self.form())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to answer: after `delay_s`; `drops` closes the connection instead."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drops: bool = False


FINE = Answer()


def refuse(times: int, *, status: int = 503, then: Answer = FINE) -> tuple[Answer, ...]:
    """`status` so many times, then `then` for ever."""
    return (*(Answer(status=status) for _ in range(times)), then)


class Receiver:
    """Listens on a free loopback port; `url(path)` is where."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.port = 0
        self.requests: list[Received] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._arrived = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LONGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.address, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, path: str = "/") -> str:
        return f"http://{self.address}:{self.port}{path}"

    def script(self, path: str, *answers: Answer) -> None:
        """Answers for a path, one a request; the last one stays. Others get an empty 200."""
        self._scripts[path] = list(answers)

    def received(self, path: str) -> list[Received]:
        return [request for request in self.requests if request.path == path]

    async def wait_for(self, path: str, *, count: int = 1, timeout_s: float = 10.0) -> Received:
        """The `count`-th request to a path. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(found := self.received(path)) < count:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            seen = [f"{r.method} {r.path}" for r in self.requests]
            raise TimeoutError(f"no request {count} to {path}; came: {seen}") from None
        return found[count - 1]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        received = Received(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            arrived_unix_us=time.time_ns() // 1000,
        )
        if len(self.requests) < MOST_REQUESTS:
            self.requests.append(received)
        self._arrived.set()
        script = self._scripts.get(request.path, [])
        answer = (script.pop(0) if len(script) > 1 else script[0]) if script else FINE
        await asyncio.sleep(answer.delay_s)
        if answer.drops and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=answer.status,
            body=answer.body,
            content_type=answer.content_type,
            headers=answer.headers,
        )
