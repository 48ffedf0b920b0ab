"""Manifests and the personal values that they hide.

Revision: 0030, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "manifests",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recording_id", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_manifests_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_manifests"),
        sa.UniqueConstraint("account_id", "number", name="uq_manifests_account_id_number"),
    )
    op.create_index("ix_manifests_recording_id", "manifests", ["recording_id"], unique=False)
    op.create_table(
        "personal_values",
        sa.Column("recording_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name="fk_personal_values_recording_id"
        ),
        sa.PrimaryKeyConstraint("recording_id", "name", name="pk_personal_values"),
    )
