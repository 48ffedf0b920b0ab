"""`domain.port.Store`: transactions are functions, run by one writer thread that commits in groups.

    event loop                     writer thread
    write(work) ── queue ────────▶ BEGIN
    write(work) ── queue ────────▶   SAVEPOINT, work, RELEASE   (an exception: ROLLBACK TO)
         …                           …everything that waits
    results, events ◀───────────── COMMIT (one disk sync for all of them)

Whatever queues up while a commit waits for the disk is in the next one, so the sync is shared
under load and costs one waiter nothing when idle. docs/decisions/0003 has the measurements.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tapeline.domain.error import StoreFailed
from tapeline.domain.event import Event
from tapeline.domain.port import Transaction
from tapeline.state.engine import make_engine, sqlite_url
from tapeline.state.migrate import check_vault, migrate
from tapeline.state.transaction import SqlTransaction, Subscriber, WriteInRead
from tapeline.state.vault import Vault

ResultT = TypeVar("ResultT")
Work = Callable[[Transaction], Any]

READERS = 4
QUEUE_LIMIT = 1024
"""Works that may wait; `write` waits for room when so many do."""
BATCH_LIMIT = 256
"""Works in one commit, so that the first of a flood does not wait for the last."""


@dataclass(slots=True)
class _Job:
    """One work and what came of it; the writer thread fills it in, the loop reads it after."""

    work: Work
    answer: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    events: list[Event] = field(default_factory=list)
    afterwards: list[Callable[[], None]] = field(default_factory=list)


class SqlStore:
    """Rows in SQLite or PostgreSQL. Made by `open`, bound to the event loop that opened it."""

    def __init__(self, url: str, vault: Vault) -> None:
        """Use `open` instead: it migrates first and starts the threads."""
        self._vault = vault
        self._loop = asyncio.get_running_loop()
        self._writer_engine = make_engine(url, connections=1)
        self._reader_engine = make_engine(url, connections=READERS, read_only=True)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="state-read")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(QUEUE_LIMIT)
        self._writer = threading.Thread(target=self._run_writer, name="state-write", daemon=True)
        self._in_transaction: list[Subscriber] = []
        self._after_commit: list[Callable[[Sequence[Event]], None]] = []
        self._is_closed = False

    @classmethod
    async def open(cls, target: Path | str, vault: Vault) -> "SqlStore":
        """`target`: the SQLite file's path, or a SQLAlchemy URL. Migrates to the newest schema.

        Raises StoreFailed (no such database, a newer schema), MasterKeyInvalid, OSError.
        """
        url = sqlite_url(target) if isinstance(target, Path) else target
        await asyncio.to_thread(_prepare, url, vault)
        store = cls(url, vault)
        store._writer.start()
        return store

    def subscribe(
        self,
        *,
        in_transaction: Subscriber | None = None,
        after_commit: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        """`in_transaction` runs in the writer thread inside `emit`; `after_commit` on the loop."""
        if in_transaction is not None:
            self._in_transaction.append(in_transaction)
        if after_commit is not None:
            self._after_commit.append(after_commit)

    async def write(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Runs `work` in the writer thread; returns once it is on the disk.

        What `work` raises rolls its own changes back and comes out here. Once queued it runs to
        its end even if the caller is cancelled. Raises StoreFailed.
        """
        await self._room.acquire()
        if self._is_closed:
            self._room.release()
            raise StoreFailed("the store is closed")
        job = _Job(work, self._loop.create_future())
        self._jobs.put(job)
        answer: ResultT = await job.answer
        return answer

    async def read(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Runs `work` on a snapshot in a reader thread. Raises WriteInRead, StoreFailed."""
        if self._is_closed:
            raise StoreFailed("the store is closed")
        return await self._loop.run_in_executor(self._readers, self._read, work)

    async def close(self) -> None:
        """Finishes what is queued, then lets go of the database. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._reader_engine.dispose()
        self._writer_engine.dispose()
        await asyncio.sleep(0)  # the last batch's answers are queued on the loop already

    def _read(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        try:
            with self._reader_engine.connect() as connection, connection.begin():
                return work(SqlTransaction(connection, self._vault, may_write=False))
        except DBAPIError as error:
            if _is_write_refusal(error):
                raise WriteInRead(str(error.orig)) from error
            raise StoreFailed(str(error.orig)) from error

    def _run_writer(self) -> None:
        connection: sa.Connection | None = None
        while True:
            batch, is_last = self._next_batch()
            if batch:
                try:
                    connection = connection or self._writer_engine.connect()
                    with connection.begin():
                        for job in batch:
                            self._run(job, connection)
                except SQLAlchemyError as error:
                    # Nothing of this batch is durable; the next one gets a fresh connection.
                    _fail(batch, error)
                    _discard(connection)
                    connection = None
                self._loop.call_soon_threadsafe(self._settle, batch)
            if is_last:
                break
        if connection is not None:
            connection.close()

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """Everything that waits, up to BATCH_LIMIT; and whether the store closes after it."""
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) >= BATCH_LIMIT:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _run(self, job: _Job, connection: sa.Connection) -> None:
        """One work in its savepoint. Raises SQLAlchemyError when the transaction is lost."""
        savepoint = connection.begin_nested()
        transaction = SqlTransaction(connection, self._vault, subscribers=self._in_transaction)
        try:
            job.result = job.work(transaction)
        except Exception as error:  # noqa: BLE001  it belongs to whoever awaits the write
            savepoint.rollback()
            job.error = _translate(error)
        else:
            savepoint.commit()
            job.events = transaction.emitted
            job.afterwards = transaction.afterwards

    def _settle(self, batch: Sequence[_Job]) -> None:
        """On the loop: subscribers first, in commit order, then whoever waits."""
        events = [event for job in batch for event in job.events]
        if events:
            for subscriber in self._after_commit:
                self._call(partial(subscriber, events))
        for job in batch:
            for run in job.afterwards:
                self._call(run)
            self._room.release()
            if job.answer.cancelled():
                continue
            if job.error is None:
                job.answer.set_result(job.result)
            else:
                job.answer.set_exception(job.error)

    def _call(self, run: Callable[[], None]) -> None:
        """A subscriber's error is reported, and takes nobody else's answer away."""
        try:
            run()
        except Exception as error:  # noqa: BLE001  the loop's handler counts and logs it
            self._loop.call_exception_handler(
                {"message": "a subscriber failed after the commit", "exception": error},
            )


def _prepare(url: str, vault: Vault) -> None:
    engine = make_engine(url, connections=1)
    try:
        migrate(engine)
        check_vault(engine, vault)
    except DBAPIError as error:
        raise StoreFailed(str(error.orig)) from error
    finally:
        engine.dispose()


def _translate(error: Exception) -> Exception:
    if isinstance(error, DBAPIError):
        failed = StoreFailed(str(error.orig))
        failed.__cause__ = error
        return failed
    return error


def _fail(batch: Sequence[_Job], error: SQLAlchemyError) -> None:
    for job in batch:
        job.events, job.afterwards, job.result = [], [], None
        if job.error is None:
            job.error = _translate(error)


def _discard(connection: sa.Connection | None) -> None:
    if connection is not None:
        connection.invalidate()
        connection.close()


def _is_write_refusal(error: DBAPIError) -> bool:
    text = str(error.orig).lower()
    return "readonly database" in text or "read-only transaction" in text
