"""Who runs the call programs: one task a live call, owned here, cancelled when the call ends."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tapeline.control import calls
from tapeline.control.live import End, LiveCall
from tapeline.control.parts import Parts
from tapeline.control.tasks import Tasks
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.error import EngineFailed, Unavailable
from tapeline.domain.id import CallId
from tapeline.flow.documents import Question
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_SERVER_ERROR = 500


class Program(Protocol):
    """What steers one call: an answer document's walker, or commands."""

    async def run(self) -> None:
        """Until it has hung up, or leaves the rest to commands, or the call has ended (then it is
        cancelled), or another program takes over (cancelled too).
        """


class CallPrograms:
    """Implements `control.Programs`. As many tasks as there are live calls, which the core bounds.

    `make` chooses a call's program: its first one, or the one that asks the given question first.
    A program that fails is a bug of ours and ends its call, never another one.
    """

    def __init__(self, parts: Parts, make: Callable[[LiveCall, Question | None], Program]) -> None:
        self._parts = parts
        self._make = make
        self._tasks: dict[CallId, asyncio.Task[None]] = {}
        self._owner = Tasks()

    async def run(self) -> None:
        """Owns the programs' tasks until `close`. Must be running before the first call."""
        await self._owner.run()

    def close(self) -> None:
        """Cancels every program; `run` returns when they have ended."""
        self._owner.close()

    def start(self, live_call: LiveCall) -> None:
        self._start(live_call, self._make(live_call, None))

    async def end(self, live_call: LiveCall) -> None:
        task = self._tasks.pop(live_call.call.id, None)
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def transfer(self, live_call: LiveCall, *, url: str, method: str) -> None:
        question = Question(url=url, method=method, event="transfer")
        await self.hand_over(live_call, self._make(live_call, question))

    async def hand_over(self, live_call: LiveCall, program: Program) -> None:
        """Ends the program that runs, then starts this one, unless the call is over."""
        await self.end(live_call)
        if not live_call.is_over:
            self._start(live_call, program)

    def _start(self, live_call: LiveCall, program: Program) -> None:
        work = self._run(live_call, program)
        task = self._owner.start(work, name=f"program of call {live_call.call.id}")
        self._tasks[live_call.call.id] = task
        task.add_done_callback(lambda done: self._forget(live_call.call.id, done))

    def _forget(self, call_id: CallId, done: asyncio.Task[None]) -> None:
        if self._tasks.get(call_id) is done:
            del self._tasks[call_id]

    async def _run(self, live_call: LiveCall, program: Program) -> None:
        try:
            await program.run()
        except EngineFailed as error:
            # Most often the call ended in this moment and its end is on the way to us.
            _log.info("program_lost_its_leg", call=live_call.call.id, reason=str(error))
            await self._hang_up(live_call, str(error))
        except Unavailable as error:  # the database or the disk, not us
            _log.error("program_stopped", call=live_call.call.id, reason=str(error))
            await self._hang_up(live_call, str(error))
        except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
            self._parts.bugs.add("call program", error)
            await self._hang_up(live_call, "an internal error")

    async def _hang_up(self, live_call: LiveCall, detail: str) -> None:
        end = End(cause=EndCause.FAULT, source=EndSource.ERROR, detail=detail)
        await calls.hang_up(self._parts, live_call, end, reject_status=_SERVER_ERROR)
