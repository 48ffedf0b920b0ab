"""What a node knows of its trunks beside their rows: registrations, targets, calls. In memory."""

from collections import Counter
from dataclasses import replace

from tapeline.domain import signal
from tapeline.domain.id import EpochMs, TrunkId
from tapeline.domain.trunk import Registration, TargetState, Trunk, TrunkState


class TrunkStates:
    """Every method is synchronous: what it changes is changed at once."""

    def __init__(self) -> None:
        self.is_kept = False
        """A node runs: the core is told of endpoints and trunks, and tells how they fare."""
        self._registrations: dict[TrunkId, Registration] = {}
        self._targets: dict[TrunkId, dict[str, TargetState]] = {}
        self._channels: Counter[TrunkId] = Counter()

    def of(self, trunk_id: TrunkId) -> TrunkState:
        return TrunkState(
            registration=self._registrations.get(trunk_id, Registration()),
            targets=dict(self._targets.get(trunk_id, {})),
            channels=self._channels[trunk_id],
        )

    def forget(self, trunk_id: TrunkId) -> None:
        """Its row is gone or changed; its calls still count."""
        self._registrations.pop(trunk_id, None)
        self._targets.pop(trunk_id, None)

    # What the core tells.

    def note_registered(self, told: signal.TrunkRegistered, now_ms: EpochMs) -> None:
        self._registrations[TrunkId(told.trunk)] = Registration(
            is_registered=True, expires_s=told.expires_s, sip_status=200, at_ms=now_ms
        )

    def note_unregistered(self, told: signal.TrunkUnregistered, now_ms: EpochMs) -> None:
        self._registrations[TrunkId(told.trunk)] = Registration(
            sip_status=told.sip_status, detail=told.detail, at_ms=now_ms
        )

    def note_target(self, told: signal.TrunkTarget, now_ms: EpochMs) -> None:
        self._targets.setdefault(TrunkId(told.trunk), {})[told.uri] = TargetState(
            is_up=told.is_up, sip_status=told.sip_status, at_ms=now_ms
        )

    def is_down(self, trunk_id: TrunkId, uri: str) -> bool:
        """A target that nobody watches is up."""
        return self._targets.get(trunk_id, {}).get(uri, TargetState()).is_up is False

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
