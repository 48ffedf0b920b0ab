"""Where outgoing requests may go: public addresses, and what the configuration allows besides.

Customers choose the URLs we call. Without this, one of them could make this machine ask its own
services, its neighbours' or a cloud's metadata address (169.254.169.254), and read the answer.
"""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What the standard library's `is_global` does not settle alone, with a reason for people.
_REASONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("link-local or metadata", ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("shared by a carrier's NAT", ("100.64.0.0/10",)),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("unspecified or broadcast", ("0.0.0.0/8", "255.255.255.255/32", "::/128")),
)
_REFUSED: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (reason, tuple(ipaddress.ip_network(network) for network in networks))
    for reason, networks in _REASONS
)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Destinations:
    """The rule, with the networks that are allowed beside the public ones."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """Raises ValueError for something that is no network."""
        self._allow = tuple(ipaddress.ip_network(network, strict=False) for network in allow)

    def refusal(self, text: str) -> str | None:
        """Why nothing is sent to that IP address (`::1%eth0` too), or None when it may be."""
        try:
            address = ipaddress.ip_address(text.split("%", 1)[0])
        except ValueError:
            return f"{text} is no IP address"
        inner = _inside(address)
        if self._is_allowed(address) or (inner is not None and self._is_allowed(inner)):
            return None
        for each in (address, inner):
            if each is not None and (reason := _reason(each)) is not None:
                return f"{address} is {reason}"
        return None

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allow)


def _reason(address: Address) -> str | None:
    for reason, networks in _REFUSED:
        if any(address in network for network in networks):
            return reason
    if _inside(address) is None and not address.is_global:
        return "reserved"
    return None


def _inside(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    is_embedded = any(address in network for network in (*_NAT64, _V4_COMPATIBLE))
    if is_embedded and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
