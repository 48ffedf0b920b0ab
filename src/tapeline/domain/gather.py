"""Digits that a command collects."""

from dataclasses import dataclass
from enum import StrEnum


class GatherOutcome(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    """Too few, or others than those allowed."""
    TIMEOUT = "timeout"
    """Nothing was keyed."""
    CANCELLED = "cancelled"
    CALL_ENDED = "call_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherRules:
    minimum: int = 1
    maximum: int = 128
    first_digit_ms: int = 5_000
    """From the end of the prompt."""
    between_digits_ms: int = 5_000
    total_ms: int = 60_000
    """Of one try, from the end of the prompt."""
    finish_keys: str = "#"
    """Any of these ends it, and is not part of it."""
    valid_digits: str = "0123456789#*"
    tries: int = 1


def judged(rules: GatherRules, digits: str) -> GatherOutcome:
    if not digits:
        return GatherOutcome.TIMEOUT
    is_valid = len(digits) >= rules.minimum and set(digits) <= set(rules.valid_digits)
    return GatherOutcome.VALID if is_valid else GatherOutcome.INVALID
