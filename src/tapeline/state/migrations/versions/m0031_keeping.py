"""Legal holds, due dates and deletions under way.

Revision: 0031, after 0030.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_KEPT = sa.text("state IN ('completed', 'failed', 'absent')")
_HAS_DATE = sa.text("delete_at_ms IS NOT NULL")
_BEGUN = sa.text("deletion_at_ms IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "keeping",
        sa.Column("recording_id", sa.String(), nullable=False),
        sa.Column("hold_by", sa.String(), nullable=True),
        sa.Column("hold_because", sa.String(), nullable=True),
        sa.Column("hold_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("delete_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("deletion_by", sa.String(), nullable=True),
        sa.Column("deletion_because", sa.String(), nullable=True),
        sa.Column("deletion_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name="fk_keeping_recording_id"
        ),
        sa.PrimaryKeyConstraint("recording_id", name="pk_keeping"),
    )
    for name, where in (("delete_at_ms", _HAS_DATE), ("deletion_at_ms", _BEGUN)):
        op.create_index(
            f"ix_keeping_{name}", "keeping", [name], sqlite_where=where, postgresql_where=where
        )
    op.create_index(
        "ix_recordings_kept",
        "recordings",
        ["account_id", "ended_at_ms"],
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    )
    op.create_index("ix_events_recording_id", "events", ["recording_id"])
    op.create_index("ix_deliveries_event_id", "deliveries", ["event_id"])
