"""From the event to the customer's answer, hours in seconds: the clock is set, nothing sleeps."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.contract import stores
from tests.unit.delivery.doubles import (
    Customers,
    NotedBugs,
    StandingClock,
    render,
    sender,
)

from tapeline.delivery import Bounds, Deliverer, Outbox
from tapeline.domain.delivery import DeliveryState, Failure, OutgoingRequest
from tapeline.domain.event import ConferenceStarted
from tapeline.domain.id import EpochMs, EventId, RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Starter
from tapeline.net import Limits, Response
from tapeline.state import SqlStore

HOUR_MS = 3_600_000
URL = "https://example.com/cb"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await stores.open_sqlite(tmp_path)
    await opened.write(stores.add_basics)
    yield opened
    await opened.close()


@pytest.fixture
def customers() -> Customers:
    return Customers(StandingClock())


async def finish(
    store: SqlStore, clock: StandingClock, *recording_ids: str, url: str = URL
) -> None:
    """What `recording.finalise` does, for all of them at once: the row and its event."""

    def work(tx: Transaction, recording_id: str) -> None:
        recording = replace(
            stores.recording(recording_id),
            starter=Starter(dialect="plain", request_id="r", callback_url=url),
        )
        tx.recordings.add(recording)
        event = stores.finished("event-" + recording_id, recording)
        tx.emit(replace(event, at_ms=clock.now))

    await asyncio.gather(*(store.write(partial(work, recording_id=r)) for r in recording_ids))


def outbox(store: SqlStore, deliverer: Deliverer) -> None:
    staged = Outbox({"plain": render}, deliverer.wake)
    store.subscribe(in_transaction=staged.stage)


async def run_until_idle(deliverer: Deliverer, clock: StandingClock) -> None:
    while (next_due_ms := await deliverer.work_off()) is not None:
        clock.now = next_due_ms


async def test_a_finished_recording_is_told_once(store: SqlStore, customers: Customers) -> None:
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)
    await finish(store, customers.clock, "rec-1")

    await run_until_idle(deliverer, customers.clock)

    ((at_ms, request),) = customers.got
    assert request.body == f"rec-1 1 {at_ms} link?of={stores.ACCOUNT_ID}&at={at_ms}".encode()
    (delivery,) = await store.read(lambda tx: tx.deliveries.list(None, "rec-1", limit=9))
    assert delivery.state is DeliveryState.DELIVERED
    assert delivery.event_id == "event-rec-1"
    assert delivery.finished_at_ms == at_ms
    (attempt,) = await store.read(lambda tx: tx.deliveries.attempts(delivery.id))
    assert (attempt.number, attempt.status, attempt.failure) == (1, 200, None)


async def test_a_receiver_down_for_two_hours_loses_nothing_and_is_signed_afresh(
    store: SqlStore, customers: Customers
) -> None:
    up_again = customers.clock.now + 2 * HOUR_MS
    customers.answer = lambda _, now: 200 if now >= up_again else Failure.CONNECT
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)
    await finish(store, customers.clock, *(f"rec-{n}" for n in range(20)))

    await run_until_idle(deliverer, customers.clock)

    last = {request.body.split()[0]: (at, request) for at, request in customers.got}
    assert len(last) == 20
    for at_ms, request in last.values():
        assert up_again <= at_ms <= up_again + HOUR_MS
        assert request.body.endswith(f"at={at_ms}".encode())
    listed = await store.read(lambda tx: tx.deliveries.list(None, None, limit=99))
    assert {delivery.state for delivery in listed} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize(
    "answers",
    [(503, 200), (503, 503, 429, 200), (Failure.PROTOCOL, Failure.TOO_LARGE, 200), (302, 404, 200)],
)
async def test_one_that_flaps_or_answers_garbage_gets_everything_once_it_takes_it(
    store: SqlStore, customers: Customers, answers: tuple[int | Failure, ...]
) -> None:
    asked: dict[bytes, int] = {}

    def flap(request: OutgoingRequest, _now: EpochMs) -> int | Failure:
        of = request.body.split()[0]
        asked[of] = asked.get(of, 0) + 1
        return answers[min(asked[of], len(answers)) - 1]

    customers.answer = flap
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)
    ids = [f"rec-{number}" for number in range(20)]
    await finish(store, customers.clock, *ids)

    await run_until_idle(deliverer, customers.clock)

    assert asked == {id_.encode(): len(answers) for id_ in ids}
    rows = await store.read(lambda tx: tx.deliveries.list(None, None, limit=99))
    assert {row.state for row in rows} == {DeliveryState.DELIVERED}
    assert len({row.event_id for row in rows}) == len(rows) == 20


async def test_a_receiver_that_never_comes_back_exhausts_after_a_day(
    store: SqlStore, customers: Customers
) -> None:
    began_ms = customers.clock.now
    customers.answer = lambda _request, _now: 500
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)
    await finish(store, customers.clock, "rec-1")

    await run_until_idle(deliverer, customers.clock)

    (delivery,) = await store.read(lambda tx: tx.deliveries.list(None, None, limit=9))
    attempts = await store.read(lambda tx: tx.deliveries.attempts(delivery.id))
    assert delivery.state is DeliveryState.EXHAUSTED
    assert [a.at_ms for a in attempts] == customers.instants
    assert 23 * HOUR_MS < customers.instants[-1] - began_ms <= 24 * HOUR_MS
    assert {(a.status, a.failure, a.reason) for a in attempts} == {
        (500, Failure.SERVER_ERROR, "answered 500")
    }


async def test_a_restart_goes_on_where_it_was(
    store: SqlStore, customers: Customers, tmp_path: Path
) -> None:
    customers.answer = lambda _request, _now: 503
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)
    await finish(store, customers.clock, "rec-1")
    next_due_ms = await deliverer.work_off()
    await store.close()

    again = await stores.open_sqlite(tmp_path)
    customers.answer = lambda _request, _now: 204
    later = Deliverer(again, sender(customers))
    assert await later.work_off() == next_due_ms
    assert len(customers.got) == 1
    customers.clock.now = EpochMs(next_due_ms or 0)
    assert await later.work_off() is None
    assert [request.headers["X-Attempt"] for _, request in customers.got] == ["1", "2"]
    await again.close()


async def test_messages_of_one_recording_keep_their_order(
    store: SqlStore, customers: Customers
) -> None:
    down_until = customers.clock.now + 40_000
    customers.answer = lambda _, now: 200 if now >= down_until else 500
    first, second = (
        replace(
            stores.delivery(name, due_at_ms=customers.clock.now, of=None),
            message=replace(
                stores.message(order_key="rec-1"), fields={"id": name}, announces_finished=True
            ),
            created_at_ms=customers.clock.now,
        )
        for name in ("first", "second")
    )
    await store.write(lambda tx: tx.deliveries.add(first))
    await store.write(lambda tx: tx.deliveries.add(second))

    await run_until_idle(Deliverer(store, sender(customers)), customers.clock)

    assert [request.body.split()[0] for _, request in customers.got] == [
        b"first",
        b"first",
        b"first",
        b"second",
    ]


async def test_a_slow_receiver_holds_up_nobody_else(store: SqlStore, customers: Customers) -> None:
    never = asyncio.Event()
    sent = customers.send

    async def send(request: OutgoingRequest, *, limits: Limits) -> Response:
        if "slow" in request.url:
            await never.wait()
        return await sent(request, limits=limits)

    deliverer = Deliverer(
        store, replace(sender(customers), send=send), bounds=Bounds(in_all=8, per_destination=2)
    )
    outbox(store, deliverer)
    for host in ("slow", "quick"):
        names = (f"{host}-{n}" for n in range(50))
        await finish(store, customers.clock, *names, url=f"https://{host}.example.com/")
    task = asyncio.create_task(deliverer.run())

    async with asyncio.timeout(20):
        while len(customers.got) < 50:
            await store.read(lambda _: None)

    assert all("quick" in request.url for _, request in customers.got)
    await deliverer.stop(grace_s=0)
    await task


async def test_stopping_lets_attempts_end_within_the_grace_and_cuts_off_the_rest(
    store: SqlStore, customers: Customers
) -> None:
    arrived, may_answer = asyncio.Event(), asyncio.Event()
    sent = customers.send

    async def send(request: OutgoingRequest, *, limits: Limits) -> Response:
        arrived.set()
        await may_answer.wait()
        return await sent(request, limits=limits)

    deliverer = Deliverer(store, replace(sender(customers), send=send))
    outbox(store, deliverer)
    task = asyncio.create_task(deliverer.run())
    await finish(store, customers.clock, "rec-1")
    await arrived.wait()
    stopping = asyncio.create_task(deliverer.stop(grace_s=30))
    await asyncio.sleep(0)
    may_answer.set()
    await stopping
    await task
    (delivery,) = await store.read(lambda tx: tx.deliveries.list(None, None, limit=9))
    assert delivery.state is DeliveryState.DELIVERED

    arrived.clear()
    may_answer.clear()
    again = Deliverer(store, replace(sender(customers), send=send))
    await finish(store, customers.clock, "rec-2")
    task = asyncio.create_task(again.run())
    await arrived.wait()
    await again.stop(grace_s=0)
    await task
    (delivery, _) = await store.read(lambda tx: tx.deliveries.list(None, None, limit=9))
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 0)


async def test_a_dialect_s_fault_is_counted_kept_as_an_attempt_and_stops_nobody(
    store: SqlStore, customers: Customers
) -> None:
    def broken(*_: object) -> OutgoingRequest:
        raise KeyError("recording_url")

    bugs = NotedBugs()
    deliverer = Deliverer(store, sender(customers, bugs=bugs, seals={"plain": broken}))
    outbox(store, deliverer)
    await finish(store, customers.clock, "rec-1")

    await deliverer.work_off()

    (delivery,) = await store.read(lambda tx: tx.deliveries.list(None, None, limit=9))
    (attempt,) = await store.read(lambda tx: tx.deliveries.attempts(delivery.id))
    assert bugs.count == 1
    assert attempt.failure is Failure.FAULT
    assert delivery.state is DeliveryState.PENDING


async def test_an_event_that_rolls_back_is_never_told(
    store: SqlStore, customers: Customers
) -> None:
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)

    def work(tx: Transaction) -> None:
        recording = stores.recording("rec-1")
        tx.recordings.add(recording)
        tx.emit(stores.finished("event-rec-1", recording))
        raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError):
        await store.write(work)
    assert await deliverer.work_off() is None
    assert customers.got == []


async def test_a_conference_s_event_is_told_by_the_dialect_of_its_creator(
    store: SqlStore, customers: Customers
) -> None:
    asked: list[str] = []
    staged = Outbox({"plain": lambda event: asked.append(event.name)}, lambda: None)
    store.subscribe(in_transaction=staged.stage)
    event = ConferenceStarted(
        id=EventId("event-2"),
        at_ms=customers.clock.now,
        account=stores.account(),
        conference=stores.conference(),
    )

    await store.write(lambda tx: tx.emit(event))

    assert asked == ["conference_started"]


async def test_a_long_queue_stays_in_the_database(store: SqlStore, customers: Customers) -> None:
    def fill(tx: Transaction) -> None:
        for n in range(20_000):
            message = replace(stores.message(f"https://h{n % 50}.example.com/"), fields={"id": n})
            made = stores.delivery(f"d-{n}", due_at_ms=5, of=message)
            tx.deliveries.add(made)

    await store.write(fill)
    most = 0

    async def send(request: OutgoingRequest, *, limits: Limits) -> Response:
        nonlocal most
        most = max(most, len(deliverer._attempts))
        return await customers.send(request, limits=limits)

    deliverer = Deliverer(
        store, replace(sender(customers), send=send), bounds=Bounds(in_all=64, per_destination=4)
    )
    await deliverer._start_due()
    await asyncio.wait(deliverer._attempts)

    assert most == 64
    assert len(customers.got) == 64


async def test_the_running_deliverer_is_woken_by_the_commit(
    store: SqlStore, customers: Customers
) -> None:
    deliverer = Deliverer(store, sender(customers))
    outbox(store, deliverer)
    task = asyncio.create_task(deliverer.run())
    for n in range(0, 200, 8):
        await finish(store, customers.clock, *(f"rec-{m}" for m in range(n, n + 8)))

    async with asyncio.timeout(20):  # far below LONGEST_NAP_S: nothing here waits for a timer
        while len(customers.got) < 200:
            await store.read(lambda _: None)
    await deliverer.stop()
    await task
    page = await store.read(lambda tx: tx.deliveries.list(None, RecordingId("rec-7"), limit=9))
    assert page[0].state is DeliveryState.DELIVERED
