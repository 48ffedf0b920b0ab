"""The guarded HTTP client: everything that this node sends out goes through it.

Each connection's real address is checked at the moment of connecting, so neither a name that
resolves to a private address nor one that changes its mind gets through. Redirects come back as
answers, TLS is verified, names, heads, bodies and times are bounded, cookies and proxies unknown.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tapeline.domain.delivery import Failure, OutgoingRequest
from tapeline.domain.error import DestinationFault
from tapeline.net.destination import Destinations
from tapeline.net.resolver import BoundedResolver

ResultT = TypeVar("ResultT")

LONGEST_URL = 8_192
_READ_BYTES = 16_384
_MOST_HEADERS = 100
_LONGEST_HEADER = 8_190
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take. `body_bytes` None: the answer's body is not wanted."""

    connect_timeout_ms: int = 2_000
    read_timeout_ms: int = 40_000
    """To the first byte, and between packets."""
    total_ms: int = 55_000
    body_bytes: int | None = 100 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`headers` have lower-case names; of repeated ones the last."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]


class RequestFailed(DestinationFault):
    """There is no usable answer; `failure` says of which kind.

    `status` is set when a head came and only its body could not be used (TOO_LARGE).
    """

    def __init__(
        self, url: str, failure: Failure, reason: str, *, status: int | None = None
    ) -> None:
        self.failure = failure
        self.status = status
        super().__init__(url, reason)


class _Refused(OSError):
    """Raised where a socket would have been made."""


_refusals: ContextVar[list[str]] = ContextVar("refusals")


class GuardedClient:
    """`async with GuardedClient(Destinations(allow)) as client`; one for the whole node."""

    def __init__(self, destinations: Destinations, *, trust: ssl.SSLContext | None = None) -> None:
        """`trust`: other roots than the system's."""
        self._destinations = destinations
        self._resolver = BoundedResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=trust or ssl.create_default_context(),
                resolver=self._resolver,
                socket_factory=self._make_socket,
                limit=0,
                keepalive_timeout=15,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            max_headers=_MOST_HEADERS,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Requests under way end with RequestFailed."""
        await self._session.close()
        self._resolver.shutdown()

    async def send(self, request: OutgoingRequest, *, limits: Limits) -> Response:
        """One request, one answer of any status. Raises RequestFailed, nothing else."""

        async def read(answer: aiohttp.ClientResponse) -> Response:
            body = bytearray()
            if limits.body_bytes is not None:
                await _read(answer, limits.body_bytes, body.extend)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(status=answer.status, body=bytes(body), headers=headers)

        return await self._answer(request, limits, read)

    async def download(
        self,
        request: OutgoingRequest,
        out: Path,
        *,
        limits: Limits,
        unknown_length_ms: int | None = None,
    ) -> int:
        """The answer's status; with 200 its body becomes the file `out`, which may hold a part of
        it after a failure. Raises RequestFailed; OSError when the file cannot be made.

        A body whose length the head does not tell fails as TOO_LARGE when it takes longer than
        `unknown_length_ms`: it may have no end.
        """

        async def read(answer: aiohttp.ClientResponse) -> int:
            if answer.status == _OK:
                most, length = limits.body_bytes or 0, answer.content_length
                if length is not None and length > most:
                    raise _TooLarge(most, answer.status)
                if length is None and unknown_length_ms is not None:
                    await _read_soon(answer, most, file.write, unknown_length_ms)
                else:
                    await _read(answer, most, file.write)
            return answer.status

        # Chunks of 16 KB go to the page cache: microseconds, less than a thread's turn.
        with out.open("wb") as file:
            return await self._answer(request, limits, read)

    async def relay(
        self,
        request: OutgoingRequest,
        put: Callable[[bytes], Awaitable[None]],
        *,
        limits: Limits,
    ) -> int:
        """The answer's status; with 200 its body, of any length, goes to `put` in pieces of at most
        16 KB, each read when the last was taken. Raises RequestFailed, and what `put` raises.
        """

        async def read(answer: aiohttp.ClientResponse) -> int:
            if answer.status == _OK:
                async for piece in answer.content.iter_chunked(_READ_BYTES):
                    await put(piece)
            return answer.status

        return await self._answer(request, limits, read)

    async def _answer(
        self,
        request: OutgoingRequest,
        limits: Limits,
        read: Callable[[aiohttp.ClientResponse], Awaitable[ResultT]],
    ) -> ResultT:
        url = check_url(request.url)
        refused: list[str] = []
        token = _refusals.set(refused)
        try:
            async with asyncio.timeout(limits.total_ms / 1000):
                return await self._exchange(url, request, limits, read)
        except _TooLarge as error:
            raise RequestFailed(
                request.url, Failure.TOO_LARGE, str(error), status=error.status
            ) from error
        except (aiohttp.ClientError, OSError, ValueError, ssl.SSLError) as error:
            failure, reason = _classify(error)
            if refused and failure is Failure.CONNECT:
                failure, reason = Failure.REFUSED_DESTINATION, refused[0]
            raise RequestFailed(request.url, failure, reason) from error
        finally:
            _refusals.reset(token)

    async def _exchange(
        self,
        url: URL,
        request: OutgoingRequest,
        limits: Limits,
        read: Callable[[aiohttp.ClientResponse], Awaitable[ResultT]],
    ) -> ResultT:
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=limits.connect_timeout_ms / 1000,
            sock_connect=limits.connect_timeout_ms / 1000,
            sock_read=limits.read_timeout_ms / 1000,
        )
        async with self._session.request(
            request.method,
            url,
            data=request.body or None,
            headers={"Accept-Encoding": "identity", **request.headers},
            allow_redirects=False,
            timeout=timeout,
        ) as answer:
            return await read(answer)

    def _make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        """Called with what is about to be connected to: the last word on where that is."""
        family, kind, protocol, _, target = address
        reason = self._destinations.refusal(str(target[0]))
        if reason is not None:
            refused = _refusals.get(None)
            if refused is not None:
                refused.append(f"nothing is sent to {reason} (outgoing_allow)")
            raise _Refused(reason)
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def check_url(text: str) -> URL:
    """The URL to ask, without its fragment. Raises RequestFailed(INVALID_URL)."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise RequestFailed(text, Failure.INVALID_URL, str(error)) from error
    wrong = None
    if len(text) > LONGEST_URL:
        wrong = f"longer than {LONGEST_URL} characters"
    elif any(ord(c) <= 0x20 or ord(c) == 0x7F or c == "\\" for c in text):  # noqa: PLR2004
        wrong = "contains a space, a control character or a backslash"
    elif parts.scheme not in {"http", "https"}:
        wrong = "not http or https"
    elif not parts.hostname:
        wrong = "no host"
    elif "@" in parts.netloc:
        wrong = "contains user information"
    elif parts.port == 0:
        wrong = "port 0"
    if wrong is not None:
        raise RequestFailed(text[:200], Failure.INVALID_URL, f"invalid URL: {wrong}")
    try:
        # Percent-escapes go out as the customer wrote them: signatures cover these characters.
        whole = parts._replace(fragment="").geturl()
        return URL(whole, encoded=whole.isascii())
    except ValueError as error:
        raise RequestFailed(text[:200], Failure.INVALID_URL, f"invalid URL: {error}") from error


async def _read(answer: aiohttp.ClientResponse, most: int, put: Callable[[bytes], object]) -> None:
    """The whole body. Raises _TooLarge past `most` bytes, whatever the head promised."""
    size = 0
    async for chunk in answer.content.iter_chunked(_READ_BYTES):
        size += len(chunk)
        if size > most:
            raise _TooLarge(most, answer.status)
        put(chunk)


async def _read_soon(
    answer: aiohttp.ClientResponse, most: int, put: Callable[[bytes], object], within_ms: int
) -> None:
    """As `_read`; raises _TooLarge also for a body that is not over by then."""
    limit = asyncio.timeout(within_ms / 1000)
    try:
        async with limit:
            await _read(answer, most, put)
    except TimeoutError:
        if limit.expired():
            raise _TooLarge(most, answer.status) from None
        raise


class _TooLarge(Exception):
    def __init__(self, most: int, status: int) -> None:
        self.status = status
        super().__init__(f"the answer is longer than {most} bytes")


# The first that fits; subclasses stand before what they derive from.
_KINDS: tuple[tuple[type[Exception], Failure, str], ...] = (
    (_Refused, Failure.REFUSED_DESTINATION, ""),
    (aiohttp.ConnectionTimeoutError, Failure.CONNECT_TIMEOUT, "no connection in time"),
    (aiohttp.SocketTimeoutError, Failure.READ_TIMEOUT, "no answer in time"),
    (TimeoutError, Failure.READ_TIMEOUT, "the whole request took too long"),
    (aiohttp.ClientConnectorDNSError, Failure.DNS, "the host's name cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, Failure.TLS, ""),
    (aiohttp.ClientSSLError, Failure.TLS, ""),
    (ssl.SSLError, Failure.TLS, ""),
    (aiohttp.InvalidURL, Failure.INVALID_URL, ""),
    (aiohttp.ClientConnectorError, Failure.CONNECT, ""),
    (aiohttp.ServerDisconnectedError, Failure.PROTOCOL, "hung up without an answer"),
    (aiohttp.ClientResponseError, Failure.PROTOCOL, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, Failure.PROTOCOL, "hung up within the answer"),
    (aiohttp.ClientError, Failure.PROTOCOL, ""),
    (OSError, Failure.PROTOCOL, ""),
    (ValueError, Failure.INVALID_URL, ""),
)
_LONGEST_REASON = 300


def _classify(error: Exception) -> tuple[Failure, str]:
    for kind, failure, words in _KINDS:
        if isinstance(error, kind):
            return failure, words or (str(error) or type(error).__name__)[:_LONGEST_REASON]
    raise AssertionError(f"no kind for {error!r}")  # pragma: no cover - ValueError closes the table
