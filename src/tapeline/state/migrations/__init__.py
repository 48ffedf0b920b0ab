"""Alembic's scripts: run by `state.migrate` when a store is opened."""
