"""Where a call to a number, a name or an address goes."""

import random
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.live import Passage, Way
from tapeline.control.parts import Parts
from tapeline.control.precedence import policy_of
from tapeline.control.trunks.choose import in_order
from tapeline.domain.e164 import for_carrier, is_number
from tapeline.domain.endpoint import Endpoint
from tapeline.domain.error import Invalid, NotRegistered
from tapeline.domain.port import Transaction
from tapeline.domain.signal import DialSpec
from tapeline.domain.trunk import Trunk, TrunkTarget

_DICE = random.Random()


async def find_ways(parts: Parts, wanted: Outgoing) -> Sequence[Way]:
    """Tried one after the other. An endpoint rings wherever it is registered; a number goes by the
    account's trunks; any other address is called as it stands. Raises Invalid, NotRegistered.
    """
    return await parts.store.read(lambda tx: _find(parts, tx, wanted))


def _find(parts: Parts, tx: Transaction, wanted: Outgoing) -> Sequence[Way]:
    name = _name_of_ours(parts, wanted.target)
    if name is None:
        return [_way(tx, wanted, (_plain(wanted),), Passage())]
    endpoint = tx.endpoints.by_username(name)
    if endpoint is not None and endpoint.account_id == wanted.account_id:
        return [_to_endpoint(parts, tx, wanted, endpoint)]
    if is_number(name):
        return _by_trunks(parts, tx, wanted, name)
    raise Invalid(
        field="to",
        value=wanted.target,
        expected="a SIP address, a telephone number or the name of an endpoint",
    )


def _name_of_ours(parts: Parts, target: str) -> str | None:
    """The name or number in it; None for an address of another house."""
    if not target.lower().startswith("sip:"):
        return target
    user, _, host = target[len("sip:") :].rpartition("@")
    return user if host.lower() == parts.realm.lower() else None


def _plain(wanted: Outgoing) -> DialSpec:
    return DialSpec(
        uri=wanted.target,
        caller=wanted.caller,
        caller_name=wanted.caller_name,
        headers=tuple(wanted.headers.items()),
        ring_limit_ms=wanted.ring_limit_ms,
    )


def _way(
    tx: Transaction,
    wanted: Outgoing,
    specs: tuple[DialSpec, ...],
    passage: Passage,
    trunk: Trunk | None = None,
) -> Way:
    application_id = wanted.application.id if wanted.application is not None else None
    policy = policy_of(tx, passage, application_id)
    return Way(specs=specs, passage=passage, policy=policy, trunk=trunk)


def _to_endpoint(parts: Parts, tx: Transaction, wanted: Outgoing, endpoint: Endpoint) -> Way:
    now_ms = parts.clock.now_ms()
    places = [each for each in tx.endpoints.bindings(endpoint.id) if each.expires_unix_ms > now_ms]
    if not places:
        raise NotRegistered(endpoint.username)
    specs = tuple(replace(_plain(wanted), uri=place.contact, route=place.route) for place in places)
    return _way(tx, wanted, specs, Passage(endpoint_id=endpoint.id))


def _by_trunks(parts: Parts, tx: Transaction, wanted: Outgoing, number: str) -> Sequence[Way]:
    trunks = tx.trunks.all(wanted.account_id)
    ordered = in_order(trunks, parts.trunks.is_down, _DICE)
    if not ordered:
        raise Invalid(
            field="to",
            value=wanted.target,
            expected="a SIP address such as sip:alice@pbx.example.com:5060 (other numbers need a"
            " trunk, and this account has none)",
        )
    return [
        _way(
            tx,
            wanted,
            (trunk_spec(_plain(wanted), trunk, target, number),),
            Passage(trunk_id=trunk.id),
            trunk,
        )
        for trunk, target in ordered
    ]


def trunk_spec(plain: DialSpec, trunk: Trunk, target: TrunkTarget, number: str) -> DialSpec:
    """As this carrier wants to be asked."""
    scheme, _, rest = target.uri.partition(":")
    host, caller = rest.partition(";")[0], _caller_for(trunk, plain.caller)
    return replace(
        plain,
        uri=f"{scheme}:{for_carrier(number, trunk.numbers)}@{rest}",
        caller=caller,
        username=trunk.username,
        password=trunk.password,
        asserted=f"sip:{quote(caller, safe='+')}@{host}" if _asserts(trunk, caller) else "",
        is_private=trunk.caller.is_private,
        codecs=trunk.codecs,
        srtp=trunk.srtp.value,
    )


def _asserts(trunk: Trunk, caller: str) -> bool:
    return trunk.caller.is_asserted and bool(caller)


def _caller_for(trunk: Trunk, caller: str) -> str:
    """The prefix is for numbers that are called."""
    if trunk.caller.is_fixed or not is_number(caller):
        caller = trunk.caller.number or caller
    return for_carrier(caller, replace(trunk.numbers, prefix="")) if is_number(caller) else caller
