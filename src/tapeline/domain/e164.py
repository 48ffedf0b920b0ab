"""Telephone numbers as trunks write them, and as we keep them: E.164 with its `+`. Pure."""

import re
from dataclasses import dataclass, replace

_SEPARATORS = str.maketrans("", "", " -./()")
_SHORTEST, _LONGEST = 7, 15
_SHORTEST_LOCAL = 6
"""Shorter ones are services (112, 11833), which have no calling code."""
_NUMBER = re.compile(r"\+?[0-9][0-9 \-./()]*")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRules:
    """How a carrier writes numbers. Empty fields have no effect."""

    country: str = ""
    """Calling code of the numbers without one: `49`."""
    national: str = "0"
    """What stands before a number of the country when it is dialled from there."""
    international: str = "00"
    """What stands before a calling code."""
    strip: str = ""
    """What the carrier puts before numbers that it sends us."""
    prefix: str = ""
    """What it wants before numbers that we send."""
    has_plus: bool = True
    """Whether international numbers are written with `+`, both ways; else as bare digits."""


def is_number(text: str) -> bool:
    """Digits with the separators that people write, a `+` perhaps before them."""
    return bool(_NUMBER.fullmatch(text)) and len(_digits(text)) <= _LONGEST + 4


def is_e164(text: str) -> bool:
    return bool(_E164.fullmatch(text))


def _digits(text: str) -> str:
    return text.translate(_SEPARATORS).removeprefix("+")


def to_e164(text: str, rules: NumberRules) -> str:
    """What is no telephone number, or too short for one, stays as it is (`room-1`, `112`)."""
    bare = text.removeprefix(rules.strip)
    if not is_number(bare):
        return text
    digits = _digits(bare)
    if bare.startswith("+"):
        made = digits
    elif rules.international and digits.startswith(rules.international):
        made = digits.removeprefix(rules.international)
    elif rules.country and rules.national and digits.startswith(rules.national):
        made = rules.country + digits.removeprefix(rules.national)
    elif not rules.has_plus:
        made = digits
    elif rules.country and len(digits) >= _SHORTEST_LOCAL:
        made = rules.country + digits
    else:
        return text
    is_good = _SHORTEST <= len(made) <= _LONGEST and not made.startswith("0")
    return f"+{made}" if is_good else text


def for_carrier(text: str, rules: NumberRules) -> str:
    """A number as the carrier wants to be asked for it."""
    number = to_e164(text, replace(rules, strip=""))
    if is_e164(number) and not rules.has_plus:
        number = number.removeprefix("+")
    return rules.prefix + number.translate(_SEPARATORS)
