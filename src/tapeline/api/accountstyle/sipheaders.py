"""`key=value,key2=value2` to the headers of an INVITE."""

import re

_KEY = re.compile(r"[A-Za-z0-9-]{1,24}")
_VALUE = re.compile(r"[A-Za-z0-9%!'()*+._~/:=@ -]{0,120}")
MAX_HEADERS = 32


def read_sip_headers(text: str, prefix: str) -> dict[str, str] | None:
    """Each key behind `prefix` (`X-…-`), unless it carries it; None when it is no such text.

    Keys and values are bounded: a line break in one would be another header.
    """
    found: dict[str, str] = {}
    for pair in text.split(","):
        key, _, value = (part.strip() for part in pair.partition("="))
        if not key and not value:
            continue
        if not (_KEY.fullmatch(key) and _VALUE.fullmatch(value)):
            return None
        name = key if key.lower().startswith(prefix.lower()) else prefix + key
        found[name] = value
    return found if len(found) <= MAX_HEADERS else None
