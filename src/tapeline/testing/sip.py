"""SIP messages of the softphone (RFC 3261 §7, RFC 4566): parsing and building, no sockets.

Small on purpose: what a telephone on a good network needs, written apart from the core's stack.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tapeline.testing.srtp import SrtpKey, parse_crypto

LONGEST_MESSAGE = 65_535
_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "m": "contact",
    "i": "call-id",
    "c": "content-type",
    "l": "content-length",
    "k": "supported",
}
Headers = tuple[tuple[str, str], ...]


class SipSyntaxError(ValueError):
    """A datagram that is no SIP message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipMessage:
    """What requests and responses share; header names are matched without case."""

    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first header of that name, or an empty string."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self.headers if _long(key) == wanted]

    @property
    def call_id(self) -> str:
        return self.header("call-id")

    @property
    def branch(self) -> str:
        return parameter(self.header("via"), "branch")

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.header("cseq").partition(" ")
        return (int(number) if number.isdigit() else 0, method.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class SipRequest(SipMessage):
    method: str
    uri: str

    def to_bytes(self) -> bytes:
        return _render(f"{self.method} {self.uri} SIP/2.0", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipResponse(SipMessage):
    status: int
    reason: str

    def to_bytes(self) -> bytes:
        return _render(f"SIP/2.0 {self.status} {self.reason}", self)


def parse_sip(datagram: bytes) -> SipRequest | SipResponse:
    """Raises SipSyntaxError."""
    head, separator, rest = datagram.partition(b"\r\n\r\n")
    if not separator or len(datagram) > LONGEST_MESSAGE:
        raise SipSyntaxError("no end of headers")
    start, *lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    headers = tuple(_header(line) for line in lines)
    words = start.split(" ", 2)
    if len(words) < 3:  # noqa: PLR2004 - method, URI, version or version, status, reason
        raise SipSyntaxError(f"start line {start!r}")
    if words[0] == "SIP/2.0" and words[1].isdigit():
        message: SipRequest | SipResponse = SipResponse(
            status=int(words[1]), reason=words[2], headers=headers
        )
    elif words[2] == "SIP/2.0":
        message = SipRequest(method=words[0], uri=words[1], headers=headers)
    else:
        raise SipSyntaxError(f"start line {start!r}")
    length = message.header("content-length")
    return replace(message, body=rest[: int(length)] if length.isdigit() else rest)


def parameter(value: str, name: str) -> str:
    """A header parameter (`;name=value`), or an empty string."""
    found = re.search(rf";\s*{re.escape(name)}\s*=\s*\"?([^;,\s\"]+)", value, re.IGNORECASE)
    return found[1] if found else ""


def address_uri(value: str) -> str:
    """The URI of a name-addr or addr-spec: `"Ann" <sip:ann@host>;tag=1` → `sip:ann@host`."""
    found = re.search(r"<([^>]+)>", value)
    return found[1] if found else value.split(";", maxsplit=1)[0].strip()


def uri_target(uri: str) -> tuple[str, int]:
    """Host and port of a SIP URI with an address as its host. Raises ValueError."""
    found = re.match(r"sips?:(?:[^@]*@)?(\[[0-9a-fA-F:]+\]|[^:;?>]+)(?::(\d+))?", uri)
    if not found:
        raise ValueError(f"{uri!r} is no SIP URI")
    return found[1].strip("[]"), int(found[2] or 5060)


def _long(name: str) -> str:
    lower = name.lower()
    return _COMPACT.get(lower, lower)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise SipSyntaxError(f"header {line!r}")
    return name.strip(), value.strip()


def _render(start: str, message: SipMessage) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in message.headers)]
    lines.append(f"Content-Length: {len(message.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + message.body


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription:
    """One audio line of an SDP: where to send, and the codecs by payload type."""

    address: str
    port: int
    payload_types: tuple[int, ...]
    names: dict[int, str] = field(default_factory=dict)
    direction: str = "sendrecv"
    keys: tuple[SrtpKey, ...] = ()
    """Of its `a=crypto` lines, those that can be used."""

    def type_of(self, name: str) -> int | None:
        """The payload type that stands for a codec name, compared without case."""
        for number in self.payload_types:
            if self.names.get(number, "").upper() == name.upper():
                return number
        return None


_STATIC_NAMES = {0: "PCMU", 8: "PCMA"}
_TYPES = {"PCMU": (0, "8000"), "PCMA": (8, "8000"), "opus": (96, "48000/2")}


def build_sdp(
    address: str,
    port: int,
    codecs: Sequence[str],
    *,
    version: int = 1,
    key: SrtpKey | None = None,
) -> bytes:
    """An offer or answer with the codecs (PCMU, PCMA, opus) in the order given, and telephone-event
    as 101; with `key` it is SRTP.
    """
    numbers = " ".join(str(_TYPES[name][0]) for name in codecs)
    maps = "".join(f"a=rtpmap:{_TYPES[name][0]} {name}/{_TYPES[name][1]}\r\n" for name in codecs)
    family = "IP6" if ":" in address else "IP4"
    profile = "RTP/SAVP" if key else "RTP/AVP"
    crypto = f"a=crypto:{key.to_line()}\r\n" if key else ""
    return (
        f"v=0\r\no=- 1 {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\n"
        f"t=0 0\r\nm=audio {port} {profile} {numbers} 101\r\n{maps}{crypto}"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    ).encode()


def parse_sdp(body: bytes) -> MediaDescription | None:
    """The first audio line with its address, or None when there is none."""
    address, port, direction = "", 0, "sendrecv"
    types: tuple[int, ...] = ()
    names = dict(_STATIC_NAMES)
    keys: list[SrtpKey] = []
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith("c=IN "):
            address = line.split()[-1]
        elif line.startswith("m=audio ") and not types:
            words = line.split()
            port = int(words[1])
            types = tuple(int(word) for word in words[3:] if word.isdigit())
        elif found := re.match(r"a=rtpmap:(\d+) ([^/]+)/", line):
            names[int(found[1])] = found[2]
        elif line.startswith("a=crypto:"):
            keys.extend(filter(None, [parse_crypto(line.removeprefix("a=crypto:"))]))
        elif line[2:] in {"sendrecv", "sendonly", "recvonly", "inactive"}:
            direction = line[2:]
    if not types:
        return None
    return MediaDescription(
        address=address,
        port=port,
        payload_types=types,
        names=names,
        direction=direction,
        keys=tuple(keys),
    )
