"""Whom a request or a document names to be called."""

import re

from tapeline.domain.e164 import is_number

_ADDRESS = re.compile(r"sip:[^\s<>\"]{1,256}", re.IGNORECASE)
_BARE = re.compile(r"[1-9][0-9]{7,14}")
"""These APIs write numbers with their calling code and without `+`."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
EXPECTED = "sip:user@host, a telephone number or the name of an endpoint"


def read_address(text: str) -> str | None:
    """A `sip:` URI, a number, a name; None for anything else."""
    if _ADDRESS.fullmatch(text):
        return "sip:" + text[len("sip:") :]
    if _BARE.fullmatch(text):
        return f"+{text}"
    return text if is_number(text) or _NAME.fullmatch(text) else None
