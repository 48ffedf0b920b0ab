"""Durable workflows by DBOS, in a database of their own: a SQLite file, or PostgreSQL.

DBOS keeps which step of which workflow has ended and until when one sleeps; what the steps did is
in our rows. It runs on threads and a loop of its own: each attempt comes over to the node's loop.

A process has one DBOS, so it can have one of these open at a time.
"""

import asyncio
import contextvars
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID

from tapeline.domain.error import Unavailable
from tapeline.domain.id import RecordingId
from tapeline.domain.work import Step

ResultT = TypeVar("ResultT")
Attempt = Callable[[RecordingId, Step, int], Awaitable[float | None]]
"""`Afterwork.attempt`."""

VERSION = "1"
"""Of the order of steps in `_after_recording`. Pinned: DBOS leaves alone what another version of
the program began, and takes every change of the source for one.
"""
SCHEMA = "workflows"
"""In PostgreSQL."""
FORGET_AT_ONCE = 500
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_MOST_RECOVERIES = 1_000_000
"""A node may be killed as often as it likes; a recording's work is given up by its tries alone."""


class DurableWorkflows:
    """Implements `domain.port.Workflows`. `open`, then `close`, on one event loop."""

    def __init__(self, engine: sa.Engine, *, node_id: str, attempt: Attempt) -> None:
        """`engine` is disposed of by `close`."""
        self._engine = engine
        self._node_id = node_id
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Goes on with what this node had under way. Raises Unavailable."""
        global _running  # noqa: PLW0603  DBOS finds a workflow's function by its name alone
        if _running is not None:
            raise RuntimeError("this process has its workflows open already")
        _running = self
        await self._ask(self._launch)

    async def close(self) -> None:
        """What is under way is cut off, and begun anew after the next `open`; may come twice."""
        global _running  # noqa: PLW0603
        if _running is not self:
            return
        # It takes those that it cuts off for failed, and says so at length; the scanner begins
        # them anew. Of a killed process it knows that they go on.
        logging.getLogger("dbos").setLevel(logging.CRITICAL + 1)
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        _running = None
        self._engine.dispose()

    async def start(self, workflow_id: str, recording_id: RecordingId) -> None:
        def begin() -> None:
            with SetWorkflowID(workflow_id):
                DBOS.start_workflow(_after_recording, recording_id)

        await self._ask(begin)

    async def has_ended(self, workflow_id: str) -> bool:
        status = await self._ask(lambda: DBOS.get_workflow_status(workflow_id))
        return status is not None and status.status in _ENDED

    async def forget_ended(self) -> None:
        def forget() -> int:
            found = DBOS.list_workflows(
                status=_ENDED, limit=FORGET_AT_ONCE, load_input=False, load_output=False
            )
            DBOS.delete_workflows([each.workflow_id for each in found])
            return len(found)

        while await self._ask(forget) == FORGET_AT_ONCE:
            continue

    async def attempt(self, recording_id: RecordingId, step: Step, tries: int) -> float | None:
        """Called on DBOS's loop."""
        coming = asyncio.run_coroutine_threadsafe(
            _coroutine(self._attempt(recording_id, step, tries)), self._loop
        )
        return await asyncio.wrap_future(coming)

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": "tapeline",
            "system_database_url": self._engine.url.render_as_string(hide_password=False),
            "system_database_engine": self._engine,
            "dbos_system_schema": SCHEMA,
            "application_version": VERSION,
            "executor_id": self._node_id,
            "log_level": "ERROR",
            "enable_otlp": False,
        }
        logging.getLogger("dbos").setLevel(logging.ERROR)
        DBOS(config=config)
        DBOS.launch()

    async def _ask(self, work: Callable[[], ResultT]) -> ResultT:
        """In a thread and an empty context: DBOS takes who calls for a workflow's step otherwise,
        and its coroutines for ours. Raises Unavailable.
        """
        context = contextvars.Context()
        try:
            return await self._loop.run_in_executor(None, context.run, work)
        except Exception as error:
            raise Unavailable(f"the workflows' database failed: {error}") from error


def workflow_engine(url: str) -> sa.Engine:
    """Connections as DBOS wants them: to SQLite one that writes ahead and waits for the disk, in
    the driver's own transactions, which begin by taking the lock.
    """
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_size=4, max_overflow=0, pool_pre_ping=True)
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


_running: DurableWorkflows | None = None


async def _coroutine(work: Awaitable[ResultT]) -> ResultT:
    return await work


@DBOS.step(name="attempt")
async def _attempt(recording_id: str, step: str, tries: int) -> float | None:
    if _running is None:
        raise asyncio.CancelledError
    return await _running.attempt(RecordingId(recording_id), Step(step), tries)


@DBOS.workflow(name="after_recording", max_recovery_attempts=_MOST_RECOVERIES)
async def _after_recording(recording_id: str) -> str:
    """The order of its steps is what DBOS counts on: a change of it is a new VERSION."""
    for step in (Step.STORE, Step.TRANSCRIBE, Step.RELEASE):
        tries = 0
        while (wait_s := await _attempt(recording_id, step.value, tries)) is not None:
            if wait_s < 0:
                return f"stuck: {step}"
            tries += 1
            await DBOS.sleep_async(wait_s)
    return "done"


__all__ = ["DurableWorkflows", "workflow_engine"]
