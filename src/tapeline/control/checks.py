"""Rules about values that more than one use case takes. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from tapeline.domain.error import Invalid, InvalidChoice, InvalidUrl, OutOfRange

METHODS = ("GET", "POST")


def check_url(field: str, url: str | None) -> None:
    """Raises InvalidUrl for what is no absolute http or https URL; None passes."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        is_good = False
    if not is_good or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidUrl(field=field, value=url)


def check_method(field: str, method: str) -> None:
    if method not in METHODS:
        raise InvalidChoice(field=field, value=method, choices=METHODS)


_SIP_URI = re.compile(
    r"sip:[A-Za-z0-9\-_.!~*'()&=+$,;?/%]{1,128}"  # RFC 3261 §25.1: user
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?"
)
_NAME = re.compile(r"\+?[A-Za-z0-9][A-Za-z0-9 ._+()/-]{0,63}")
_HEADER_NAME = re.compile(r"[Xx]-[A-Za-z0-9-]{1,62}")
_LONGEST_NAME = 128
_LONGEST_VALUE = 1024


def check_target(field: str, target: str) -> None:
    """Raises Invalid for what cannot be dialled: everything but `sip:USER@HOST[:PORT]`, a telephone
    number and an endpoint's name. Whether there is a way to it is known when it is dialled.
    """
    is_address = target.startswith("sip:")
    if not (_SIP_URI if is_address else _NAME).fullmatch(target):
        raise Invalid(
            field=field,
            value=target,
            expected="a SIP address such as sip:alice@pbx.example.com:5060, a telephone number or"
            " the name of an endpoint",
        )


def check_caller(field: str, caller: str) -> None:
    """What goes into `From`, where the core quotes it: nothing that could end a line."""
    if len(caller) > _LONGEST_NAME or not caller.isprintable():
        raise Invalid(
            field=field, value=caller, expected=f"at most {_LONGEST_NAME} printable characters"
        )


def check_headers(field: str, headers: Mapping[str, str]) -> None:
    """`X-…` headers of an INVITE: nothing that could end a line."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise Invalid(field=field, value=name, expected="a header name that starts with X-")
        if len(value) > _LONGEST_VALUE or not value.isprintable():
            raise Invalid(
                field=field,
                value=value,
                expected=f"at most {_LONGEST_VALUE} printable characters",
            )


def check_range(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise OutOfRange(field=field, value=value, low=low, high=high)
