"""The migrations lead to exactly the tables that the code uses, and never backwards."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tapeline.domain.error import StoreFailed
from tapeline.state.engine import make_engine, sqlite_url
from tapeline.state.migrate import migrate
from tapeline.state.schema import metadata


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return make_engine(sqlite_url(tmp_path / "tapeline.db"), connections=1)


def test_the_newest_migration_gives_the_tables_of_the_schema(engine: sa.Engine) -> None:
    migrate(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(engine: sa.Engine) -> None:
    migrate(engine)
    migrate(engine)
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused_untouched(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreFailed, match="9999"):
        migrate(engine)
    engine.dispose()
