"""The embedded HTTP server, over loopback: what it bounds, how it stops."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send
from tests.unit.api.things import MemoryControl, make_app

from tapeline.api import server as module
from tapeline.api.server import HttpServer, bind_tcp

LIMIT_S = 10.0


async def exchange(port: int, sent: bytes, *, ends: bool = False) -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if ends:
        writer.write_eof()
    try:
        async with asyncio.timeout(LIMIT_S):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer(make_app(MemoryControl()), bind_tcp("127.0.0.1", 0), grace_s=1)
    await server.start()
    yield server.port
    await server.stop()


def get(target: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n"


async def test_requests_are_answered(port: int) -> None:
    answer = await exchange(port, get(b"/healthz"))

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize(
    "sent",
    [
        get(b"/api/v1/\xff\xfe"),
        get(b"*"),
        get(b"http://["),
        b"CONNECT host:1 HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: -5\r\n\r\n",
    ],
)
async def test_what_is_no_request_harms_nobody(port: int, sent: bytes) -> None:
    answer = await exchange(port, sent, ends=True)

    assert answer == b"" or b" 4" in answer.splitlines()[0]
    assert (await exchange(port, get(b"/healthz"))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [b"GET /" + b"a" * 1_000_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200_000],
)
async def test_a_head_without_end_closes_the_connection(port: int, head: bytes) -> None:
    assert b" 200" not in await exchange(port, head)


async def count_body(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers how long the body was."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d bytes" % length})


CHUNKS = b"".join(b"8000\r\n" + bytes(0x8000) + b"\r\n" for _ in range(10)) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Content-Length: 327680", bytes(327_680)),
        (b"Transfer-Encoding: chunked", CHUNKS),
    ],
)
async def test_the_bound_of_a_head_does_not_concern_the_body(header: bytes, body: bytes) -> None:
    server = HttpServer(count_body, bind_tcp("127.0.0.1", 0), grace_s=1)
    await server.start()
    head = b"POST / HTTP/1.1\r\nHost: n\r\nConnection: close\r\n" + header + b"\r\n\r\n"

    answer = await exchange(server.port, head + body)
    await server.stop()

    assert b"327680 bytes" in answer


async def test_a_silent_connection_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_TIMEOUT_S", 0.05)

    assert await exchange(port, b"") == b""
    assert await exchange(port, b"GET / HT") == b""


async def test_a_running_request_is_finished_before_the_server_stops() -> None:
    entered, released = asyncio.Event(), asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        entered.set()
        await released.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    server = HttpServer(slow, bind_tcp("127.0.0.1", 0))
    await server.start()
    asking = asyncio.create_task(exchange(server.port, get(b"/")))
    await entered.wait()

    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    released.set()

    assert (await asking).endswith(b"done\r\n0\r\n\r\n")
    await stopping


async def test_a_taken_port_is_an_oserror() -> None:
    with (
        bind_tcp("127.0.0.1", 0) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        bind_tcp("127.0.0.1", taken.getsockname()[1])


async def test_a_server_that_never_started_stops() -> None:
    await HttpServer(make_app(MemoryControl()), bind_tcp("127.0.0.1", 0)).stop()
