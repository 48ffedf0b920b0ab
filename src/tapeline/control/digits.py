"""Keys that a call's phone presses, on their way to whoever listens. They live in memory only."""

import asyncio

LIMIT = 256
"""Digits that wait for one listener; nobody dials more between two verbs."""


class DigitInbox:
    """Digits in the order they were pressed. What comes past LIMIT is dropped."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[str] = asyncio.Queue(LIMIT)

    def put(self, digit: str) -> bool:
        """False when it was dropped."""
        try:
            self._waiting.put_nowait(digit)
        except asyncio.QueueFull:
            return False
        return True

    async def get(self) -> str:
        return await self._waiting.get()
