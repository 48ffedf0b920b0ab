"""Rows of applications."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tapeline.domain.application import Application
from tapeline.domain.id import AccountId, ApplicationId, EpochMs
from tapeline.state.rows.base import Rows, Values, by_id, listing, update_by_id
from tapeline.state.schema import applications

_INSERT = applications.insert()
_UPDATE = update_by_id(applications)
_BY_ID = by_id(applications)


class ApplicationRows(Rows):
    def add(self, application: Application) -> None:
        self._insert(_INSERT, _values(application))

    def update(self, application: Application) -> None:
        self._update(_UPDATE, application.id, _values(application))

    def get(self, application_id: ApplicationId) -> Application | None:
        """A deleted one too: what it steers goes on."""
        row = self._one(_BY_ID, key=application_id)
        return None if row is None else _application(row)

    def all(self, account_id: AccountId | None) -> Sequence[Application]:
        """Newest first; without those made for one call and deleted ones."""
        statement = listing(applications, account_id, limit=None).where(
            applications.c.is_ad_hoc.is_(False), applications.c.deleted_at_ms.is_(None)
        )
        return [_application(row) for row in self._all(statement)]


def _values(application: Application) -> Values:
    return {
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
        "ring_url": application.ring_url,
        "ring_method": application.ring_method,
        "extras": dict(application.extras),
        "is_ad_hoc": application.is_ad_hoc,
        "created_at_ms": application.created_at_ms,
        "deleted_at_ms": application.deleted_at_ms,
    }


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
        ring_url=row.ring_url,
        ring_method=row.ring_method,
        extras=row.extras,
        is_ad_hoc=row.is_ad_hoc,
        deleted_at_ms=row.deleted_at_ms,
        created_at_ms=EpochMs(row.created_at_ms),
    )
