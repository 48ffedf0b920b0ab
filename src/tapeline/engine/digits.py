"""Which keys can be pressed; the same for the live engine and its double."""

import re

from tapeline.domain.error import Invalid

_KEYS = re.compile(r"[0-9*#A-DwW]{1,64}")


def check_digits(digits: str) -> None:
    """Raises Invalid, which does not repeat the digits: they may be a PIN."""
    if not _KEYS.fullmatch(digits):
        raise Invalid(
            field="digits",
            value=f"{len(digits)} keys",
            expected="1 to 64 of 0-9, *, #, A-D, and w or W for a pause",
        )
