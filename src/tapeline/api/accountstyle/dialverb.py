"""The reader of `<Dial>` with its `<Number>` and `<User>`."""

from functools import partial

from tapeline.api.accountstyle.addresses import EXPECTED, read_address
from tapeline.api.accountstyle.answer import Node
from tapeline.api.accountstyle.keys import KEYS_EXPECTED, read_keys
from tapeline.api.accountstyle.sipheaders import read_sip_headers
from tapeline.api.accountstyle.verbs import DAY_S, read_action
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.sound import Keys
from tapeline.domain.verb import Confirm, Dial, DialTarget

RING_S = 120
TALK_S = 14_400
MAX_TARGETS = 20
MAX_CALLER_NAME = 50
_CONFIRM_S, _LONGEST_CONFIRM_S = 10, 600
_PRESSED = frozenset("0123456789*#")


def read_dial(node: Node, *, header_prefix: str) -> Dial:
    """`header_prefix` is what the dialect's SIP headers begin with."""
    headers = _headers(node, header_prefix)
    targets = node.take_children(
        {
            "Number": partial(_target, header_prefix=header_prefix),
            "User": partial(_target, header_prefix=header_prefix),
        }
    )
    if not 0 < len(targets) <= MAX_TARGETS:
        said = f"it needs from 1 to {MAX_TARGETS} of <Number> and <User>"
        raise AnswerInvalid(said, place=node.place)
    name = node.take("callerName") or ""
    if len(name) > MAX_CALLER_NAME:
        raise node.wrong("callerName", name, f"at most {MAX_CALLER_NAME} characters")
    ring_s = node.take_number("timeout", low=1, high=DAY_S) or RING_S
    talk_s = node.take_number("timeLimit", low=1, high=DAY_S) or TALK_S
    return Dial(
        targets=targets,
        caller=node.take("callerId") or "",
        caller_name=name,
        ring_limit_ms=ring_s * 1_000,
        time_limit_ms=talk_s * 1_000,
        hang_up_on_star=node.take_flag("hangupOnStar", default=False),
        confirm=_confirm(node),
        music_url=_music(node),
        headers=headers,
        action=read_action(node, follows=True),
        callback_url=node.take_url("callbackUrl"),
        callback_method=node.take_method("callbackMethod"),
    )


def _confirm(node: Node) -> Confirm | None:
    """None when the called side need not confirm anything."""
    url, key = node.take_url("confirmSound"), node.take("confirmKey") or ""
    if not set(key) <= _PRESSED:
        raise node.wrong("confirmKey", key, "of 0-9, * and #")
    wait_s = node.take_number("confirmTimeout", low=1, high=_LONGEST_CONFIRM_S)
    if url is None and not key:
        return None
    return Confirm(sound_url=url, key=key, timeout_ms=(wait_s or _CONFIRM_S) * 1_000)


def _music(node: Node) -> str | None:
    """`real` is what is heard without it: ringing."""
    if (value := node.take("dialMusic")) is None or value.lower() == "real":
        return None
    return node.check_url("dialMusic", value)


def _target(node: Node, *, header_prefix: str) -> DialTarget:
    uri = node.text
    if node.name == "User" and "@" in uri and not uri.lower().startswith("sip:"):
        uri = f"sip:{uri}"
    address = read_address(uri)
    if address is None:
        raise node.wrong("the address", node.text, EXPECTED)
    return DialTarget(uri=address, headers=_headers(node, header_prefix), keys=_keys(node))


def _keys(node: Node) -> Keys | None:
    given = node.take("sendDigits")
    if given is None:
        return None
    keys = read_keys(given)
    if keys is None:
        raise node.wrong("sendDigits", given, KEYS_EXPECTED)
    return keys


def _headers(node: Node, prefix: str) -> dict[str, str]:
    given = node.take("sipHeaders") or ""
    found = read_sip_headers(given, prefix)
    if found is None:
        raise node.wrong("sipHeaders", given, "key=value,key2=value2")
    return found
