"""What every command is."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from tapeline.domain.id import AccountId

OutcomeT_co = TypeVar("OutcomeT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The same key in the same scope is carried out once: whoever comes later gets the first
    outcome, whoever comes meanwhile waits for it. What failed may be asked again.
    """

    account_id: AccountId
    scope: str
    """The thing it is asked of: a call's id, or the id or name in the command's `conference`."""
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[OutcomeT_co]):
    """Base; the parameter is the outcome's type."""

    once: Once | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing more to say than that it is done."""
