"""A bad network, seeded: what becomes of each packet that a softphone sends.

Pure: the packet's instant goes in, the instants of its copies come out. The same seed gives the
same network.
"""

import random
from dataclasses import dataclass

MS = 1_000_000
"""Nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkQuality:
    """Shares are 0 to 1; `jitter_ms` is the most that is added to `delay_ms`, evenly spread.

    A reordered packet is held back by `reorder_ms`, past those that follow it.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 45.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0


PERFECT = NetworkQuality()


class Netem:
    """The path of one stream; keeps the count of what it did."""

    def __init__(self, quality: NetworkQuality = PERFECT, *, seed: int = 0) -> None:
        self.quality = quality
        self.lost = 0
        self.duplicated = 0
        self.reordered = 0
        self._random = random.Random(seed)

    def departures(self, sent_ns: int) -> tuple[int, ...]:
        """When the copies of a packet sent at `sent_ns` leave; empty when it is lost."""
        quality, dice = self.quality, self._random
        if quality is PERFECT:
            return (sent_ns,)
        # Every dice is thrown for every packet, so that one share does not shift another's dice.
        lost, twice, late = dice.random(), dice.random(), dice.random()
        delay_ms = quality.delay_ms + dice.random() * quality.jitter_ms
        if lost < quality.loss:
            self.lost += 1
            return ()
        if late < quality.reorder:
            self.reordered += 1
            delay_ms += quality.reorder_ms
        leaves = sent_ns + int(delay_ms * MS)
        if twice < quality.duplicate:
            self.duplicated += 1
            return (leaves, leaves + MS)
        return (leaves,)
