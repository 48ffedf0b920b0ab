"""Telling the customer: the outbox in the transaction, the attempts afterwards, the schedule."""

from tapeline.delivery.attempt import Sender
from tapeline.delivery.deliverer import Bounds, Deliverer
from tapeline.delivery.outbox import Outbox

__all__ = ["Bounds", "Deliverer", "Outbox", "Sender"]
