"""Brings a database to the newest schema, and checks that this node has its master key."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from tapeline.domain.error import StoreFailed
from tapeline.state.schema import facts
from tapeline.state.vault import MasterKeyInvalid, Vault

_POSTGRESQL_LOCK = 0x7461_7065
_CHECK_NAME = "vault_check"
_CHECK_WORD = b"tapeline"


def alembic_config() -> Config:
    """Alembic's settings without an ini file; the scripts lie beside this module."""
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def migrate(engine: sa.Engine) -> None:
    """In one transaction, under a lock: two nodes that start together migrate once.

    Raises StoreFailed when the database was written by a newer tapeline.
    """
    config = alembic_config()
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
        current = MigrationContext.configure(connection).get_current_revision()
        if current == newest:
            return
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreFailed(
                f"the database has schema {current}, which this version does not know; "
                "start the version that wrote it, or a newer one",
            ) from error


def check_vault(engine: sa.Engine, vault: Vault) -> None:
    """The first node seals a word; every later one must be able to open it.

    Raises MasterKeyInvalid.
    """
    with engine.begin() as connection:
        known = connection.execute(
            sa.select(facts.c.value).where(facts.c.name == _CHECK_NAME)
        ).scalar()
        if known is None:
            sealed = vault.seal(_CHECK_WORD, _CHECK_NAME)
            connection.execute(facts.insert(), {"name": _CHECK_NAME, "value": sealed})
        elif vault.open(known, _CHECK_NAME) != _CHECK_WORD:
            raise MasterKeyInvalid("the master key is not the one of this database")
