"""Endpoints and where they are, trunks, recording policies.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _endpoints()
    _locations()
    _trunks()
    _policies()


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("realm", sa.String(), nullable=False),
        sa.Column("ha1_md5", sa.String(), nullable=False),
        sa.Column("ha1_sha256", sa.String(), nullable=False),
        sa.Column("application_id", sa.String(), nullable=True),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_endpoints_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_endpoints"),
        sa.UniqueConstraint("id", name="uq_endpoints_id"),
        sa.UniqueConstraint("username", name="uq_endpoints_username"),
    )
    op.create_index("ix_endpoints_account_id_seq", "endpoints", ["account_id", "seq"], unique=False)


def _locations() -> None:
    op.create_table(
        "locations",
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("expires_unix_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name="fk_locations_endpoint_id"),
        sa.PrimaryKeyConstraint("endpoint_id", "number", name="pk_locations"),
    )


def _trunks() -> None:
    op.create_table(
        "trunks",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_sealed", sa.String(), nullable=False),
        sa.Column("application_id", sa.String(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_trunks_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_trunks"),
        sa.UniqueConstraint("account_id", "name", name="uq_trunks_account_id_name"),
        sa.UniqueConstraint("id", name="uq_trunks_id"),
    )
    op.create_index("ix_trunks_account_id_seq", "trunks", ["account_id", "seq"], unique=False)


def _policies() -> None:
    op.create_table(
        "policies",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("begins", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_policies_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_policies"),
        sa.UniqueConstraint("id", name="uq_policies_id"),
        sa.UniqueConstraint("subject", "subject_id", name="uq_policies_subject_subject_id"),
    )
    op.create_index("ix_policies_account_id_seq", "policies", ["account_id", "seq"], unique=False)
