"""Rows of manifests, an account's chain of them, and the personal values that they hide."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import AccountId, EpochMs, RecordingId
from tapeline.domain.manifest import Manifest, ManifestKind, PersonalValue
from tapeline.state.rows.base import Rows
from tapeline.state.schema import accounts, manifests, personal_values

_INSERT = manifests.insert()
_INSERT_VALUE = personal_values.insert()
_HEAD = (
    sa.select(manifests)
    .where(manifests.c.account_id == sa.bindparam("account_id"))
    .order_by(manifests.c.number.desc())
    .limit(1)
)
# SQLite has one writer and no such clause; elsewhere two nodes must not both follow one link.
_LOCK = (
    sa.select(accounts.c.id).where(accounts.c.id == sa.bindparam("account_id")).with_for_update()
)
_OF_RECORDING = (
    sa.select(manifests)
    .where(manifests.c.recording_id == sa.bindparam("recording_id"))
    .order_by(manifests.c.seq)
)
_CHAIN = (
    sa.select(manifests)
    .where(
        manifests.c.account_id == sa.bindparam("account_id"),
        manifests.c.number > sa.bindparam("after"),
    )
    .order_by(manifests.c.number)
)
_VALUES = (
    sa.select(personal_values)
    .where(personal_values.c.recording_id == sa.bindparam("recording_id"))
    .order_by(personal_values.c.name)
)


class ManifestRows(Rows):
    def __init__(self, connection: sa.Connection, *, may_write: bool) -> None:
        super().__init__(connection)
        self._may_write = may_write

    def head(self, account_id: AccountId) -> Manifest | None:
        """The newest link; in a write the chain is locked until the transaction ends."""
        if self._may_write:
            self._connection.execute(_LOCK, {"account_id": account_id})
        row = self._one(_HEAD, account_id=account_id)
        return None if row is None else _manifest(row)

    def add(self, manifest: Manifest) -> None:
        self._insert(
            _INSERT,
            {
                "account_id": manifest.account_id,
                "number": manifest.number,
                "kind": manifest.kind.value,
                "recording_id": manifest.recording_id,
                "body": manifest.body,
                "sha256": manifest.sha256,
                "signature": manifest.signature,
                "key_id": manifest.key_id,
                "created_at_ms": manifest.created_at_ms,
            },
        )

    def of_recording(self, recording_id: RecordingId) -> Sequence[Manifest]:
        """In the order of their numbers."""
        return [_manifest(row) for row in self._all(_OF_RECORDING, recording_id=recording_id)]

    def chain(self, account_id: AccountId, *, after: int, limit: int) -> Sequence[Manifest]:
        """Links with higher numbers than `after`, in order."""
        rows = self._all(_CHAIN.limit(limit), account_id=account_id, after=after)
        return [_manifest(row) for row in rows]

    def add_values(self, recording_id: RecordingId, values: Sequence[PersonalValue]) -> None:
        for each in values:
            row = {"name": each.name, "salt": each.salt, "value": each.value}
            self._insert(_INSERT_VALUE, {"recording_id": recording_id, **row})

    def values(self, recording_id: RecordingId) -> Sequence[PersonalValue]:
        """By name; none when they were erased."""
        return [
            PersonalValue(name=row.name, salt=bytes(row.salt), value=row.value)
            for row in self._all(_VALUES, recording_id=recording_id)
        ]

    def erase_values(self, recording_id: RecordingId) -> None:
        of_recording = personal_values.c.recording_id == recording_id
        self._connection.execute(personal_values.delete().where(of_recording))


def _manifest(row: sa.Row[Any]) -> Manifest:
    return Manifest(
        account_id=AccountId(row.account_id),
        number=row.number,
        kind=ManifestKind(row.kind),
        recording_id=RecordingId(row.recording_id),
        body=row.body,
        sha256=row.sha256,
        signature=row.signature,
        key_id=row.key_id,
        created_at_ms=EpochMs(row.created_at_ms),
    )
