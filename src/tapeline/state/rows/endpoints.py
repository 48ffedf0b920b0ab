"""Rows of endpoints, and of where they are."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tapeline.domain.endpoint import Binding, Endpoint, PasswordHashes
from tapeline.domain.error import AlreadyExists
from tapeline.domain.id import AccountId, ApplicationId, EndpointId, EpochMs
from tapeline.state.rows.base import Rows, Values, by_id, update_by_id
from tapeline.state.schema import endpoints, locations

_INSERT = endpoints.insert()
_UPDATE = update_by_id(endpoints)
_BY_ID = by_id(endpoints)
_BY_USERNAME = sa.select(endpoints).where(endpoints.c.username == sa.bindparam("username"))
_REMOVE = endpoints.delete().where(endpoints.c.id == sa.bindparam("key"))
_INSERT_LOCATION = locations.insert()
_LOCATIONS = sa.select(locations).order_by(locations.c.endpoint_id, locations.c.number)
_CLEAR = locations.delete().where(locations.c.endpoint_id == sa.bindparam("key"))


class EndpointRows(Rows):
    def add(self, endpoint: Endpoint) -> None:
        """Raises AlreadyExists: a node has each username once."""
        try:
            with self._connection.begin_nested():
                self._insert(_INSERT, _values(endpoint))
        except IntegrityError as error:
            if self.by_username(endpoint.username) is None:
                raise
            raise AlreadyExists(f"endpoint {endpoint.username}") from error

    def update(self, endpoint: Endpoint) -> None:
        self._update(_UPDATE, endpoint.id, _values(endpoint))

    def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        row = self._one(_BY_ID, key=endpoint_id)
        return None if row is None else _endpoint(row)

    def by_username(self, username: str) -> Endpoint | None:
        row = self._one(_BY_USERNAME, username=username)
        return None if row is None else _endpoint(row)

    def all(self, account_id: AccountId | None) -> Sequence[Endpoint]:
        """By username."""
        statement = sa.select(endpoints).order_by(endpoints.c.username)
        if account_id is not None:
            statement = statement.where(endpoints.c.account_id == account_id)
        return [_endpoint(row) for row in self._all(statement)]

    def remove(self, endpoint_id: EndpointId) -> None:
        """And where it was."""
        self._connection.execute(_CLEAR, {"key": endpoint_id})
        self._connection.execute(_REMOVE, {"key": endpoint_id})

    def replace_bindings(self, endpoint_id: EndpointId, found: Sequence[Binding]) -> None:
        """These are all that it has."""
        self._connection.execute(_CLEAR, {"key": endpoint_id})
        for number, binding in enumerate(found, start=1):
            values = {
                "endpoint_id": endpoint_id,
                "number": number,
                "contact": binding.contact,
                "route": binding.route,
                "expires_unix_ms": binding.expires_unix_ms,
            }
            self._insert(_INSERT_LOCATION, values)

    def bindings(self, endpoint_id: EndpointId | None) -> Sequence[Binding]:
        """Of one or of all; expired ones too."""
        statement = _LOCATIONS
        if endpoint_id is not None:
            statement = statement.where(locations.c.endpoint_id == endpoint_id)
        return [_binding(row) for row in self._all(statement)]


def _values(endpoint: Endpoint) -> Values:
    return {
        "id": endpoint.id,
        "account_id": endpoint.account_id,
        "username": endpoint.username,
        "realm": endpoint.realm,
        "ha1_md5": endpoint.hashes.md5,
        "ha1_sha256": endpoint.hashes.sha256,
        "application_id": endpoint.application_id,
        "caller": endpoint.caller,
        "created_at_ms": endpoint.created_at_ms,
    }


def _endpoint(row: sa.Row[Any]) -> Endpoint:
    return Endpoint(
        id=EndpointId(row.id),
        account_id=AccountId(row.account_id),
        username=row.username,
        realm=row.realm,
        hashes=PasswordHashes(md5=row.ha1_md5, sha256=row.ha1_sha256),
        application_id=None if row.application_id is None else ApplicationId(row.application_id),
        caller=row.caller,
        created_at_ms=EpochMs(row.created_at_ms),
    )


def _binding(row: sa.Row[Any]) -> Binding:
    return Binding(
        endpoint_id=EndpointId(row.endpoint_id),
        contact=row.contact,
        route=row.route,
        expires_unix_ms=row.expires_unix_ms,
    )
