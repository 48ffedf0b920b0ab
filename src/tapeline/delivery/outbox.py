"""The outbox: a message is stored in the transaction that made it true."""

from collections.abc import Callable, Mapping

from tapeline.domain.delivery import CallbackMessage, Delivery, DeliveryState
from tapeline.domain.event import (
    CallEvent,
    ConferenceEvent,
    Event,
    ParticipantEvent,
    RecordingEvent,
    SoundEvent,
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
        """Adds a delivery for each dialect that tells its customer of this."""
        for dialect in concerned_dialects(event):
            render = self._render.get(dialect)
            message = render(event) if render is not None else None
            if message is not None:
                self._add(tx, event, dialect, message)

    def _add(self, tx: Transaction, event: Event, dialect: str, message: CallbackMessage) -> None:
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


def concerned_dialects(event: Event) -> tuple[str, ...]:
    """In whose words the event is told: those of what the recording, the call or the conference
    was made by; a participant's in those of its call and of its conference.
    """
    match event:
        case RecordingEvent():
            return (event.recording.starter.dialect,)
        case ParticipantEvent():
            return tuple(dict.fromkeys((event.call.dialect, event.conference.dialect)))
        case CallEvent():
            return (event.call.dialect,)
        case ConferenceEvent():
            return (event.conference.dialect,)
        case SoundEvent():
            owner = event.conference or event.call
            return () if owner is None else (owner.dialect,)
    return ()
