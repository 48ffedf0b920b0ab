"""What waits to be heard by one call or one conference: one sound after another, in the order they
were asked for.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tapeline.domain.sound import SoundUse

LONGEST = 32
"""Sounds that wait in one place."""


@dataclass(slots=True, eq=False, kw_only=True)
class Playing:
    """A place in a playlist."""

    use: SoundUse
    task: asyncio.Task[None] | None = None
    """What plays it, once its file is there."""
    is_stopped: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """`over` is set when it is not heard any more."""
        self.is_stopped = True
        if self.task is not None:
            self.task.cancel()


class Playlist:
    def __init__(self) -> None:
        self._places: list[Playing] = []
        self._moved = asyncio.Event()

    @property
    def is_full(self) -> bool:
        return len(self._places) >= LONGEST

    def add(self, playing: Playing) -> None:
        self._places.append(playing)

    def remove(self, playing: Playing) -> None:
        """It is over."""
        self._places.remove(playing)
        playing.over.set()
        self._moved.set()
        self._moved = asyncio.Event()

    async def turn(self, playing: Playing) -> None:
        """Returns when everything before it is over."""
        while self._places[0] is not playing:
            await self._moved.wait()

    def chosen(self, uses: frozenset[SoundUse], *, only_current: bool = False) -> Sequence[Playing]:
        """Those of these uses; with `only_current` the first of them."""
        found = [playing for playing in self._places if playing.use in uses]
        return found[:1] if only_current else found


async def stop(places: Sequence[Playing]) -> None:
    """Returns when none of them is heard any more."""
    for playing in places:
        playing.stop()
    for playing in places:
        await playing.over.wait()
