"""How connections are made: SQLite durable and with savepoints that work, PostgreSQL as it is."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tapeline.state.folder import PRIVATE_FILE

_BUSY_TIMEOUT_MS = 10_000


def sqlite_url(path: Path) -> str:
    """Makes the file, 0600, when it is not there; SQLite gives its log files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
    return sa.URL.create("sqlite", database=str(path)).render_as_string()


def make_engine(url: str, *, connections: int, read_only: bool = False) -> sa.Engine:
    """`connections` at most; a read-only engine's refuse to write."""
    engine = sa.create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=not url.startswith("sqlite"),
        poolclass=sa.QueuePool,
        json_serializer=_to_json,
        **({"connect_args": {"check_same_thread": False}} if url.startswith("sqlite") else {}),
    )
    if engine.dialect.name == "sqlite":
        _listen_sqlite(engine, read_only=read_only)
    elif read_only:
        engine = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    return engine


def _listen_sqlite(engine: sa.Engine, *, read_only: bool) -> None:
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver would begin late and break savepoints; we begin ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
