"""In which order an account's trunks and their targets are tried. Pure but for its dice."""

import random
from collections.abc import Callable, Sequence

from tapeline.domain.id import TrunkId
from tapeline.domain.trunk import Trunk, TrunkTarget

IsDown = Callable[[TrunkId, str], bool]


def in_order(
    trunks: Sequence[Trunk], is_down: IsDown, dice: random.Random
) -> list[tuple[Trunk, TrunkTarget]]:
    """By the trunks' priority, then the targets' (RFC 2782); what is known to be down comes last,
    because it may be up again.
    """
    found = [
        (trunk, target)
        for trunk in sorted(trunks, key=lambda trunk: trunk.priority)
        for target in _targets_in_order(trunk, dice)
    ]
    return sorted(found, key=lambda pair: is_down(pair[0].id, pair[1].uri))


def _targets_in_order(trunk: Trunk, dice: random.Random) -> list[TrunkTarget]:
    """Among equals each one's chance to be the next is its share of what is left."""
    ordered = []
    for priority in sorted({target.priority for target in trunk.targets}):
        left = [target for target in trunk.targets if target.priority == priority]
        while left:
            weights = [target.weight for target in left]
            chosen = dice.choices(left, weights)[0] if any(weights) else left[0]
            left.remove(chosen)
            ordered.append(chosen)
    return ordered
