"""Rows of buckets, whose secrets are sealed before they reach the database, and of where
recordings' bytes are.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import AccountId, BucketId, EpochMs, RecordingId
from tapeline.domain.storage import Bucket, BucketKind, Place, Stored
from tapeline.state.rows.base import Rows, Values, by_id, update_by_id
from tapeline.state.schema import buckets, stored
from tapeline.state.vault import Vault

_INSERT = buckets.insert()
_UPDATE = update_by_id(buckets)
_BY_ID = by_id(buckets)
_CURRENT = (
    sa.select(buckets)
    .where(
        buckets.c.retired_at_ms.is_(None),
        sa.or_(buckets.c.account_id == sa.bindparam("account"), buckets.c.account_id.is_(None)),
    )
    .order_by(buckets.c.account_id.is_(None), buckets.c.seq.desc())
    .limit(1)
)
_INSERT_STORED = stored.insert()
_UPDATE_STORED = stored.update().where(stored.c.recording_id == sa.bindparam("key"))
_STORED = sa.select(stored).where(stored.c.recording_id == sa.bindparam("key"))
_COUNTS = sa.select(
    sa.case((stored.c.reason.is_not(None), "upload_pending"), else_=stored.c.place).label("words"),
    sa.func.count().label("number"),
).group_by("words")


class BucketRows(Rows):
    def __init__(self, connection: sa.Connection, vault: Vault) -> None:
        super().__init__(connection)
        self._vault = vault

    def add(self, bucket: Bucket) -> None:
        self._insert(_INSERT, self._values(bucket))

    def update(self, bucket: Bucket) -> None:
        self._update(_UPDATE, bucket.id, self._values(bucket))

    def get(self, bucket_id: BucketId) -> Bucket | None:
        row = self._one(_BY_ID, key=bucket_id)
        return None if row is None else self._bucket(row)

    def current(self, account_id: AccountId) -> Bucket | None:
        """The account's own, else the node's, else none."""
        row = self._one(_CURRENT, account=account_id)
        return None if row is None else self._bucket(row)

    def all(self) -> Sequence[Bucket]:
        """In the order they were added; retired ones too."""
        return [self._bucket(row) for row in self._all(sa.select(buckets).order_by(buckets.c.seq))]

    def _values(self, bucket: Bucket) -> Values:
        secrets = json.dumps(dict(bucket.secrets)).encode()
        return {
            "id": bucket.id,
            "account_id": bucket.account_id,
            "kind": bucket.kind.value,
            "name": bucket.name,
            "prefix": bucket.prefix,
            "options": dict(bucket.options),
            "secrets_sealed": self._vault.seal(secrets, _place_of(bucket.id)),
            "created_at_ms": bucket.created_at_ms,
            "retired_at_ms": bucket.retired_at_ms,
        }

    def _bucket(self, row: sa.Row[Any]) -> Bucket:
        return Bucket(
            id=BucketId(row.id),
            account_id=None if row.account_id is None else AccountId(row.account_id),
            kind=BucketKind(row.kind),
            name=row.name,
            prefix=row.prefix,
            options=row.options,
            secrets=json.loads(self._vault.open(row.secrets_sealed, _place_of(row.id))),
            created_at_ms=EpochMs(row.created_at_ms),
            retired_at_ms=row.retired_at_ms,
        )


def _place_of(bucket_id: str) -> str:
    return f"buckets/{bucket_id}/secrets"


class StoredRows(Rows):
    def add(self, found: Stored) -> None:
        self._insert(_INSERT_STORED, _values(found))

    def update(self, found: Stored) -> None:
        self._update(_UPDATE_STORED, found.recording_id, _values(found))

    def get(self, recording_id: RecordingId) -> Stored | None:
        row = self._one(_STORED, key=recording_id)
        return None if row is None else _stored(row)

    def counts(self) -> dict[str, int]:
        """How many by `Stored.words`."""
        return {row.words: row.number for row in self._all(_COUNTS)}


def _values(found: Stored) -> Values:
    return {
        "recording_id": found.recording_id,
        "bucket_id": found.bucket_id,
        "place": found.place.value,
        "sent_bytes": found.sent_bytes,
        "reason": found.reason,
        "changed_at_ms": found.changed_at_ms,
    }


def _stored(row: sa.Row[Any]) -> Stored:
    return Stored(
        recording_id=RecordingId(row.recording_id),
        bucket_id=BucketId(row.bucket_id),
        place=Place(row.place),
        sent_bytes=row.sent_bytes,
        reason=row.reason,
        changed_at_ms=EpochMs(row.changed_at_ms),
    )
