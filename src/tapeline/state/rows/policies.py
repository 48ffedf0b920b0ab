"""Rows of recording policies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.id import AccountId, EpochMs, PolicyId
from tapeline.domain.policy import PolicySubject, RecordFrom, RecordPolicy
from tapeline.state.codec import decode_options, encode_options
from tapeline.state.rows.base import Rows
from tapeline.state.schema import policies

_INSERT = policies.insert()
_OF_SUBJECT = sa.and_(
    policies.c.subject == sa.bindparam("of_subject"),
    policies.c.subject_id == sa.bindparam("of_id"),
)
_OF = sa.select(policies).where(_OF_SUBJECT)
_REMOVE = policies.delete().where(_OF_SUBJECT)


class PolicyRows(Rows):
    def put(self, policy: RecordPolicy) -> None:
        """Takes the place of what its subject had."""
        self.remove(policy.subject, policy.subject_id)
        values = {
            "id": policy.id,
            "account_id": policy.account_id,
            "subject": policy.subject.value,
            "subject_id": policy.subject_id,
            "begins": policy.begins.value,
            "options": encode_options(policy.options),
            "created_at_ms": policy.created_at_ms,
        }
        self._insert(_INSERT, values)

    def of(self, subject: PolicySubject, subject_id: str) -> RecordPolicy | None:
        row = self._one(_OF, of_subject=subject.value, of_id=subject_id)
        return None if row is None else _policy(row)

    def all(self, account_id: AccountId | None) -> Sequence[RecordPolicy]:
        """By subject."""
        statement = sa.select(policies).order_by(policies.c.subject, policies.c.subject_id)
        if account_id is not None:
            statement = statement.where(policies.c.account_id == account_id)
        return [_policy(row) for row in self._all(statement)]

    def remove(self, subject: PolicySubject, subject_id: str) -> bool:
        """Whether there was one."""
        found = self._connection.execute(
            _REMOVE, {"of_subject": subject.value, "of_id": subject_id}
        )
        return found.rowcount > 0


def _policy(row: sa.Row[Any]) -> RecordPolicy:
    return RecordPolicy(
        id=PolicyId(row.id),
        account_id=AccountId(row.account_id),
        subject=PolicySubject(row.subject),
        subject_id=row.subject_id,
        begins=RecordFrom(row.begins),
        options=decode_options(row.options),
        created_at_ms=EpochMs(row.created_at_ms),
    )
