"""Run by Alembic for each migration; the connection and its transaction are `migrate`'s."""

from alembic import context

from tapeline.state.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
