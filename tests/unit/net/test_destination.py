"""Where outgoing requests may go, by address."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.net import Destinations


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::1%lo",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2001:0:a9fe:a9fe::80ff:fffe",
        "not an address",
        "",
    ],
)
def test_these_are_refused(address: str) -> None:
    assert Destinations().refusal(address) is not None


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_ones_may_be_asked(address: str) -> None:
    assert Destinations().refusal(address) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_an_allowed_network_is_allowed_in_every_spelling(address: str) -> None:
    assert Destinations(["127.0.0.0/8"]).refusal(address) is None
    assert Destinations(["10.0.0.0/8"]).refusal(address) is not None


def test_a_network_may_be_given_by_a_host_in_it_and_must_be_one() -> None:
    assert Destinations(["192.168.1.7/24"]).refusal("192.168.1.1") is None
    with pytest.raises(ValueError, match="localhost"):
        Destinations(["localhost"])


@given(st.ip_addresses(v=4))
def test_no_private_address_hides_in_an_ipv6_one(inner: ipaddress.IPv4Address) -> None:
    rule = Destinations()
    is_refused = rule.refusal(str(inner)) is not None
    number = int(inner)

    for outer in (
        (0xFFFF << 32) | number,
        (0x64FF9B << 96) | number,
        (0x2002 << 112) | number << 80,
    ):
        text = str(ipaddress.IPv6Address(outer))
        assert (rule.refusal(text) is not None) >= is_refused, text


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    Destinations().refusal(text)
