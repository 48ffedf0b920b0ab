"""Who owns work that outlives the command that began it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """A task group that is open as long as the node is. What it owns must catch its own errors."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Owns the tasks until `close`. Must be running before the first `start`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._closed.wait()
            self._group = None
            for task in tuple(self._running):
                task.cancel()

    def close(self) -> None:
        """Cancels every task; `run` returns when they have ended."""
        self._closed.set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        if self._group is None:
            work.close()
            raise RuntimeError("the owner of tasks does not run")
        task = self._group.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task
