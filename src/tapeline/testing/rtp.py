"""RTP packets as bytes (RFC 3550 §5.1, RFC 4733 §2.3), and what a stream of them held."""

import struct
from dataclasses import dataclass

import numpy as np

from tapeline.testing.g711 import Law, Samples, decode

HEADER = struct.Struct("!BBHII")
EVENT = struct.Struct("!BBH")
VERSION_BITS = 0x80
MARKER_BIT = 0x80
DIGITS = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpPacket:
    """`arrived_unix_ns` is the kernel's time stamp where it gives one; 0 for a packet to send."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool = False
    payload: bytes
    arrived_unix_ns: int = 0

    def to_bytes(self) -> bytes:
        second = self.payload_type | (MARKER_BIT if self.marker else 0)
        head = HEADER.pack(VERSION_BITS, second, self.sequence, self.timestamp, self.ssrc)
        return head + self.payload


def parse_rtp(datagram: bytes, arrived_unix_ns: int = 0) -> RtpPacket | None:
    """The packet, or None when it is no RTP version 2."""
    if len(datagram) < HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(datagram)
    start = HEADER.size + 4 * (first & 0x0F)
    if first >> 6 != 2 or len(datagram) < start:  # noqa: PLR2004 - the version
        return None
    if first & 0x10:
        if len(datagram) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    end = len(datagram) - (datagram[-1] if first & 0x20 else 0)
    if end < start:
        return None
    return RtpPacket(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        marker=bool(second & MARKER_BIT),
        payload=datagram[start:end],
        arrived_unix_ns=arrived_unix_ns,
    )


def digit_payload(digit: str, *, duration: int, is_end: bool) -> bytes:
    """A telephone-event of RFC 4733; `duration` in samples."""
    return EVENT.pack(DIGITS.index(digit), (0x80 if is_end else 0) | 10, min(duration, 0xFFFF))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a stream held, on its own time line: packets lie where their time stamps say.

    `start_unix_us` is when the first packet arrived: the wall clock of sample 0.
    """

    samples: Samples
    start_unix_us: int
    packet_count: int
    lost_count: int
    longest_gap_ms: float
    """The longest time between two arrivals."""


NOTHING_HEARD = Heard(
    samples=np.zeros(0, dtype=np.float32),
    start_unix_us=0,
    packet_count=0,
    lost_count=0,
    longest_gap_ms=0.0,
)


def hear(packets: list[RtpPacket]) -> Heard:
    """Lays G.711 packets out by time stamp; missing ones are silence, other types are left out.

    A change of SSRC continues where its arrival says.
    """
    spoken = [p for p in packets if p.payload_type in _LAWS]
    if not spoken:
        return NOTHING_HEARD
    places = _places(spoken)
    end = max(place + len(p.payload) for place, p in zip(places, spoken, strict=True))
    samples = np.zeros(end, dtype=np.float32)
    for place, packet in zip(places, spoken, strict=True):
        if place >= 0:
            decoded = decode(packet.payload, _LAWS[packet.payload_type])
            samples[place : place + len(decoded)] = decoded
    arrivals = np.array([p.arrived_unix_ns for p in spoken])
    gaps = np.diff(arrivals) if len(arrivals) > 1 else np.zeros(1)
    return Heard(
        samples=samples,
        start_unix_us=spoken[0].arrived_unix_ns // 1000,
        packet_count=len(spoken),
        lost_count=_lost(spoken),
        longest_gap_ms=float(gaps.max()) / 1e6,
    )


_LAWS = {law.payload_type: law for law in Law}
_HALF, _WHOLE = 1 << 31, 1 << 32
_LONGEST_JUMP = 8_000 * 3_600


def _places(packets: list[RtpPacket]) -> list[int]:
    """Each packet's sample position from the first packet's; wraps and new streams are followed."""
    first = packets[0]
    base_place, base = 0, first
    places = []
    for packet in packets:
        if packet.ssrc != base.ssrc:
            since_ns = packet.arrived_unix_ns - first.arrived_unix_ns
            base_place, base = since_ns * 8 // 1_000_000, packet
        ahead = (packet.timestamp - base.timestamp + _HALF) % _WHOLE - _HALF
        places.append(base_place + ahead if abs(ahead) < _LONGEST_JUMP else -1)
    return places


def _lost(packets: list[RtpPacket]) -> int:
    """Sequence numbers that never came, by SSRC; a wrap within one stream is followed."""
    lost = 0
    for ssrc in {p.ssrc for p in packets}:
        numbers = [p.sequence for p in packets if p.ssrc == ssrc]
        unwrapped = np.unwrap(np.array(numbers, dtype=np.float64), period=65_536)
        lost += int(unwrapped.max() - unwrapped.min()) + 1 - len(set(unwrapped.tolist()))
    return lost
