"""What a trunk may look like. Pure, but for the names that other trunks have."""

import ipaddress
import re

from tapeline.control.checks import check_caller, check_range
from tapeline.control.endpoints import check_password, check_username
from tapeline.domain.e164 import NumberRules
from tapeline.domain.error import Conflict, Invalid, InvalidChoice
from tapeline.domain.port import Transaction
from tapeline.domain.trunk import CODECS, Trunk

_TARGET = re.compile(
    r"sips?:(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[1-9][0-9]{0,4})?(?:;transport=(?:udp|tcp|tls|ws|wss))?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIALLED = re.compile(r"[0-9*#]{0,16}")
_PREFIX = re.compile(r"\+?[0-9*#]{0,16}")
_MOST_TARGETS = 16
_MOST_SOURCES = 64


def check_trunk(trunk: Trunk) -> None:
    """Raises Invalid."""
    if not _NAME.fullmatch(trunk.name):
        raise Invalid(
            field="name", value=trunk.name, expected="at most 64 letters, digits, dots, - and _"
        )
    _check_targets(trunk)
    _check_sources(trunk)
    _check_identity(trunk)
    _check_numbers(trunk.numbers)
    check_caller("caller", trunk.caller.number)
    check_range("priority", trunk.priority, 0, 65_535)
    check_range("register_expires_s", trunk.register_expires_s, 60, 86_400)
    check_range("watch_every_s", trunk.watch_every_s, 0, 3_600)
    check_range("channel_limit", trunk.channel_limit, 0, 100_000)
    for codec in trunk.codecs:
        if codec not in CODECS:
            raise InvalidChoice(field="codecs", value=codec, choices=CODECS)
    if trunk.caller.is_fixed and not trunk.caller.number:
        raise Invalid(field="caller", value="", expected="a number, since it is the only one")


def _check_targets(trunk: Trunk) -> None:
    for target in trunk.targets:
        if not _TARGET.fullmatch(target.uri):
            raise Invalid(
                field="target",
                value=target.uri,
                expected="an address such as sip:carrier.example:5060;transport=tcp",
            )
        check_range("target priority", target.priority, 0, 65_535)
        check_range("target weight", target.weight, 0, 65_535)
    if len(trunk.targets) > _MOST_TARGETS or len(set(trunk.targets)) < len(trunk.targets):
        raise Invalid(
            field="target",
            value=len(trunk.targets),
            expected=f"at most {_MOST_TARGETS}, each once",
        )
    if not trunk.targets and not trunk.sources and not trunk.proves_itself:
        raise Invalid(field="target", value=None, expected="where calls go, or whose calls come")


def _check_sources(trunk: Trunk) -> None:
    if len(trunk.sources) > _MOST_SOURCES:
        raise Invalid(field="source", value=len(trunk.sources), expected=f"at most {_MOST_SOURCES}")
    for network in trunk.sources:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise Invalid(field="source", value=network, expected=f"a network ({error})") from error


def _check_identity(trunk: Trunk) -> None:
    if trunk.username:
        check_username("username", trunk.username)
        check_password("password", trunk.password)
    elif trunk.registers or trunk.proves_itself or trunk.password:
        raise Invalid(field="username", value="", expected="a user for the password")
    if trunk.registers and not trunk.targets:
        raise Invalid(field="target", value=None, expected="a target to register with")


def _check_numbers(rules: NumberRules) -> None:
    if rules.country and not re.fullmatch(r"[1-9][0-9]{0,3}", rules.country):
        raise Invalid(field="country", value=rules.country, expected="a calling code such as 49")
    for name, pattern in {
        "national": _DIALLED,
        "international": _DIALLED,
        "strip": _PREFIX,
        "prefix": _PREFIX,
    }.items():
        value = getattr(rules, name)
        if not pattern.fullmatch(value):
            raise Invalid(field=name, value=value, expected="at most 16 digits")


def check_among(tx: Transaction, trunk: Trunk) -> None:
    """A source, or a user that proves itself, is of one trunk. Raises Conflict."""
    others = [each for each in tx.trunks.all(None) if each.id != trunk.id]
    for other in others:
        shared = {str(ipaddress.ip_network(each)) for each in trunk.sources} & {
            str(ipaddress.ip_network(each)) for each in other.sources
        }
        if shared:
            raise Conflict(f"{', '.join(sorted(shared))} is a source of trunk {other.name} already")
    if not trunk.proves_itself:
        return
    users = {each.username for each in others if each.proves_itself}
    if trunk.username in users or tx.endpoints.by_username(trunk.username) is not None:
        raise Conflict(f"{trunk.username} proves itself as another trunk or endpoint already")
