"""Buckets of object storage, where recordings' bytes are, and the work after their end.

Revision: 0020, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0002"
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("state != 'done'")


def upgrade() -> None:
    _buckets()
    _stored()
    _works()
    _work_that_waits()


def _work_that_waits() -> None:
    """Transcripts that were asked for before there were workflows."""
    op.execute(
        "INSERT INTO works (recording_id, state, round, step, tries, changed_at_ms) "
        "SELECT recording_id, 'pending', 1, 'store', 0, max(created_at_ms) FROM transcripts "
        "WHERE state = 'pending' GROUP BY recording_id"
    )


def _buckets() -> None:
    op.create_table(
        "buckets",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("secrets_sealed", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("retired_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_buckets_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_buckets"),
        sa.UniqueConstraint("id", name="uq_buckets_id"),
    )


def _stored() -> None:
    op.create_table(
        "stored",
        sa.Column("recording_id", sa.String(), nullable=False),
        sa.Column("bucket_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"], name="fk_stored_recording_id"),
        sa.ForeignKeyConstraint(["bucket_id"], ["buckets.id"], name="fk_stored_bucket_id"),
        sa.PrimaryKeyConstraint("recording_id", name="pk_stored"),
    )


def _works() -> None:
    op.create_table(
        "works",
        sa.Column("recording_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"], name="fk_works_recording_id"),
        sa.PrimaryKeyConstraint("recording_id", name="pk_works"),
    )
    op.create_index(
        "ix_works_open",
        "works",
        ["state", "changed_at_ms"],
        unique=False,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
