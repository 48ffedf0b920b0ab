"""What one durable state change costs: latency p50 and p99, and commits a second.

    uv run python benchmarks/state_commit.py
    uv run --with aiosqlite --with greenlet python benchmarks/state_commit.py

`store` is `tapeline.state.SqlStore`: works as functions, one writer thread, commits in groups.
`aiosqlite` is SQLAlchemy's async engine over aiosqlite, one transaction a change, with a pool of
one and of eight connections; it runs when the package is there. Both insert the same row into the
same table (WAL, synchronous FULL) at 1, 8 and 64 writers at once. `--sync-ms N` makes every
commit wait N ms more, like a disk slower than this one.
"""

import argparse
import asyncio
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa

from tapeline.domain.call import Call, CallState, Direction
from tapeline.domain.id import AccountId, CallId, EpochMs, NodeId, new_account_id, new_uuid
from tapeline.domain.port import Transaction
from tapeline.state import SqlStore, Vault
from tapeline.state.engine import sqlite_url
from tapeline.state.rows import CallRows
from tapeline.state.schema import accounts

WRITERS = (1, 8, 64)
Change = Callable[[], Awaitable[object]]


def new_call(account_id: AccountId) -> Call:
    call_id = CallId(new_uuid())
    return Call(
        id=call_id,
        account_id=account_id,
        application_id=None,
        dialect="bench",
        node_id=NodeId("bench"),
        direction=Direction.INBOUND,
        caller="+15550100",
        caller_name="",
        called="room-1",
        session_id=call_id,
        state=CallState.RINGING,
        created_at_ms=EpochMs(1),
    )


async def measure(name: str, change: Change, writers: int, seconds: float) -> None:
    waits_ms: list[float] = []
    end = time.perf_counter() + seconds

    async def writer() -> None:
        while (began := time.perf_counter()) < end:
            await change()
            waits_ms.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    cpu = time.process_time()
    await asyncio.gather(*(writer() for _ in range(writers)))
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    cuts = statistics.quantiles(waits_ms, n=100)
    print(
        f"{name:<18} {writers:>3} writers   p50 {cuts[49]:7.2f} ms   p99 {cuts[98]:7.2f} ms   "
        f"{len(waits_ms) / elapsed:7.0f} changes/s   {cpu / len(waits_ms) * 1e6:5.0f} us CPU",
    )


def slow_down(engine: sa.Engine, sync_ms: float) -> None:
    if sync_ms:
        sa.event.listen(engine, "commit", lambda _connection: time.sleep(sync_ms / 1000))


def account_row(account_id: AccountId) -> dict[str, object]:
    columns = ("name", "auth_token_sealed", "api_key_hash", "signing_seed_sealed", "public_key")
    return {"id": account_id, "settings": {}, "created_at_ms": 1, **dict.fromkeys(columns, "-")}


async def bench_store(path: Path, seconds: float, sync_ms: float) -> None:
    store = await SqlStore.open(path, Vault(bytes(32)))
    slow_down(store._writer_engine, sync_ms)  # noqa: SLF001
    account_id = new_account_id()

    def add_account(tx: Transaction) -> None:
        connection = tx.calls._connection  # type: ignore[attr-defined]  # noqa: SLF001
        connection.execute(accounts.insert(), account_row(account_id))

    await store.write(add_account)
    for writers in WRITERS:
        await measure(
            "store",
            lambda: store.write(lambda tx: tx.calls.add(new_call(account_id))),
            writers,
            seconds,
        )
    await store.close()


async def bench_aiosqlite(path: Path, pool: int, seconds: float, sync_ms: float) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    store = await SqlStore.open(path, Vault(bytes(32)))  # for the schema
    await store.close()
    url = sqlite_url(path).replace("sqlite://", "sqlite+aiosqlite://")
    engine = create_async_engine(url, pool_size=pool, max_overflow=0)
    slow_down(engine.sync_engine, sync_ms)

    @sa.event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    account_id = new_account_id()
    async with engine.begin() as connection:
        await connection.execute(accounts.insert(), account_row(account_id))

    async def change() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: CallRows(sync).add(new_call(account_id)))

    for writers in WRITERS:
        await measure(f"aiosqlite pool {pool}", change, writers, seconds)
    await engine.dispose()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    parser.add_argument("--sync-ms", type=float, default=0.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        await bench_store(Path(folder) / "store.db", options.seconds, options.sync_ms)
        if importlib.util.find_spec("aiosqlite") is None:
            print("aiosqlite is not installed: its rows are left out")
            return
        for pool in (1, 8):
            path = Path(folder) / f"aiosqlite{pool}.db"
            await bench_aiosqlite(path, pool, options.seconds, options.sync_ms)


if __name__ == "__main__":
    asyncio.run(main())
