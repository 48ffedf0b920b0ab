"""A PostgreSQL database of its own for a test, on the server of `TAPELINE_TEST_POSTGRES`."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

SERVER = os.environ.get("TAPELINE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


@contextmanager
def fresh_database() -> Iterator[str]:
    """Its address for SQLAlchemy. Skips the test where no server answers."""
    name = sql.Identifier(database := f"tapeline_{secrets.token_hex(6)}")
    try:
        server = psycopg.connect(SERVER, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at {SERVER}: {error}")
    with server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            head = SERVER.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg://")
            yield f"{head}/{database}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
