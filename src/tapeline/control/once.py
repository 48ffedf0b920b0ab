"""Commands that carry a key: each key is carried out once (`domain.command.Once`).

Kept in memory: a process that starts anew has forgotten its keys, and its live things with them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tapeline.domain.command import Once
from tapeline.domain.id import EpochMs
from tapeline.domain.port import Clock

KEPT = 20_000
"""Outcomes; more only while all of them are younger than LEAST_MS."""
LEAST_MS = 60_000
MOST_MS = 24 * 3_600_000


@dataclass(slots=True)
class _Entry:
    outcome: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    kept_at_ms: EpochMs | None = None
    """None while it is being carried out."""


class OnceKeeper:
    """Who comes later gets the first outcome, whatever it is that the later one asks; who comes
    meanwhile waits for it, and shares a failure too. What failed may be asked again.
    """

    def __init__(self, clock: Clock, *, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._entries: dict[Once, _Entry] = {}

    async def run(self, once: Once, work: Callable[[], Awaitable[Any]]) -> Any:
        self._forget_old()
        entry = self._entries.get(once)
        if entry is not None:
            return await asyncio.shield(entry.outcome)
        entry = self._entries[once] = _Entry()
        try:
            outcome = await work()
        except BaseException as error:
            del self._entries[once]
            if isinstance(error, Exception):
                entry.outcome.set_exception(error)
                entry.outcome.exception()  # taken: nobody else may be waiting for it
            else:
                entry.outcome.cancel()
            raise
        # Behind those that were kept before it, so that the oldest stay in front.
        del self._entries[once]
        entry.kept_at_ms = self._clock.now_ms()
        self._entries[once] = entry
        entry.outcome.set_result(outcome)
        return outcome

    def _forget_old(self) -> None:
        """From the oldest on, as many as are too old or too many."""
        now_ms = self._clock.now_ms()
        doomed: list[Once] = []
        for once, entry in self._entries.items():
            if entry.kept_at_ms is None:
                continue
            age_ms = now_ms - entry.kept_at_ms
            has_room = len(self._entries) - len(doomed) <= self._kept
            if age_ms < LEAST_MS or (age_ms < MOST_MS and has_room):
                break
            doomed.append(once)
        for once in doomed:
            del self._entries[once]
