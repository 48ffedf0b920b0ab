"""Trunks: ways to and from carriers. `account_id` None: of any account (the CLI)."""

from dataclasses import dataclass, field

from tapeline.domain.command.base import Command, Done
from tapeline.domain.id import AccountId
from tapeline.domain.trunk import Trunk, TrunkState


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkView:
    """`trunk` without its password; `state` None: no node runs that would know it."""

    trunk: Trunk
    has_password: bool
    state: TrunkState | None = None

    @property
    def is_well(self) -> bool:
        """A call would go out: some target is not known to be down, and the registration stands
        where one is wanted.
        """
        if self.state is None:
            return False
        states = [self.state.targets.get(target.uri) for target in self.trunk.targets]
        has_target = not states or any(each is None or each.is_up is not False for each in states)
        return has_target and (not self.trunk.registers or self.state.registration.is_registered)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTrunk(Command[TrunkView]):
    """`trunk` as it shall be; its id and instant are made here. Raises AccountNotFound,
    ApplicationNotFound, AlreadyExists, Conflict, Invalid.
    """

    trunk: Trunk
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTrunks(Command["tuple[TrunkView, ...]"]):
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTrunk(Command[TrunkView]):
    """Raises TrunkNotFound, and Invalid for a name that several accounts have."""

    account_id: AccountId | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTrunk(Command[TrunkView]):
    """As GetTrunk, by a node that runs. Raises Unavailable without one."""

    account_id: AccountId | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTrunkPassword(Command[TrunkView]):
    """A registration is made anew with it. Raises as GetTrunk."""

    account_id: AccountId | None
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTrunk(Command[Done]):
    """With its policy and its registration; its calls go on. Raises as GetTrunk."""

    account_id: AccountId | None
    name: str
