"""The guarded client against real sockets on loopback: hostile URLs, hostile servers."""

import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.contract.bad_server import Misbehaviour, answer, bad_server, drip, flood, say_nothing
from tests.contract.certificates import self_signed

from tapeline.domain.delivery import Failure, OutgoingRequest
from tapeline.net import Destinations, GuardedClient, Limits, RequestFailed, check_url
from tapeline.testing.receiver import Answer, Receiver

QUICK = Limits(connect_timeout_ms=500, read_timeout_ms=300, total_ms=800, body_bytes=1000)


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(Destinations(["127.0.0.0/8", "::1/128"])) as made:
        yield made


def get(url: str) -> OutgoingRequest:
    return OutgoingRequest(method="GET", url=url, headers={"User-Agent": "Test/1"}, body=b"")


async def failure_of(client: GuardedClient, url: str, limits: Limits = QUICK) -> RequestFailed:
    with pytest.raises(RequestFailed) as caught:
        await client.send(get(url), limits=limits)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://0:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::1]:{port}/",
        "http://[64:ff9b::7f00:1]:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[fe80::1]/",
    ],
)
async def test_hostile_destinations_are_refused_and_never_connected_to(url: str) -> None:
    async with Receiver() as receiver, GuardedClient(Destinations()) as guarded:
        failed = await failure_of(guarded, url.format(port=receiver.port))

        assert failed.failure in {Failure.REFUSED_DESTINATION, Failure.INVALID_URL, Failure.DNS}
        assert receiver.requests == []
        if "127.0.0.1:" in url or "169.254" in url:
            assert failed.failure is Failure.REFUSED_DESTINATION
            assert "outgoing_allow" in failed.reason


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//example.com/",
        "example.com",
        "",
        "http://",
        "http:///path",
        "http://user:password@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://[::1/",
        "http://example.com/" + "x" * 9000,
    ],
)
async def test_what_is_no_url_for_us_is_refused_before_any_connection(
    client: GuardedClient, url: str
) -> None:
    assert (await failure_of(client, url)).failure is Failure.INVALID_URL


@given(st.text(max_size=50), st.sampled_from(["", "http://", "https://", "http://a/", "http://[a"]))
def test_any_text_is_a_url_or_an_invalid_url(text: str, beginning: str) -> None:
    failures = []
    try:
        url = check_url(beginning + text)
        assert url.scheme in {"http", "https"}
        assert url.host
    except RequestFailed as failed:
        failures.append(failed.failure)
    assert set(failures) <= {Failure.INVALID_URL}


async def test_a_request_arrives_as_it_was_sealed(client: GuardedClient) -> None:
    async with Receiver() as receiver:
        url = receiver.url("/a%2Fb/%C3%BC?x=1&y=%20#rc=3")
        request = OutgoingRequest(
            method="POST",
            url=url,
            headers={"User-Agent": "Test/1", "Content-Type": "application/json", "X-Sig": "s"},
            body=b'{"a":1}',
        )
        receiver.script("/a/b/ü", Answer(body=b"hello", headers={"X-Answer": "yes"}))
        response = await client.send(request, limits=QUICK)

        assert (response.status, response.body) == (200, b"hello")
        assert response.headers["x-answer"] == "yes"
        (received,) = receiver.requests
        assert received.body == b'{"a":1}'
        assert received.headers["user-agent"] == "Test/1"
        assert received.headers["x-sig"] == "s"
        assert dict(received.query) == {"x": "1", "y": " "}


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500, 503])
async def test_every_status_is_an_answer_and_no_redirect_is_followed(
    client: GuardedClient, status: int
) -> None:
    async with Receiver() as receiver:
        receiver.script("/", Answer(status=status, headers={"Location": receiver.url("/other")}))

        assert (await client.send(get(receiver.url()), limits=QUICK)).status == status
        assert receiver.received("/other") == []


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("behave", "failure"),
    [
        (say_nothing, Failure.READ_TIMEOUT),
        (drip, Failure.READ_TIMEOUT),
        (flood, Failure.TOO_LARGE),
        (answer(b""), Failure.PROTOCOL),
        (answer(b"\x00\xff garbage \r\n\r\n"), Failure.PROTOCOL),
        (answer(b"SSH-2.0-OpenSSH_9.2\r\n"), Failure.PROTOCOL),
        (answer(b"HTTP/1.1 99999 no\r\n\r\n"), Failure.PROTOCOL),
        (answer(HEAD + b"Content-Length: 50\r\n\r\nshort"), Failure.PROTOCOL),
        (answer(HEAD + b"Content-Length: -1\r\n\r\n"), Failure.PROTOCOL),
        (answer(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Failure.PROTOCOL),
        (answer(HEAD + b"X: " + b"x" * 20_000 + b"\r\n\r\n"), Failure.PROTOCOL),
        (answer(HEAD + b"X: y\r\n" * 500 + b"\r\n"), Failure.PROTOCOL),
        (answer(HEAD + b"Content-Length: 2000\r\n\r\n" + b"x" * 2000), Failure.TOO_LARGE),
    ],
)
async def test_a_server_that_misbehaves_is_a_failure_of_its_kind(
    client: GuardedClient, behave: Misbehaviour, failure: Failure
) -> None:
    async with bad_server(behave) as port:
        assert (await failure_of(client, f"http://127.0.0.1:{port}/")).failure is failure


async def test_a_packed_body_is_not_unpacked(client: GuardedClient) -> None:
    packed = gzip.compress(bytes(10_000_000), 9)[:900]
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with bad_server(answer(head + packed)) as port:
        response = await client.send(get(f"http://127.0.0.1:{port}/"), limits=QUICK)
    assert response.body == packed


async def test_without_interest_in_the_body_its_length_and_end_do_not_matter(
    client: GuardedClient,
) -> None:
    limits = Limits(read_timeout_ms=300, total_ms=800, body_bytes=None)
    for behave in (drip, flood, answer(HEAD + b"Content-Length: 50\r\n\r\nshort")):
        async with bad_server(behave) as port:
            response = await client.send(get(f"http://127.0.0.1:{port}/"), limits=limits)
            assert (response.status, response.body) == (200, b"")


async def test_of_a_body_that_is_too_large_the_status_is_known(client: GuardedClient) -> None:
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 2000\r\n\r\n"
    async with bad_server(answer(head + b"x" * 2000)) as port:
        failed = await failure_of(client, f"http://127.0.0.1:{port}/")
    assert (failed.failure, failed.status) == (Failure.TOO_LARGE, 503)


def no_such_name(host: str, *_: object, **__: object) -> NoReturn:
    raise socket.gaierror(socket.EAI_NONAME, f"{host}: Name or service not known")


async def test_a_closed_port_and_an_unknown_name_are_told_apart(
    client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        port = taken.getsockname()[1]
        failed = await failure_of(client, f"http://127.0.0.1:{port}/")
    assert failed.failure is Failure.CONNECT
    # The name server's part: a real question would leave this machine.
    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    failed = await failure_of(client, "http://no-such-host.invalid/")
    assert failed.failure is Failure.DNS


@pytest.fixture
def backlog_full() -> Iterator[int]:
    """A listener whose backlog is full: a connection to it neither opens nor is refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
            waiting.append(each)
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


async def test_a_connection_that_does_not_open_is_a_connect_timeout(
    client: GuardedClient, backlog_full: int
) -> None:
    failed = await failure_of(client, f"http://127.0.0.1:{backlog_full}/")
    assert failed.failure is Failure.CONNECT_TIMEOUT


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    client: GuardedClient, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path, "127.0.0.1")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    fine = answer(HEAD + b"Content-Length: 2\r\n\r\nok")
    async with bad_server(fine, tls=server) as port:
        assert (await failure_of(client, f"https://127.0.0.1:{port}/")).failure is Failure.TLS

        trust = ssl.create_default_context(cafile=str(certificate))
        async with GuardedClient(Destinations(["127.0.0.0/8"]), trust=trust) as trusting:
            response = await trusting.send(get(f"https://127.0.0.1:{port}/"), limits=QUICK)
            assert response.body == b"ok"
            other_name = f"https://localhost:{port}/"
            assert (await failure_of(trusting, other_name)).failure is Failure.TLS


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=200), has_head=st.booleans())
async def test_whatever_bytes_come_back_it_is_an_answer_or_request_failed(
    client: GuardedClient, raw: bytes, *, has_head: bool
) -> None:
    async with bad_server(answer(HEAD * has_head + raw)) as port:
        with suppress(RequestFailed):
            await client.send(get(f"http://127.0.0.1:{port}/"), limits=QUICK)
