"""Unexpected exceptions: counted, logged once each, and a reason for a test run to fail."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tapeline.telemetry.logs import get_logger

_log = get_logger(__name__)
_KEPT = 100


class Bugs:
    """What should not have happened. A customer's fault is never counted here."""

    def __init__(self) -> None:
        self.count = 0
        self.seen: list[str] = []
        """The first hundred, for people and tests."""

    def add(self, where: str, error: BaseException) -> None:
        self.count += 1
        if len(self.seen) < _KEPT:
            self.seen.append(f"{where}: {error!r}")
        _log.error("unexpected_exception", where=where, exc_info=error)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Exceptions that no task's owner asked for are counted too."""

        def on_exception(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
            error = context.get("exception") or RuntimeError(context.get("message", "unknown"))
            self.add("event loop", error)

        loop.set_exception_handler(on_exception)
