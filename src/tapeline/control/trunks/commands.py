"""Use cases about trunks: rows, and what follows of them for the core."""

from dataclasses import replace

from tapeline.control.applications import own_application
from tapeline.control.endpoints import check_password
from tapeline.control.parts import Parts
from tapeline.control.tables import push_credentials, push_locations, push_sources
from tapeline.control.trunks.checks import check_among, check_trunk
from tapeline.control.trunks.states import without_password
from tapeline.domain.command import (
    AddTrunk,
    CheckTrunk,
    Done,
    GetTrunk,
    ListTrunks,
    RemoveTrunk,
    SetTrunkPassword,
    TrunkView,
)
from tapeline.domain.error import AccountNotFound, Invalid, TrunkNotFound, Unavailable
from tapeline.domain.id import AccountId, TrunkId, new_uuid
from tapeline.domain.policy import PolicySubject
from tapeline.domain.port import Transaction
from tapeline.domain.trunk import Trunk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def add_trunk(parts: Parts, command: AddTrunk) -> TrunkView:
    trunk = replace(
        command.trunk,
        id=TrunkId(new_uuid()),
        password=command.password,
        created_at_ms=parts.clock.now_ms(),
    )
    check_trunk(trunk)

    def work(tx: Transaction) -> None:
        if tx.accounts.get(trunk.account_id) is None:
            raise AccountNotFound(trunk.account_id)
        if trunk.application_id is not None:
            own_application(tx, trunk.account_id, trunk.application_id, None)
        check_among(tx, trunk)
        tx.trunks.add(trunk)

    await parts.store.write(work)
    await _tell_core(parts, trunk)
    return _view(parts, trunk)


async def list_trunks(parts: Parts, command: ListTrunks) -> tuple[TrunkView, ...]:
    found = await parts.store.read(lambda tx: tx.trunks.all(command.account_id))
    return tuple(_view(parts, each) for each in found)


async def get_trunk(parts: Parts, command: GetTrunk) -> TrunkView:
    found = await parts.store.read(lambda tx: own_trunk(tx, command.account_id, command.name))
    return _view(parts, found)


async def check_trunk_state(parts: Parts, command: CheckTrunk) -> TrunkView:
    if not parts.trunks.is_kept:
        raise Unavailable("no node runs on this data folder, so nobody knows how the trunk fares")
    found = await parts.store.read(lambda tx: own_trunk(tx, command.account_id, command.name))
    return _view(parts, found)


async def set_trunk_password(parts: Parts, command: SetTrunkPassword) -> TrunkView:
    check_password("password", command.password)

    def work(tx: Transaction) -> Trunk:
        trunk = replace(own_trunk(tx, command.account_id, command.name), password=command.password)
        check_trunk(trunk)
        tx.trunks.update(trunk)
        return trunk

    changed = await parts.store.write(work)
    await _tell_core(parts, changed)
    return _view(parts, changed)


async def remove_trunk(parts: Parts, command: RemoveTrunk) -> Done:
    def work(tx: Transaction) -> Trunk:
        trunk = own_trunk(tx, command.account_id, command.name)
        tx.policies.remove(PolicySubject.TRUNK, trunk.id)
        tx.trunks.remove(trunk.id)
        return trunk

    removed = await parts.store.write(work)
    await push_sources(parts)
    await push_credentials(parts)
    if parts.trunks.is_kept and removed.registers:
        await parts.engine.unregister(removed.id)
    if parts.trunks.is_kept and removed.targets and removed.watch_every_s:
        await parts.engine.watch(removed.id, (), every_s=removed.watch_every_s)
    parts.trunks.forget(removed.id)
    return Done()


async def take_up(parts: Parts) -> None:
    """For a node whose core has just begun to run: it learns of every endpoint and trunk. A trunk
    that the core refuses is logged, and the others are taken up. Raises EngineFailed.
    """
    parts.trunks.is_kept = True
    await push_sources(parts)
    await push_credentials(parts)
    await push_locations(parts)
    for trunk in await parts.store.read(lambda tx: tx.trunks.all(None)):
        try:
            await _keep_up(parts, trunk)
        except (Invalid, Unavailable) as error:
            _log.error("trunk_not_taken_up", trunk=trunk.name, reason=str(error))


async def _tell_core(parts: Parts, trunk: Trunk) -> None:
    await push_sources(parts)
    await push_credentials(parts)
    if parts.trunks.is_kept:
        await _keep_up(parts, trunk)


async def _keep_up(parts: Parts, trunk: Trunk) -> None:
    """Its registration and the look at its targets."""
    parts.trunks.forget(trunk.id)
    if trunk.registers:
        registrar = trunk.targets[0].uri
        await parts.engine.register(
            trunk.id,
            registrar=registrar,
            aor=f"sip:{trunk.username}@{host_of(registrar)}",
            username=trunk.username,
            password=trunk.password,
            expires_s=trunk.register_expires_s,
        )
    if trunk.targets and trunk.watch_every_s:
        await parts.engine.watch(
            trunk.id, [target.uri for target in trunk.targets], every_s=trunk.watch_every_s
        )


def host_of(uri: str) -> str:
    """`host[:port]` of a target."""
    return uri.partition(":")[2].partition(";")[0]


def own_trunk(tx: Transaction, account_id: AccountId | None, name: str) -> Trunk:
    """By name or id. Raises TrunkNotFound, and Invalid when several accounts have one so named."""
    found = [each for each in tx.trunks.all(account_id) if name in {each.name, each.id}]
    if not found:
        raise TrunkNotFound(name)
    if len(found) > 1:
        raise Invalid(field="account", value=None, expected=f"{len(found)} trunks have that name")
    return found[0]


def _view(parts: Parts, trunk: Trunk) -> TrunkView:
    return TrunkView(
        trunk=without_password(trunk),
        has_password=bool(trunk.password),
        state=parts.trunks.of(trunk.id) if parts.trunks.is_kept else None,
    )
