"""Endpoints: phones that prove themselves. `account_id` None: of any account (the CLI)."""

from dataclasses import dataclass, field

from tapeline.domain.command.base import Command, Done
from tapeline.domain.id import AccountId, ApplicationId, EndpointId, EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Where an endpoint is now."""

    contact: str
    route: str
    expires_at_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """Without what its password could be guessed from."""

    id: EndpointId
    account_id: AccountId
    username: str
    application_id: ApplicationId | None
    caller: str
    created_at_ms: EpochMs
    registered: tuple[Registered, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEndpoint(Command[EndpointView]):
    """Raises AccountNotFound, ApplicationNotFound, AlreadyExists, Invalid."""

    account_id: AccountId
    username: str
    password: str = field(repr=False)
    application_id: ApplicationId | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEndpoints(Command["tuple[EndpointView, ...]"]):
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEndpointPassword(Command[EndpointView]):
    """What is registered stays so until it expires. Raises EndpointNotFound, Invalid."""

    account_id: AccountId | None
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveEndpoint(Command[Done]):
    """With its policy and where it was; its calls go on. Raises EndpointNotFound."""

    account_id: AccountId | None
    username: str
