"""Callbacks over real sockets: the outbox, the guarded client and receivers that misbehave."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract import stores
from tests.contract.bad_server import answer, bad_server, flood, say_nothing
from tests.unit.delivery.doubles import seal, sign_link

from tapeline.delivery import Bounds, Deliverer, Sender
from tapeline.domain.delivery import Attempt, Delivery, DeliveryState, Failure, RetryPolicy
from tapeline.domain.id import DeliveryId, EpochMs
from tapeline.domain.port import Transaction
from tapeline.net import Destinations, GuardedClient
from tapeline.state import SqlStore
from tapeline.telemetry import Bugs, SystemClock
from tapeline.testing.receiver import Receiver, refuse

QUICK = RetryPolicy(
    connect_timeout_ms=500,
    read_timeout_ms=300,
    total_ms=5_000,
    waits_ms=(50, 50, 50),
    retry_on=frozenset(Failure),
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await stores.open_sqlite(tmp_path)
    await opened.write(stores.add_basics)
    yield opened
    await opened.close()


@pytest.fixture
async def deliverer(store: SqlStore) -> AsyncIterator[Deliverer]:
    async with GuardedClient(Destinations(["127.0.0.0/8"])) as client:
        sender = Sender(
            seals={"plain": seal},
            sign_link=sign_link,
            send=client.send,
            clock=SystemClock(),
            bugs=Bugs(),
        )
        made = Deliverer(store, sender, bounds=Bounds(in_all=16, per_destination=2))
        running = asyncio.create_task(made.run())
        yield made
        await made.stop(grace_s=0)
        await running


async def add(store: SqlStore, deliverer: Deliverer, *urls: str) -> None:
    def work(tx: Transaction) -> None:
        now_ms = EpochMs(time.time_ns() // 1_000_000)
        for n, url in enumerate(urls):
            message = replace(stores.message(url), fields={"id": f"m{n}"}, retry=QUICK)
            made = stores.delivery(f"d{n}", due_at_ms=now_ms, of=message)
            tx.deliveries.add(replace(made, created_at_ms=now_ms))
        tx.on_commit(deliverer.wake)

    await store.write(work)


async def outcome(
    store: SqlStore, until: Callable[[Delivery], bool], number: int = 0
) -> tuple[Delivery, list[Attempt]]:
    """The delivery and its attempts once `until` holds."""
    key = DeliveryId(f"d{number}")
    async with asyncio.timeout(20):
        while True:
            found = await store.read(lambda tx: tx.deliveries.get(key))
            assert found is not None
            if until(found):
                return found, list(await store.read(lambda tx: tx.deliveries.attempts(key)))


def is_over(delivery: Delivery) -> bool:
    return delivery.state is not DeliveryState.PENDING


async def test_a_receiver_that_flaps_gets_it_in_the_end(
    store: SqlStore, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        receiver.script("/cb", *refuse(2))
        await add(store, deliverer, receiver.url("/cb"))
        delivery, attempts = await outcome(store, is_over)

        assert delivery.state is DeliveryState.DELIVERED
        assert [a.status for a in attempts] == [503, 503, 200]
        assert [r.headers["x-attempt"] for r in receiver.requests] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("raw", "failure"),
    [
        (b"\x00\xff\r\n\r\n", Failure.PROTOCOL),
        (b"", Failure.PROTOCOL),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", Failure.CLIENT_ERROR),
        (b"HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Failure.REDIRECT),
    ],
)
async def test_what_went_wrong_stands_in_each_attempt(
    store: SqlStore, deliverer: Deliverer, raw: bytes, failure: Failure
) -> None:
    async with bad_server(answer(raw)) as port:
        await add(store, deliverer, f"http://127.0.0.1:{port}/")
        delivery, attempts = await outcome(store, is_over)

    assert delivery.state is DeliveryState.EXHAUSTED
    assert [(a.number, a.failure) for a in attempts] == [(n, failure) for n in (1, 2, 3, 4)]


async def test_silent_and_endless_receivers_hold_up_nobody_else(
    store: SqlStore, deliverer: Deliverer
) -> None:
    async with bad_server(say_nothing) as silent, bad_server(flood) as endless:
        async with Receiver() as fine:
            bad = [f"http://127.0.0.1:{silent}/"] * 20
            await add(
                store, deliverer, *bad, *[fine.url("/cb")] * 20, f"http://127.0.0.1:{endless}/"
            )
            await fine.wait_for("/cb", count=20, timeout_s=5)

        waiting = await store.read(lambda tx: tx.deliveries.list(None, None, limit=99))
        assert sum(not is_over(each) for each in waiting) >= 10
        delivery, _ = await outcome(store, is_over, 40)
        assert delivery.state is DeliveryState.DELIVERED  # its 200 came; the body is nobody's need


async def test_a_private_address_is_refused_with_the_reason_in_the_attempt(
    store: SqlStore, deliverer: Deliverer
) -> None:
    await add(store, deliverer, "http://169.254.169.254/latest/")
    delivery, attempts = await outcome(store, lambda d: d.attempts > 0)

    assert attempts[0].failure is Failure.REFUSED_DESTINATION
    assert "metadata" in (attempts[0].reason or "")
    assert delivery.message.url == "http://169.254.169.254/latest/"
