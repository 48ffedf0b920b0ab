"""What was told to customers."""

from dataclasses import dataclass

from tapeline.domain.command.base import Command
from tapeline.domain.delivery import Attempt, Delivery
from tapeline.domain.id import AccountId, DeliveryId, RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    delivery: Delivery
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDeliveries(Command["tuple[DeliveryView, ...]"]):
    account_id: AccountId | None = None
    recording_id: RecordingId | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDelivery(Command[DeliveryView]):
    """`account_id` None: of any account (the CLI). Raises DeliveryNotFound."""

    account_id: AccountId | None
    delivery_id: DeliveryId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDelivery(Command[DeliveryView]):
    """Tells it again: a new delivery of the same event, signed afresh. Raises DeliveryNotFound,
    Conflict while the one that is meant is under way.
    """

    account_id: AccountId | None
    delivery_id: DeliveryId
