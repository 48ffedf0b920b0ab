"""The deliverer: takes what is due from the outbox and tells the customers.

At least once, in order by `order_key`, fairly by receiver. Only what is under way is in memory; the
rest waits in the database, so a restart goes on where it was and a hundred thousand pending cost
nothing. An attempt that a crash cuts off was never stored: it is made again with its number.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapeline.delivery.attempt import Due, Sender, after_attempt
from tapeline.domain.delivery import Attempt, Delivery, DeliveryState
from tapeline.domain.error import TapelineError
from tapeline.domain.id import AccountId, DeliveryId, EpochMs
from tapeline.domain.port import Store, Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

LONGEST_NAP_S = 60.0
"""Also when nothing is due sooner: the wall clock may be set while we sleep."""
PAUSE_AFTER_FAULT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many attempts may be under way; what is beyond waits in the database."""

    in_all: int = 256
    per_destination: int = 4


class Deliverer:
    """`run` is a task of its owner's; it ends with `stop`."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        *,
        bounds: Bounds | None = None,
        count: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`count` is told `deliveries_delivered`, `_failed` (an attempt), `_exhausted`."""
        self._store = store
        self._sender = sender
        self._bounds = bounds or Bounds()
        self._count = count
        self._wake = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._under_way: dict[str, set[DeliveryId]] = {}
        self._is_stopping = False
        self._ended = asyncio.Event()
        self._ended.set()

    def wake(self) -> None:
        """Something may have become due; called on the event loop."""
        self._wake.set()

    async def run(self) -> None:
        """Delivers until stopped. What the database or a dialect does wrong is survived."""
        self._ended.clear()
        try:
            while not self._is_stopping:
                self._wake.clear()
                nap_s = await self._work()
                if not self._is_stopping:
                    await self._nap(nap_s)
        except asyncio.CancelledError:
            await self._cancel_attempts()
            raise
        finally:
            self._ended.set()

    async def stop(self, *, grace_s: float = 5.0) -> None:
        """Takes nothing new; attempts under way have `grace_s` to end, then they are cut off."""
        self._is_stopping = True
        self._wake.set()
        await self._ended.wait()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace_s)
        await self._cancel_attempts()

    async def work_off(self) -> EpochMs | None:
        """Everything that is due now, to its end; then the next instant at which something is.

        For tests and tools that have no running `run`.
        """
        while True:
            next_due_ms = await self._start_due()
            if not self._attempts:
                return next_due_ms
            await asyncio.wait(self._attempts)

    async def _work(self) -> float:
        """One pass; how long to sleep at most if nobody wakes us."""
        try:
            next_due_ms = await self._start_due()
        except TapelineError as error:
            _log.warning("deliveries_not_read", reason=str(error))
            return PAUSE_AFTER_FAULT_S
        except Exception as error:  # noqa: BLE001  one bad row must not end all deliveries
            self._sender.bugs.add("deliverer", error)
            return PAUSE_AFTER_FAULT_S
        if next_due_ms is None:
            return LONGEST_NAP_S
        wait_ms = next_due_ms - self._sender.clock.now_ms()
        return min(max(wait_ms / 1000, 0.0), LONGEST_NAP_S)

    async def _nap(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _start_due(self) -> EpochMs | None:
        """Starts what is due and has room; the next instant after now at which more is due."""
        room = self._bounds.in_all - len(self._attempts)
        if room <= 0:
            return None  # an attempt that ends wakes us
        now_ms = self._sender.clock.now_ms()
        under_way = {name: frozenset(ids) for name, ids in self._under_way.items()}

        def take(tx: Transaction) -> tuple[list[Due], EpochMs | None]:
            found = tx.deliveries.due(
                now_ms,
                limit=room,
                per_destination=self._bounds.per_destination,
                under_way=under_way,
            )
            return _with_facts(tx, found), tx.deliveries.next_due_ms(now_ms)

        due, next_due_ms = await self._store.read(take)
        if not self._is_stopping:
            for each in due:
                self._start(each)
        return next_due_ms

    def _start(self, due: Due) -> None:
        self._under_way.setdefault(due.delivery.message.destination, set()).add(due.delivery.id)
        task = asyncio.create_task(self._deliver(due), name=f"deliver {due.delivery.id}")
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _deliver(self, due: Due) -> None:
        try:
            attempt = await self._sender.attempt(due)
            delivery = await self._store.write(lambda tx: _store_attempt(tx, due, attempt))
            self._tell(delivery, attempt)
        except TapelineError as error:
            # The attempt is not stored, so it will be made again: at least once, but not at once.
            _log.warning("attempt_not_stored", delivery=due.delivery.id, reason=str(error))
            await asyncio.sleep(PAUSE_AFTER_FAULT_S)
        except Exception as error:  # noqa: BLE001  counted; the next pass tries again
            self._sender.bugs.add("deliverer", error)
            await asyncio.sleep(PAUSE_AFTER_FAULT_S)
        finally:
            self._release(due.delivery)

    def _release(self, delivery: Delivery) -> None:
        running = self._under_way[delivery.message.destination]
        running.discard(delivery.id)
        if not running:
            del self._under_way[delivery.message.destination]
        self._wake.set()

    def _tell(self, delivery: Delivery, attempt: Attempt) -> None:
        facts = {
            "delivery": delivery.id,
            "event_name": delivery.event_name,
            "account": delivery.account_id,
            "destination": delivery.message.destination,
            "attempt": attempt.number,
            "status": attempt.status,
        }
        if attempt.failure is None:
            self._count("deliveries_delivered")
            _log.info("callback_delivered", **facts)
            return
        self._count("deliveries_failed")
        is_over = delivery.state is DeliveryState.EXHAUSTED
        if is_over:
            self._count("deliveries_exhausted")
        _log.warning(
            "callback_exhausted" if is_over else "callback_failed",
            reason=attempt.reason,
            next_attempt_at_ms=delivery.next_attempt_at_ms,
            **facts,
        )

    async def _cancel_attempts(self) -> None:
        running = list(self._attempts)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _with_facts(tx: Transaction, found: Sequence[Delivery]) -> list[Due]:
    accounts = {account_id: tx.accounts.get(account_id) for account_id in _owners(found)}
    return [
        Due(
            delivery=delivery,
            account=account,
            failed=tx.deliveries.attempts(delivery.id) if delivery.attempts else (),
        )
        for delivery in found
        if (account := accounts[delivery.account_id]) is not None
    ]


def _owners(found: Sequence[Delivery]) -> set[AccountId]:
    return {delivery.account_id for delivery in found}


def _store_attempt(tx: Transaction, due: Due, attempt: Attempt) -> Delivery:
    """The attempt and the delivery's new state, together."""
    account = tx.accounts.get(due.delivery.account_id) or due.account
    delivery = after_attempt(
        due.delivery,
        [*due.failed, attempt],
        keeps_announcing=account.settings.keep_announcing,
    )
    tx.deliveries.add_attempt(attempt)
    tx.deliveries.update(delivery)
    return delivery
