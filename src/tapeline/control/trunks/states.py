"""What a node knows of its trunks beside their rows: registrations, targets, calls. In memory."""

from collections import Counter
from dataclasses import replace

from tapeline.domain.id import TrunkId
from tapeline.domain.trunk import Trunk, TrunkState


class TrunkStates:
    """Every method is synchronous: what it changes is changed at once."""

    def __init__(self) -> None:
        self.is_kept = False
        """A node runs: the core is told of endpoints and trunks, and tells how they fare."""
        self._channels: Counter[TrunkId] = Counter()

    def of(self, trunk_id: TrunkId) -> TrunkState:
        return TrunkState(
            channels=self._channels[trunk_id],
        )

    # Calls.

    def take_channel(self, trunk: Trunk) -> bool:
        """False when it has as many calls as it may. Each that is taken must be freed."""
        if trunk.channel_limit and self._channels[trunk.id] >= trunk.channel_limit:
            return False
        self._channels[trunk.id] += 1
        return True

    def free_channel(self, trunk_id: TrunkId) -> None:
        self._channels[trunk_id] -= 1
        if self._channels[trunk_id] <= 0:
            del self._channels[trunk_id]


def without_password(trunk: Trunk) -> Trunk:
    return replace(trunk, password="")
