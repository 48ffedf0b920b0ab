"""The tables, as the newest migration leaves them. Portable: SQLite and PostgreSQL.

Instants are milliseconds since 1970 in BIGINT. `seq` is the order in which rows came, for lists
that must be stable. JSON columns keep their keys' order (not JSONB), because a callback's body is
rendered from one.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    },
)

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _seq() -> sa.Column[int]:
    return sa.Column("seq", _SEQ, primary_key=True, autoincrement=True)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String, nullable=False, unique=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


def _ms(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def _owner() -> sa.Column[str]:
    return sa.Column("account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=False)


facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    _text("value"),
)
"""What the database knows of itself: a sealed word that only the right master key opens."""

accounts = sa.Table(
    "accounts",
    metadata,
    _seq(),
    _id(),
    _text("name"),
    _text("auth_token_sealed"),
    sa.Column("api_key_hash", sa.String, nullable=False, unique=True),
    _text("signing_seed_sealed"),
    _text("public_key"),
    _json("settings"),
    _ms("created_at_ms"),
    sa.Column("last_member_id", sa.BigInteger, nullable=False, server_default="0"),
)

applications = sa.Table(
    "applications",
    metadata,
    _seq(),
    _id(),
    _owner(),
    _text("dialect"),
    _text("name"),
    _text("answer_url", nullable=True),
    _text("answer_method"),
    _text("answer_document", nullable=True),
    _text("fallback_url", nullable=True),
    _text("fallback_method"),
    _text("hangup_url", nullable=True),
    _text("hangup_method"),
    _text("ring_url", nullable=True),
    _text("ring_method"),
    _json("extras"),
    sa.Column("is_ad_hoc", sa.Boolean, nullable=False),
    _ms("created_at_ms"),
    _ms("deleted_at_ms", nullable=True),
    sa.Index(None, "account_id", "seq"),
)

numbers = sa.Table(
    "numbers",
    metadata,
    _seq(),
    sa.Column("pattern", sa.String, nullable=False, unique=True),
    _text("literal"),
    sa.Column("has_star", sa.Boolean, nullable=False),
    _owner(),
    sa.Column("application_id", sa.String, sa.ForeignKey("applications.id"), nullable=False),
    _ms("created_at_ms"),
    sa.Index(None, "literal", "has_star"),
)

calls = sa.Table(
    "calls",
    metadata,
    _seq(),
    _id(),
    _owner(),
    sa.Column("application_id", sa.String, nullable=True),
    _text("dialect"),
    _text("node_id"),
    _text("direction"),
    _text("caller"),
    _text("caller_name"),
    _text("called"),
    _text("matched"),
    _text("session_id"),
    _text("state"),
    _text("parent_id", nullable=True),
    _json("headers"),
    _json("extras"),
    _ms("created_at_ms"),
    _ms("answered_at_ms", nullable=True),
    _ms("ended_at_ms", nullable=True),
    _text("end_cause", nullable=True),
    _text("end_source", nullable=True),
    _text("end_detail", nullable=True),
    sa.Index(None, "account_id", "seq"),
)
sa.Index(
    "ix_calls_open",
    calls.c.node_id,
    calls.c.seq,
    sqlite_where=calls.c.state != "ended",
    postgresql_where=calls.c.state != "ended",
)

conferences = sa.Table(
    "conferences",
    metadata,
    _seq(),
    _id(),
    _owner(),
    _text("name"),
    _text("node_id"),
    _text("state"),
    _text("dialect"),
    _text("creator_call_id"),
    sa.Column("max_participants", sa.Integer, nullable=True),
    _json("extras"),
    _ms("created_at_ms"),
    _ms("expires_at_ms", nullable=True),
    _ms("ended_at_ms", nullable=True),
    _text("end_reason", nullable=True),
    sa.Index(None, "account_id", "seq"),
)
sa.Index(
    "uq_conferences_live",
    conferences.c.account_id,
    conferences.c.name,
    unique=True,
    sqlite_where=conferences.c.state != "completed",
    postgresql_where=conferences.c.state != "completed",
)

participants = sa.Table(
    "participants",
    metadata,
    _seq(),
    _text("member_id"),
    sa.Column("conference_id", sa.String, sa.ForeignKey("conferences.id"), nullable=False),
    sa.Column("call_id", sa.String, sa.ForeignKey("calls.id"), nullable=False),
    _text("state"),
    sa.Column("muted", sa.Boolean, nullable=False),
    sa.Column("deaf", sa.Boolean, nullable=False),
    sa.Column("on_hold", sa.Boolean, nullable=False),
    _text("role"),
    _json("whispers_to"),
    sa.Column("end_conference_on_exit", sa.Boolean, nullable=False),
    sa.Column("hangs_up_on_exit", sa.Boolean, nullable=False),
    _text("label"),
    sa.Column("leg", sa.BigInteger, nullable=False),
    _ms("joined_at_ms"),
    _ms("left_at_ms", nullable=True),
    sa.UniqueConstraint("conference_id", "member_id"),
    sa.Index(None, "call_id", "seq"),
)

recordings = sa.Table(
    "recordings",
    metadata,
    _seq(),
    _id(),
    _owner(),
    _text("node_id"),
    _json("starter"),
    _text("target"),
    _text("call_id", nullable=True),
    _text("conference_id", nullable=True),
    _text("conference_name", nullable=True),
    _text("caller"),
    _text("called"),
    _text("format"),
    _json("options"),
    sa.Column("rate_hz", sa.Integer, nullable=False),
    _text("state"),
    _json("health"),
    _text("reason", nullable=True),
    _text("end_reason", nullable=True),
    _ms("started_at_ms"),
    _ms("ended_at_ms", nullable=True),
    sa.Column("sample_count", sa.BigInteger, nullable=False),
    sa.Column("byte_count", sa.BigInteger, nullable=False),
    _text("sha256", nullable=True),
    _text("storage_key"),
    _ms("deleted_at_ms", nullable=True),
    _text("deleted_because", nullable=True),
    sa.Index(None, "account_id", "started_at_ms", "seq"),
    sa.Index(None, "account_id", "conference_name", "started_at_ms"),
    sa.Index(None, "conference_id"),
    sa.Index(None, "call_id"),
)
_UNFINISHED = recordings.c.state.in_(["recording", "paused", "finalising"])
sa.Index(
    "ix_recordings_unfinished",
    recordings.c.node_id,
    recordings.c.seq,
    sqlite_where=_UNFINISHED,
    postgresql_where=_UNFINISHED,
)

_KEPT = recordings.c.state.in_(["completed", "failed", "absent"])
sa.Index(
    "ix_recordings_kept",
    recordings.c.account_id,
    recordings.c.ended_at_ms,
    sqlite_where=_KEPT,
    postgresql_where=_KEPT,
)

keeping = sa.Table(
    "keeping",
    metadata,
    sa.Column("recording_id", sa.String, sa.ForeignKey("recordings.id"), primary_key=True),
    _text("hold_by", nullable=True),
    _text("hold_because", nullable=True),
    _ms("hold_at_ms", nullable=True),
    _ms("delete_at_ms", nullable=True),
    _text("deletion_by", nullable=True),
    _text("deletion_because", nullable=True),
    _ms("deletion_at_ms", nullable=True),
)
"""Only of recordings of which anything of it was said."""
for _name in ("delete_at_ms", "deletion_at_ms"):
    sa.Index(
        f"ix_keeping_{_name}",
        keeping.c[_name],
        sqlite_where=keeping.c[_name].is_not(None),
        postgresql_where=keeping.c[_name].is_not(None),
    )

tracks = sa.Table(
    "tracks",
    metadata,
    sa.Column("recording_id", sa.String, sa.ForeignKey("recordings.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    _text("call_id", nullable=True),
    _text("member_id", nullable=True),
    sa.Column("offset_ms", sa.BigInteger, nullable=False),
    sa.Column("sample_count", sa.BigInteger, nullable=False),
    sa.Column("byte_count", sa.BigInteger, nullable=False),
    _text("sha256"),
    _text("storage_key"),
)

manifests = sa.Table(
    "manifests",
    metadata,
    _seq(),
    _owner(),
    sa.Column("number", sa.BigInteger, nullable=False),
    _text("kind"),
    _text("recording_id"),
    _text("body"),
    _text("sha256"),
    _text("signature"),
    _text("key_id"),
    _ms("created_at_ms"),
    sa.UniqueConstraint("account_id", "number"),
    sa.Index(None, "recording_id"),
)
"""Links are never changed or removed: an account's chain is its numbers from 1."""

personal_values = sa.Table(
    "personal_values",
    metadata,
    sa.Column("recording_id", sa.String, sa.ForeignKey("recordings.id"), primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    _text("value"),
)

transcripts = sa.Table(
    "transcripts",
    metadata,
    _seq(),
    _id(),
    _owner(),
    sa.Column("recording_id", sa.String, sa.ForeignKey("recordings.id"), nullable=False),
    _text("state"),
    _text("text"),
    _text("limit", nullable=True),
    _text("reason", nullable=True),
    _ms("duration_ms"),
    sa.Column("rate", sa.Float, nullable=False),
    _ms("created_at_ms"),
    _ms("finished_at_ms", nullable=True),
    sa.Index(None, "account_id", "seq"),
    sa.Index(None, "recording_id", "seq"),
)
sa.Index(
    "ix_transcripts_pending",
    transcripts.c.seq,
    sqlite_where=transcripts.c.state == "pending",
    postgresql_where=transcripts.c.state == "pending",
)

buckets = sa.Table(
    "buckets",
    metadata,
    _seq(),
    _id(),
    sa.Column("account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=True),
    _text("kind"),
    _text("name"),
    _text("prefix"),
    _json("options"),
    _text("secrets_sealed"),
    _ms("created_at_ms"),
    _ms("retired_at_ms", nullable=True),
)
"""Object storage; without an account the whole node's."""

stored = sa.Table(
    "stored",
    metadata,
    sa.Column("recording_id", sa.String, sa.ForeignKey("recordings.id"), primary_key=True),
    sa.Column("bucket_id", sa.String, sa.ForeignKey("buckets.id"), nullable=False),
    _text("place"),
    sa.Column("sent_bytes", sa.BigInteger, nullable=False),
    _text("reason", nullable=True),
    _ms("changed_at_ms"),
)
"""Where the bytes are of recordings that a bucket is meant for."""

works = sa.Table(
    "works",
    metadata,
    sa.Column("recording_id", sa.String, sa.ForeignKey("recordings.id"), primary_key=True),
    _text("state"),
    sa.Column("round", sa.Integer, nullable=False),
    _text("step"),
    sa.Column("tries", sa.Integer, nullable=False),
    _text("reason", nullable=True),
    _ms("changed_at_ms"),
)
"""What follows recordings' ends and takes longer than their last transaction."""
sa.Index(
    "ix_works_open",
    works.c.state,
    works.c.changed_at_ms,
    sqlite_where=works.c.state != "done",
    postgresql_where=works.c.state != "done",
)

events = sa.Table(
    "events",
    metadata,
    _seq(),
    _id(),
    _owner(),
    _text("name"),
    _ms("at_ms"),
    _text("call_id", nullable=True),
    _text("conference_id", nullable=True),
    _text("recording_id", nullable=True),
    _json("body"),
    sa.Index(None, "recording_id"),
    sa.Index(None, "account_id", "seq"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _seq(),
    _id(),
    sa.Column("event_id", sa.String, sa.ForeignKey("events.id"), nullable=False),
    _owner(),
    _text("dialect"),
    _text("event_name"),
    _json("message"),
    _text("destination"),
    _text("order_key", nullable=True),
    _text("state"),
    sa.Column("attempts", sa.Integer, nullable=False),
    _ms("next_attempt_at_ms", nullable=True),
    _ms("created_at_ms"),
    _ms("finished_at_ms", nullable=True),
    sa.Index(None, "event_id"),
    sa.Index(None, "account_id", "seq"),
    sa.Index(None, "order_key", "seq"),
)
"""`destination` is host:port of the message's URL: receivers wait for nobody but themselves."""
_PENDING = deliveries.c.state == "pending"
sa.Index(
    "ix_deliveries_destination",
    deliveries.c.destination,
    deliveries.c.next_attempt_at_ms,
    deliveries.c.seq,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
sa.Index(
    "ix_deliveries_due",
    deliveries.c.next_attempt_at_ms,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
sa.Index(
    "ix_deliveries_order",
    deliveries.c.order_key,
    deliveries.c.seq,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("delivery_id", sa.String, sa.ForeignKey("deliveries.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    _ms("at_ms"),
    _text("url"),
    sa.Column("status", sa.Integer, nullable=True),
    _text("failure", nullable=True),
    _text("reason", nullable=True),
    _ms("duration_ms"),
    sa.PrimaryKeyConstraint("delivery_id", "number"),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    _seq(),
    _id(),
    _owner(),
    sa.Column("username", sa.String, nullable=False, unique=True),
    _text("realm"),
    _text("ha1_md5"),
    _text("ha1_sha256"),
    _text("application_id", nullable=True),
    _text("caller"),
    _ms("created_at_ms"),
    sa.Index(None, "account_id", "seq"),
)

locations = sa.Table(
    "locations",
    metadata,
    sa.Column("endpoint_id", sa.String, sa.ForeignKey("endpoints.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    _text("contact"),
    _text("route"),
    _ms("expires_unix_ms"),
)
"""Where endpoints are, in the order in which the core told it."""

trunks = sa.Table(
    "trunks",
    metadata,
    _seq(),
    _id(),
    _owner(),
    _text("name"),
    _text("password_sealed"),
    _text("application_id", nullable=True),
    _json("settings"),
    _ms("created_at_ms"),
    sa.UniqueConstraint("account_id", "name"),
    sa.Index(None, "account_id", "seq"),
)

policies = sa.Table(
    "policies",
    metadata,
    _seq(),
    _id(),
    _owner(),
    _text("subject"),
    _text("subject_id"),
    _text("begins"),
    _json("options"),
    _ms("created_at_ms"),
    sa.UniqueConstraint("subject", "subject_id"),
    sa.Index(None, "account_id", "seq"),
)
