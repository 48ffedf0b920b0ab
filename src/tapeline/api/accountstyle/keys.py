"""Digits that a call is to be sent, as account-style APIs write them."""

import re

from tapeline.domain.sound import Keys

KEYS_EXPECTED = "1 to 64 of 0-9, *, #, w and W, and @MILLISECONDS"
_KEYS = re.compile("([0-9*#A-DwW,]{1,64})(?:@([0-9]{2,4}))?")


def read_keys(text: str) -> Keys | None:
    """`DIGITS@MILLISECONDS`, a comma being half a second too; None for what is neither."""
    found = _KEYS.fullmatch(text)
    if found is None:
        return None
    digits = found[1].replace(",", "w")
    return Keys(digits=digits) if found[2] is None else Keys(digits=digits, tone_ms=int(found[2]))
