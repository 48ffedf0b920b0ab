import pytest

from tapeline.domain.e164 import NumberRules, for_carrier, is_number, to_e164

GERMANY = NumberRules(country="49")
AMERICA = NumberRules(country="1", national="1", international="011")
BARE = NumberRules(country="49", has_plus=False)
"""A carrier that writes international numbers without `+`."""
TECH_PREFIX = NumberRules(country="49", strip="99", prefix="77", has_plus=False)


@pytest.mark.parametrize(
    ("text", "rules", "number"),
    [
        ("+4930123456", NumberRules(), "+4930123456"),
        ("+49 (30) 123-456", NumberRules(), "+4930123456"),
        ("004930123456", NumberRules(), "+4930123456"),
        ("4930123456", NumberRules(), "4930123456"),  # nobody says what it is
        ("030123456", GERMANY, "+4930123456"),
        ("30123456", GERMANY, "+4930123456"),
        ("00442071234567", GERMANY, "+442071234567"),
        ("12125550100", AMERICA, "+12125550100"),
        ("2125550100", AMERICA, "+12125550100"),
        ("011442071234567", AMERICA, "+442071234567"),
        ("442071234567", BARE, "+442071234567"),
        ("030123456", BARE, "+4930123456"),
        ("994930123456", TECH_PREFIX, "+4930123456"),
        ("112", GERMANY, "112"),
        ("room-1", GERMANY, "room-1"),
        ("alice", GERMANY, "alice"),
        ("", GERMANY, ""),
        ("+0301234567", GERMANY, "+0301234567"),  # no calling code begins with 0
        ("+1234567890123456", GERMANY, "+1234567890123456"),  # longer than E.164 allows
    ],
)
def test_a_number_is_kept_as_e164(text: str, rules: NumberRules, number: str) -> None:
    assert to_e164(text, rules) == number


@pytest.mark.parametrize(
    ("text", "rules", "sent"),
    [
        ("+49 30 123456", GERMANY, "+4930123456"),
        ("030 123456", GERMANY, "+4930123456"),
        ("+4930123456", BARE, "4930123456"),
        ("+4930123456", TECH_PREFIX, "774930123456"),
        ("112", GERMANY, "112"),
    ],
)
def test_a_carrier_is_asked_in_its_own_way(text: str, rules: NumberRules, sent: str) -> None:
    assert for_carrier(text, rules) == sent


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("+4930123456", True),
        ("112", True),
        ("030/123 456", True),
        ("alice", False),
        ("1000x", False),
        ("+", False),
        ("", False),
        ("1" * 40, False),
    ],
)
def test_a_name_is_no_number(text: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_number(text) is is_one
