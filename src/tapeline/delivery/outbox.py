"""The outbox: a message is stored in the transaction that made it true."""

from collections.abc import Callable, Mapping

from tapeline.domain.delivery import CallbackMessage, Delivery, DeliveryState
from tapeline.domain.event import (
    CallEvent,
    ConferenceEvent,
    Event,
    ParticipantEvent,
    RecordingEvent,
)
from tapeline.domain.id import DeliveryId, new_uuid
from tapeline.domain.port import Transaction

Render = Callable[[Event], CallbackMessage | None]


class Outbox:
    """`store.subscribe(in_transaction=outbox.stage)`."""

    def __init__(self, render: Mapping[str, Render], wake: Callable[[], None]) -> None:
        """`render`: each dialect's `render_event` by its name; `wake` runs once a delivery is
        durable.
        """
        self._render = render
        self._wake = wake

    def stage(self, tx: Transaction, event: Event) -> None:
        """Adds a delivery when the dialect that started the thing tells its customer of this."""
        dialect = starter_dialect(tx, event)
        render = self._render.get(dialect) if dialect is not None else None
        message = render(event) if render is not None else None
        if dialect is None or message is None:
            return
        tx.deliveries.add(
            Delivery(
                id=DeliveryId(new_uuid()),
                event_id=event.id,
                account_id=event.account.id,
                dialect=dialect,
                event_name=event.name,
                message=message,
                state=DeliveryState.PENDING,
                attempts=0,
                next_attempt_at_ms=event.at_ms,
                created_at_ms=event.at_ms,
            )
        )
        tx.on_commit(self._wake)


def starter_dialect(tx: Transaction, event: Event) -> str | None:
    """Whose words the event is told in: a conference's are those of the leg that made it."""
    match event:
        case RecordingEvent():
            return event.recording.starter.dialect
        case CallEvent() | ParticipantEvent():
            return event.call.dialect
        case ConferenceEvent():
            creator = tx.calls.get(event.conference.creator_call_id)
            return None if creator is None else creator.dialect
    return None
