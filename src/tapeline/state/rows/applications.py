"""Rows of applications."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.application import Application
from tapeline.domain.id import AccountId, ApplicationId, EpochMs
from tapeline.state.rows.base import Rows, by_id, listing
from tapeline.state.schema import applications

_INSERT = applications.insert()
_BY_ID = by_id(applications)


class ApplicationRows(Rows):
    def add(self, application: Application) -> None:
        self._insert(
            _INSERT,
            {
                "id": application.id,
                "account_id": application.account_id,
                "dialect": application.dialect,
                "name": application.name,
                "answer_url": application.answer_url,
                "answer_method": application.answer_method,
                "answer_document": application.answer_document,
                "fallback_url": application.fallback_url,
                "fallback_method": application.fallback_method,
                "hangup_url": application.hangup_url,
                "hangup_method": application.hangup_method,
                "created_at_ms": application.created_at_ms,
            },
        )

    def get(self, application_id: ApplicationId) -> Application | None:
        row = self._one(_BY_ID, key=application_id)
        return None if row is None else _application(row)

    def all(self, account_id: AccountId | None) -> Sequence[Application]:
        """Newest first."""
        rows = self._all(listing(applications, account_id, limit=None))
        return [_application(row) for row in rows]


def _application(row: sa.Row[Any]) -> Application:
    return Application(
        id=ApplicationId(row.id),
        account_id=AccountId(row.account_id),
        dialect=row.dialect,
        name=row.name,
        answer_url=row.answer_url,
        answer_method=row.answer_method,
        answer_document=row.answer_document,
        fallback_url=row.fallback_url,
        fallback_method=row.fallback_method,
        hangup_url=row.hangup_url,
        hangup_method=row.hangup_method,
        created_at_ms=EpochMs(row.created_at_ms),
    )
