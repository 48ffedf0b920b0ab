"""What a long outbox costs: 100,000 pending callbacks for ten receivers that are down, and then up.

    uv run python benchmarks/outbox.py [--pending 100000]

Prints memory and CPU while everything waits for its next attempt, what one pass over the due costs,
and callbacks a second once the receivers (in this process, without sockets) answer again.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tapeline.delivery import Deliverer, Sender
from tapeline.domain.account import Account
from tapeline.domain.call import Call, CallState, Direction
from tapeline.domain.delivery import (
    CallbackMessage,
    Delivery,
    DeliveryState,
    Encoding,
    OutgoingRequest,
    Secrets,
)
from tapeline.domain.event import CallArrived
from tapeline.domain.id import (
    CallId,
    DeliveryId,
    EpochMs,
    EventId,
    NodeId,
    new_account_id,
    new_uuid,
)
from tapeline.domain.port import Transaction
from tapeline.net import Limits, Response
from tapeline.state import SqlStore, Vault
from tapeline.telemetry import Bugs, SystemClock

RECEIVERS = 10
FAR_MS = 3_600_000


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def new_account() -> Account:
    return Account(
        id=new_account_id(),
        name="bench",
        auth_token=new_uuid(),
        api_key_hash="h",
        signing_seed=bytes(32),
        public_key="",
        created_at_ms=EpochMs(1),
    )


def arrival(account: Account) -> CallArrived:
    call_id = CallId(new_uuid())
    call = Call(
        id=call_id,
        account_id=account.id,
        application_id=None,
        dialect="bench",
        node_id=NodeId("bench"),
        direction=Direction.INBOUND,
        caller="",
        caller_name="",
        called="",
        session_id=call_id,
        state=CallState.RINGING,
        created_at_ms=EpochMs(1),
    )
    return CallArrived(id=EventId(new_uuid()), at_ms=EpochMs(1), account=account, call=call)


def fill(tx: Transaction, account: Account, event_id: EventId, count: int, due_ms: int) -> None:
    for n in range(count):
        message = CallbackMessage(
            url=f"https://receiver{n % RECEIVERS}.example.com/recorded",
            method="POST",
            encoding=Encoding.JSON,
            fields={"recording_id": new_uuid(), "recording_url": "https://example.com/" + "x" * 80},
            announces_finished=True,
            order_key=new_uuid(),
        )
        tx.deliveries.add(
            Delivery(
                id=DeliveryId(new_uuid()),
                event_id=event_id,
                account_id=account.id,
                dialect="bench",
                event_name="recording_finished",
                message=message,
                state=DeliveryState.PENDING,
                attempts=0,
                next_attempt_at_ms=EpochMs(due_ms),
                created_at_ms=EpochMs(due_ms),
            )
        )


def seal(
    message: CallbackMessage,
    _attempt: int,
    _now_ms: EpochMs,
    _secrets: Secrets,
    _sign_link: Callable[[str], str],
) -> OutgoingRequest:
    return OutgoingRequest(method="POST", url=message.url, headers={}, body=b"{}")


class Receivers:
    def __init__(self) -> None:
        self.count = 0

    async def send(self, request: OutgoingRequest, *, limits: Limits) -> Response:  # noqa: ARG002
        self.count += 1
        return Response(status=200, body=b"", headers={})


class ShiftedClock(SystemClock):
    """The wall clock, and how far it was set forward."""

    ahead_ms = 0

    def now_ms(self) -> EpochMs:
        return EpochMs(super().now_ms() + self.ahead_ms)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = await SqlStore.open(Path(folder) / "tapeline.db", Vault(bytes(32)))
        account, clock, receivers = new_account(), ShiftedClock(), Receivers()
        event = arrival(account)
        due_ms = clock.now_ms() + FAR_MS
        await store.write(lambda tx: tx.accounts.add(account))
        await store.write(lambda tx: tx.emit(event))
        before_mb = rss_mb()
        for _ in range(options.pending // 1000):
            await store.write(lambda tx: fill(tx, account, event.id, 1000, due_ms))
        filled_mb = rss_mb()
        deliverer = Deliverer(
            store,
            Sender(
                seals={"bench": seal},
                sign_link=lambda link, account, now_ms, *, life_s=None: link,  # noqa: ARG005
                send=receivers.send,
                clock=clock,
                bugs=Bugs(),
            ),
        )
        running = asyncio.create_task(deliverer.run())
        cpu = time.process_time()
        for _ in range(int(options.seconds)):
            deliverer.wake()  # as every commit with a new callback would
            await asyncio.sleep(1)
        share = (time.process_time() - cpu) / options.seconds
        print(
            f"{options.pending} pending: {rss_mb():.0f} MB resident ({filled_mb - before_mb:+.0f} "
            f"after filling), {share:.2%} of a core with one wake a second",
        )
        clock.ahead_ms = FAR_MS + 1000
        began, cpu = time.perf_counter(), time.process_time()
        deliverer.wake()
        await asyncio.sleep(options.seconds)
        elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"all due at once: {receivers.count / elapsed:.0f} callbacks/s, "
            f"{cpu / max(receivers.count, 1) * 1e6:.0f} us CPU each, {rss_mb():.0f} MB resident",
        )
        await deliverer.stop()
        await running
        await store.close()


if __name__ == "__main__":
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(main())
