"""Recording policies. `subject_id` is an id, of a number its pattern; of an endpoint its username
and of a trunk its name will do.
"""

from dataclasses import dataclass, field

from tapeline.domain.command.base import Command, Done
from tapeline.domain.id import AccountId
from tapeline.domain.policy import PolicySubject, RecordFrom, RecordPolicy
from tapeline.domain.recording import RecordingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    policy: RecordPolicy
    name: str
    """Of the subject, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy(Command[PolicyView]):
    """In the place of what it had; calls that began before go on as they were. Raises NotFound for
    a subject that is not there.
    """

    account_id: AccountId | None
    subject: PolicySubject
    subject_id: str
    begins: RecordFrom = RecordFrom.ANSWER
    options: RecordingOptions = field(default_factory=RecordingOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPolicies(Command["tuple[PolicyView, ...]"]):
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePolicy(Command[Done]):
    """Raises PolicyNotFound, and NotFound as SetPolicy does."""

    account_id: AccountId | None
    subject: PolicySubject
    subject_id: str
