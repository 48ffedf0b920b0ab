"""Work in order: what concerns the same thing never overtakes, what does not runs side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field

from tapeline.domain.error import Unavailable
from tapeline.telemetry import Bugs, get_logger

_log = get_logger(__name__)

WORKERS = 64


@dataclass(slots=True, eq=False)
class _Item:
    work: Callable[[], Awaitable[None]]
    keys: Sequence[Hashable]
    waits_for: int = 0
    followers: list["_Item"] = field(default_factory=list)


class Lanes:
    """An item starts when every earlier item that shares one of its keys has ended.

    `put` never blocks and nothing is dropped: what waits is bounded by who puts (the core has a
    fixed number of legs, rooms and recorders, and each reports few things in its life).
    An unexpected exception is a bug of ours: it is counted, and the lane goes on.
    """

    def __init__(self, bugs: Bugs, *, workers: int = WORKERS) -> None:
        self._bugs = bugs
        self._workers = workers
        self._last: dict[Hashable, _Item] = {}
        self._ready: asyncio.Queue[_Item] = asyncio.Queue()
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def depth(self) -> int:
        """How many items wait or run."""
        return self._open

    def put(self, keys: Sequence[Hashable], work: Callable[[], Awaitable[None]]) -> None:
        item = _Item(work, keys)
        for key in keys:
            before = self._last.get(key)
            if before is not None and before is not item:
                before.followers.append(item)
                item.waits_for += 1
            self._last[key] = item
        self._open += 1
        self._idle.clear()
        if item.waits_for == 0:
            self._ready.put_nowait(item)

    async def run(self) -> None:
        """Works until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"lane worker {number}")

    async def idle(self) -> None:
        """Returns when nothing waits or runs."""
        await self._idle.wait()

    async def _work(self) -> None:
        while True:
            item = await self._ready.get()
            try:
                await item.work()
            except Unavailable as error:  # the disk or the database, not us
                _log.error("signal_not_dealt_with", reason=str(error))
            except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
                self._bugs.add("signal", error)
            finally:
                self._finish(item)

    def _finish(self, item: _Item) -> None:
        for key in item.keys:
            if self._last.get(key) is item:
                del self._last[key]
        for follower in item.followers:
            follower.waits_for -= 1
            if follower.waits_for == 0:
                self._ready.put_nowait(follower)
        self._open -= 1
        if self._open == 0:
            self._idle.set()
