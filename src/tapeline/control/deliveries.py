"""Use cases about what customers were told."""

from dataclasses import replace

from tapeline.control.parts import Parts
from tapeline.domain.command import DeliveryView, GetDelivery, ListDeliveries, ReplayDelivery
from tapeline.domain.delivery import Delivery, DeliveryState
from tapeline.domain.error import Conflict, DeliveryNotFound
from tapeline.domain.id import AccountId, DeliveryId, new_uuid
from tapeline.domain.port import Transaction


async def list_deliveries(parts: Parts, command: ListDeliveries) -> tuple[DeliveryView, ...]:
    def work(tx: Transaction) -> tuple[DeliveryView, ...]:
        found = tx.deliveries.list(command.account_id, command.recording_id, limit=command.limit)
        return tuple(_view(tx, delivery) for delivery in found)

    return await parts.store.read(work)


async def get_delivery(parts: Parts, command: GetDelivery) -> DeliveryView:
    return await parts.store.read(
        lambda tx: _view(tx, _own(tx, command.account_id, command.delivery_id))
    )


async def replay_delivery(parts: Parts, command: ReplayDelivery) -> DeliveryView:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> DeliveryView:
        told = _own(tx, command.account_id, command.delivery_id)
        if told.state is DeliveryState.PENDING:
            raise Conflict(f"delivery {told.id} is under way; it need not be replayed")
        again = replace(
            told,
            id=DeliveryId(new_uuid()),
            state=DeliveryState.PENDING,
            attempts=0,
            next_attempt_at_ms=now_ms,
            created_at_ms=now_ms,
            finished_at_ms=None,
        )
        tx.deliveries.add(again)
        tx.on_commit(parts.wake_deliverer)
        return _view(tx, again)

    return await parts.store.write(work)


def _own(tx: Transaction, account_id: AccountId | None, delivery_id: DeliveryId) -> Delivery:
    """Raises DeliveryNotFound, for another account's too."""
    found = tx.deliveries.get(delivery_id)
    if found is None or (account_id is not None and found.account_id != account_id):
        raise DeliveryNotFound(delivery_id)
    return found


def _view(tx: Transaction, delivery: Delivery) -> DeliveryView:
    return DeliveryView(delivery=delivery, attempts=tuple(tx.deliveries.attempts(delivery.id)))
