"""What was told to customers."""

from dataclasses import dataclass

from tapeline.domain.command.base import Command
from tapeline.domain.delivery import Attempt, Delivery
from tapeline.domain.id import AccountId, RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    delivery: Delivery
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDeliveries(Command["tuple[DeliveryView, ...]"]):
    account_id: AccountId | None = None
    recording_id: RecordingId | None = None
    limit: int = 100
