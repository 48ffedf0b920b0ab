"""Who waits for the end of which file that the core plays."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tapeline.domain.signal import PlaybackHandle, PlayFinished


class Playbacks:
    """The core may report an end before the start of that playback has returned its handle: such
    an end is kept while any start is under way.
    """

    def __init__(self) -> None:
        self._waiting: dict[PlaybackHandle, asyncio.Future[PlayFinished]] = {}
        self._early: dict[PlaybackHandle, PlayFinished] = {}
        self._starting = 0

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Around the start and the `expect` of what it returned."""
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1
            if not self._starting:
                self._early.clear()

    def expect(self, playback: PlaybackHandle) -> asyncio.Future[PlayFinished]:
        """What `finish` will be called with, or was."""
        ended: asyncio.Future[PlayFinished] = asyncio.get_running_loop().create_future()
        if (early := self._early.pop(playback, None)) is not None:
            ended.set_result(early)
        else:
            self._waiting[playback] = ended
        return ended

    def finish(self, finished: PlayFinished) -> None:
        ended = self._waiting.pop(finished.playback, None)
        if ended is None:
            if self._starting:
                self._early[finished.playback] = finished
        elif not ended.done():
            ended.set_result(finished)
