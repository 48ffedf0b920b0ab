"""Use cases about endpoints: who they are, their passwords, where they are registered."""

import re
from dataclasses import replace

from tapeline.control.applications import own_application
from tapeline.control.checks import check_caller
from tapeline.control.parts import Parts
from tapeline.control.tables import push_credentials, push_locations
from tapeline.domain import signal
from tapeline.domain.command import (
    AddEndpoint,
    Done,
    EndpointView,
    ListEndpoints,
    Registered,
    RemoveEndpoint,
    SetEndpointPassword,
)
from tapeline.domain.endpoint import Binding, Endpoint, hash_password
from tapeline.domain.error import AccountNotFound, AlreadyExists, EndpointNotFound, Invalid
from tapeline.domain.id import AccountId, EndpointId, EpochMs, new_uuid
from tapeline.domain.policy import PolicySubject
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_SHORTEST_PASSWORD, _LONGEST_PASSWORD = 8, 128


async def add_endpoint(parts: Parts, command: AddEndpoint) -> EndpointView:
    check_username("username", command.username)
    check_password("password", command.password)
    check_caller("caller", command.caller)
    endpoint = Endpoint(
        id=EndpointId(new_uuid()),
        account_id=command.account_id,
        username=command.username,
        realm=parts.realm,
        hashes=hash_password(command.username, parts.realm, command.password),
        application_id=command.application_id,
        caller=command.caller,
        created_at_ms=parts.clock.now_ms(),
    )

    def work(tx: Transaction) -> None:
        if tx.accounts.get(command.account_id) is None:
            raise AccountNotFound(command.account_id)
        if command.application_id is not None:
            own_application(tx, command.account_id, command.application_id, None)
        check_free(tx, command.username)
        tx.endpoints.add(endpoint)

    await parts.store.write(work)
    await push_credentials(parts)
    return _view(endpoint, ())


async def list_endpoints(parts: Parts, command: ListEndpoints) -> tuple[EndpointView, ...]:
    def work(tx: Transaction) -> tuple[EndpointView, ...]:
        found = tx.endpoints.all(command.account_id)
        now_ms = parts.clock.now_ms()
        places: dict[EndpointId, list[Binding]] = {}
        for binding in tx.endpoints.bindings(None):
            if binding.expires_unix_ms > now_ms:
                places.setdefault(binding.endpoint_id, []).append(binding)
        return tuple(_view(each, tuple(places.get(each.id, ()))) for each in found)

    return await parts.store.read(work)


async def set_endpoint_password(parts: Parts, command: SetEndpointPassword) -> EndpointView:
    check_password("password", command.password)

    def work(tx: Transaction) -> EndpointView:
        endpoint = own_endpoint(tx, command.account_id, command.username)
        hashes = hash_password(endpoint.username, parts.realm, command.password)
        changed = replace(endpoint, realm=parts.realm, hashes=hashes)
        tx.endpoints.update(changed)
        return _view(changed, tuple(tx.endpoints.bindings(endpoint.id)))

    changed = await parts.store.write(work)
    await push_credentials(parts)
    return changed


async def remove_endpoint(parts: Parts, command: RemoveEndpoint) -> Done:
    def work(tx: Transaction) -> None:
        endpoint = own_endpoint(tx, command.account_id, command.username)
        tx.policies.remove(PolicySubject.ENDPOINT, endpoint.id)
        tx.endpoints.remove(endpoint.id)

    await parts.store.write(work)
    await push_credentials(parts)
    await push_locations(parts)
    return Done()


async def note_registered(parts: Parts, registered: signal.EndpointRegistered) -> None:
    """Kept, so that a restart does not lose where the phones are."""
    endpoint_id = EndpointId(registered.owner)

    def work(tx: Transaction) -> Endpoint | None:
        endpoint = tx.endpoints.get(endpoint_id)
        if endpoint is not None:  # else it was removed in this moment
            tx.endpoints.replace_bindings(endpoint_id, bindings_of(registered))
        return endpoint

    endpoint = await parts.store.write(work)
    if endpoint is not None:
        _log.info(
            "endpoint_registered", endpoint=endpoint.username, contacts=len(registered.contacts)
        )


def bindings_of(registered: signal.EndpointRegistered) -> list[Binding]:
    return [
        Binding(
            endpoint_id=EndpointId(registered.owner),
            contact=contact,
            route=route,
            expires_unix_ms=expires_unix_ms,
        )
        for contact, route, expires_unix_ms in registered.contacts
    ]


def own_endpoint(tx: Transaction, account_id: AccountId | None, username: str) -> Endpoint:
    """Raises EndpointNotFound, also for another account's."""
    found = tx.endpoints.by_username(username)
    if found is None or account_id not in {None, found.account_id}:
        raise EndpointNotFound(username)
    return found


def check_free(tx: Transaction, username: str) -> None:
    """Endpoints and trunks that prove themselves share the realm's users. Raises AlreadyExists."""
    if tx.endpoints.by_username(username) is not None:
        raise AlreadyExists(f"endpoint {username}")
    if any(each.proves_itself and each.username == username for each in tx.trunks.all(None)):
        raise AlreadyExists(f"a trunk that proves itself as {username}")


def check_username(field: str, username: str) -> None:
    if not _USERNAME.fullmatch(username):
        raise Invalid(
            field=field, value=username, expected="at most 64 letters, digits, dots, - + and _"
        )


def check_password(field: str, password: str) -> None:
    """The message does not repeat it."""
    if not (
        _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD
        and password.isascii()
        and password.isprintable()
    ):
        raise Invalid(
            field=field,
            value="what was given",
            expected=f"{_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} printable ASCII characters",
        )


def _view(endpoint: Endpoint, bindings: tuple[Binding, ...]) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        account_id=endpoint.account_id,
        username=endpoint.username,
        application_id=endpoint.application_id,
        caller=endpoint.caller,
        created_at_ms=endpoint.created_at_ms,
        registered=tuple(
            Registered(
                contact=each.contact,
                route=each.route,
                expires_at_ms=EpochMs(each.expires_unix_ms),
            )
            for each in bindings
        ),
    )
