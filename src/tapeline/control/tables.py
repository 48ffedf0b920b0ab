"""What the core is told of endpoints and trunks: whole tables, read from the rows each time.

A process that takes no calls has nobody to tell; its changes are told when a node starts.
"""

from collections.abc import Sequence

from tapeline.control.parts import Parts
from tapeline.domain.endpoint import Binding, Endpoint, hash_password
from tapeline.domain.id import EndpointId
from tapeline.domain.port import Transaction
from tapeline.domain.trunk import Trunk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def push_credentials(parts: Parts) -> None:
    """Raises EngineFailed, as all here."""
    if not parts.trunks.is_kept:
        return
    async with parts.live.locks.hold("credentials"):
        endpoints, trunks = await parts.store.read(_identities)
        table: list[tuple[str, str, str, str]] = [
            (each.username, each.id, each.hashes.md5, each.hashes.sha256)
            for each in endpoints
            if _is_of_realm(parts, each)
        ]
        table += [_proof(parts, each) for each in trunks if each.proves_itself]
        await parts.engine.set_credentials(table)


def _identities(tx: Transaction) -> tuple[Sequence[Endpoint], Sequence[Trunk]]:
    return tx.endpoints.all(None), tx.trunks.all(None)


def _is_of_realm(parts: Parts, endpoint: Endpoint) -> bool:
    if endpoint.realm == parts.realm:
        return True
    _log.warning(
        "endpoint_of_another_realm",
        endpoint=endpoint.username,
        realm=endpoint.realm,
        detail="its password was set for another sip_realm: set it again",
    )
    return False


def _proof(parts: Parts, trunk: Trunk) -> tuple[str, str, str, str]:
    hashes = hash_password(trunk.username, parts.realm, trunk.password)
    return trunk.username, trunk.id, hashes.md5, hashes.sha256


async def push_sources(parts: Parts) -> None:
    if not parts.trunks.is_kept:
        return
    async with parts.live.locks.hold("sources"):
        trunks = await parts.store.read(lambda tx: tx.trunks.all(None))
        await parts.engine.set_sources([(each.id, each.sources) for each in trunks if each.sources])


async def push_locations(parts: Parts) -> None:
    """Those that have not expired."""
    if not parts.trunks.is_kept:
        return
    async with parts.live.locks.hold("locations"):
        found = await parts.store.read(lambda tx: tx.endpoints.bindings(None))
        now_ms = parts.clock.now_ms()
        places: dict[EndpointId, list[Binding]] = {}
        for binding in found:
            if binding.expires_unix_ms > now_ms:
                places.setdefault(binding.endpoint_id, []).append(binding)
        await parts.engine.set_locations(
            [
                (owner, [(each.contact, each.route, each.expires_unix_ms) for each in bindings])
                for owner, bindings in places.items()
            ]
        )
