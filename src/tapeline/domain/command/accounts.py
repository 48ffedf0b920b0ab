"""Accounts, applications and numbers."""

from dataclasses import dataclass, field

from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.command.base import Command
from tapeline.domain.id import AccountId, ApplicationId


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCreated:
    """The only time that the two secrets are shown."""

    account: Account
    auth_token: str = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount(Command[AccountCreated]):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAccount(Command[Account]):
    """Fields that are None stay as they are; `dialect_settings` maps `dialect.key` to a value."""

    account_id: AccountId
    link_policy: str | None = None
    link_life_s: int | None = None
    keep_announcing: bool | None = None
    transcription_rate: float | None = None
    keep_days: int | None = None
    webhook_url: str | None = None
    webhook_failover_url: str | None = None
    pause_as: str | None = None
    pause_limit_s: int | None = None
    beep_every_s: int | None = None
    beep_level_db: float | None = None
    beep_in_file: bool | None = None
    tracks: bool | None = None
    dialect_settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAccount(Command[Account]):
    """Raises AccountNotFound."""

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAccounts(Command["tuple[Account, ...]"]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApplication(Command[Application]):
    """Exactly one of `answer_url` and `answer_document`; the document is parsed before it is
    kept.
    """

    account_id: AccountId
    dialect: str
    name: str
    answer_url: str | None = None
    answer_method: str = "POST"
    answer_document: str | None = None
    fallback_url: str | None = None
    fallback_method: str = "POST"
    hangup_url: str | None = None
    hangup_method: str = "POST"
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateApplication(Command[Application]):
    """Fields that are None stay as they are; an empty text removes; `extras` are merged. Raises
    ApplicationNotFound, also when it is not of `dialect`.
    """

    account_id: AccountId
    application_id: ApplicationId
    dialect: str | None = None
    name: str | None = None
    answer_url: str | None = None
    answer_method: str | None = None
    fallback_url: str | None = None
    fallback_method: str | None = None
    hangup_url: str | None = None
    hangup_method: str | None = None
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetApplication(Command[Application]):
    """Raises ApplicationNotFound, also when it is not of `dialect`."""

    account_id: AccountId
    application_id: ApplicationId
    dialect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteApplication(Command[Application]):
    """Its numbers lead nowhere afterwards; calls that it steers go on. Raises as GetApplication."""

    account_id: AccountId
    application_id: ApplicationId
    dialect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApplications(Command["tuple[Application, ...]"]):
    account_id: AccountId | None = None
    dialect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNumber(Command[Number]):
    """`pattern` is unique per node."""

    pattern: str
    application_id: ApplicationId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNumbers(Command["tuple[Number, ...]"]):
    account_id: AccountId | None = None
