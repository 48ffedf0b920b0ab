"""What a core is started with."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may call without digest, and how fast; networks are `10.0.0.0/8` or one address."""

    networks: tuple[str, ...] = ()
    """Everybody else must be known by its address or prove by digest who it is."""
    rate_per_source: int = 0
    """New requests per second and source; 0: unlimited."""
    rate_exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    max_unacknowledged: int = 2_000
    """INVITEs answered with 2xx whose ACK has not come yet, at once, in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """The arguments of `tapeline._core.Core`."""

    sip_udp: tuple[str, ...]
    """`address:port`, `[v6]:port`; port 0 lets the kernel choose."""
    sip_tcp: tuple[str, ...] = ()
    sip_tls: tuple[str, ...] = ()
    sip_ws: tuple[str, ...] = ()
    sip_wss: tuple[str, ...] = ()
    tls_certificate: str = ""
    """PEM files; TLS and WSS need this one and its key."""
    tls_key: str = ""
    tls_client_ca: str = ""
    """Whose certificates are asked of who comes by TLS; empty: none."""
    tls_trust: str = ""
    """Whose certificates are believed of whom we call; empty: the system's authorities."""
    dns: tuple[str, ...] = ()
    """Name servers, `address` or `address:port`; empty: the system's."""
    rtp_address: str = ""
    """Advertised in SDP and Contact; empty: the address that faces each peer."""
    rtp_ports: tuple[int, int] = (20_000, 29_999)
    codecs: tuple[str, ...] = ("opus", "G722", "PCMU", "PCMA", "L16")
    """Those that may be agreed on, in the order of our own offers."""
    room_rate_limit_hz: int = 16_000
    """Of Opus and L16: 16000 or 48000."""
    spool: Path
    """Recordings lie beneath it, on one file system; made when missing."""
    access: Access = field(default_factory=Access)
    realtime: bool = True
    max_legs: int = 4_096
    max_rooms: int = 2_048
    max_recorders: int = 2_048
    reserve_bytes: int = 0
    """No recording starts with less free space than this."""
    ring_limit_ms: int = 180_000
    session_expires_s: int = 1_800
    """A call is over whose far end has not shown for so long that it lives; 90 at least."""
    srtp: str = "accept"
    """`never`, `accept`, `require`."""
    sdes_over_plain_sip: bool = False
    """SRTP keys may stand in SIP that others can read."""
    realm: str = "tapeline"
    """Of digest challenges; the hashes of passwords are made with it."""
