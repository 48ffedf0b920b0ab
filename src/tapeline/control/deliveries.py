"""Use cases about what customers were told."""

from tapeline.control.parts import Parts
from tapeline.domain.command import DeliveryView, ListDeliveries
from tapeline.domain.port import Transaction


async def list_deliveries(parts: Parts, command: ListDeliveries) -> tuple[DeliveryView, ...]:
    def work(tx: Transaction) -> tuple[DeliveryView, ...]:
        found = tx.deliveries.list(command.account_id, command.recording_id, limit=command.limit)
        return tuple(
            DeliveryView(delivery=delivery, attempts=tuple(tx.deliveries.attempts(delivery.id)))
            for delivery in found
        )

    return await parts.store.read(work)
