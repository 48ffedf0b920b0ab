"""One call's audio on the network: its socket, what it says, what it has heard.

Pure but for its socket: the pump's threads (`pump.py`) say when it is its turn.
"""

import random
import socket
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass

from tapeline.testing.g711 import Law
from tapeline.testing.netem import PERFECT, Netem, NetworkQuality
from tapeline.testing.rtp import Heard, RtpPacket, digit_payload, hear, parse_rtp
from tapeline.testing.srtp import SrtpKey, SrtpReceiver, SrtpSender
from tapeline.testing.tones import FRAME_SAMPLES, Silence, Source, encoded_loop

PACKET_NS = 20_000_000
MOST_PACKETS_KEPT = 1_000_000
"""5.5 hours of a stream; later ones are counted only."""
DIGIT_PACKETS, DIGIT_END_PACKETS, DIGIT_PAUSE_PACKETS = 5, 3, 4
LONGEST_DATAGRAM = 2_048
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None
_TIMESPEC = struct.Struct("@qq")


@dataclass(slots=True)
class Spoken:
    """One source as it was sent: the stamps of its first and last packet (each is 20 ms long)."""

    source: Source | None
    first_unix_us: int = 0
    first_monotonic_ns: int = 0
    last_unix_us: int = 0
    last_monotonic_ns: int = 0
    packet_count: int = 0

    @property
    def end_unix_us(self) -> int:
        """When the last packet's audio is over."""
        return self.last_unix_us + PACKET_NS // 1000


def bind_rtp_pair(address: str) -> tuple[socket.socket, socket.socket]:
    """An even port for RTP and the next for RTCP (RFC 3550 §11), non-blocking. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(200):
        rtp = _bind(family, address, 0)
        port = rtp.getsockname()[1]
        if port % 2 == 0 and (rtcp := _try_bind(family, address, port + 1)):
            return rtp, rtcp
        rtp.close()
    raise OSError(f"no free pair of ports on {address}")


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    if _SO_TIMESTAMPNS is not None:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return sock


def _try_bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket | None:
    try:
        return _bind(family, address, port)
    except OSError:
        return None


class RtpStream:
    """Sends a packet every 20 ms once `remote` is known, and records what arrives.

    `play` may be called from any thread; everything else belongs to the pump.
    """

    def __init__(
        self, address: str, *, quality: NetworkQuality = PERFECT, seed: int | None = None
    ) -> None:
        self.rtp, self.rtcp = bind_rtp_pair(address)
        self.netem = Netem(quality, seed=seed or 0)
        self.remote: tuple[str, int] | None = None
        self.law = Law.PCMU
        self.digit_type = 101
        self.spoken: list[Spoken] = []
        self.packets: list[RtpPacket] = []
        self.packets_sent = 0
        self.packets_heard = 0
        self.rtcp_heard = 0
        self.garbage_heard = 0
        self.forged_heard = 0
        """Not authentic SRTP or SRTCP, once the call is protected."""
        self.send_errors = 0
        self.worst_lateness_ms = 0.0
        """How late the sender thread was at worst: what a timing test must subtract or refuse."""
        dice = random.Random(seed) if seed is not None else random.SystemRandom()
        self.ssrc = dice.getrandbits(32)
        self._sequence = dice.getrandbits(16)
        self._timestamp = dice.getrandbits(32)
        self._mark_next = True
        self._digits: deque[tuple[bytes | None, int, bool]] = deque(maxlen=1_000)
        self._digit_timestamp = 0
        self._srtp: tuple[SrtpSender, SrtpReceiver] | None = None
        self._lock = threading.Lock()
        self._position = 0
        self._current: Spoken | None = None
        self.play(Silence())

    @property
    def port(self) -> int:
        return int(self.rtp.getsockname()[1])

    def play(self, source: Source | None) -> Spoken:
        """From the next packet on, from the source's start; None sends no packets at all.

        Time stamps go on meanwhile, as a phone's that suppresses silence. The answer is filled in
        as packets leave.
        """
        spoken = Spoken(source)
        if source is not None:
            encoded_loop(source, self.law)
        with self._lock:
            self._current, self._position = spoken, 0
            self.spoken.append(spoken)
        return spoken

    def protect(self, ours: SrtpKey, theirs: SrtpKey) -> None:
        """SRTP from the next packet on; keys that stay go on counting."""
        sender, receiver = self._srtp or (None, None)
        if sender is None or sender.key != ours:
            sender = SrtpSender(ours)
        if receiver is None or receiver.key != theirs:
            receiver = SrtpReceiver(theirs)
        self._srtp = (sender, receiver)

    def send_digits(self, digits: str) -> None:
        """Telephone-events instead of audio: 100 ms each, 80 ms between."""
        with self._lock:
            for digit in digits:
                for number in range(1, DIGIT_PACKETS + DIGIT_END_PACKETS + 1):
                    duration = min(number, DIGIT_PACKETS) * FRAME_SAMPLES
                    is_end = number > DIGIT_PACKETS
                    payload = digit_payload(digit, duration=duration, is_end=is_end)
                    self._digits.append((payload, duration, number == 1))
                self._digits.extend([(None, 0, False)] * DIGIT_PAUSE_PACKETS)

    def turn(self) -> bytes | None:
        """The next packet, or None when nothing is said. Called once every 20 ms."""
        with self._lock:
            spoken, position = self._current, self._position
            self._position += FRAME_SAMPLES
            digit = self._digits.popleft() if self._digits else None
        timestamp = self._timestamp
        self._timestamp = (timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        if spoken is None or spoken.source is None:
            self._mark_next = True
            return None
        if digit is not None and digit[0] is not None:
            return self._digit_packet(digit[0], timestamp, is_first=digit[2])
        loop = encoded_loop(spoken.source, self.law)
        start = position % len(loop)
        return self._packet(self.law.payload_type, timestamp, loop[start : start + FRAME_SAMPLES])

    def _digit_packet(self, payload: bytes, timestamp: int, *, is_first: bool) -> bytes:
        if is_first:
            self._digit_timestamp = timestamp
            self._mark_next = True
        return self._packet(self.digit_type, self._digit_timestamp, payload)

    def _packet(self, payload_type: int, timestamp: int, payload: bytes) -> bytes:
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=self._sequence,
            timestamp=timestamp,
            ssrc=self.ssrc,
            marker=self._mark_next,
            payload=payload,
        )
        self._mark_next = False
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._stamp()
        return packet.to_bytes()

    def _stamp(self) -> None:
        spoken = self._current
        if spoken is None:
            return
        spoken.last_unix_us, spoken.last_monotonic_ns = time.time_ns() // 1000, time.monotonic_ns()
        if spoken.packet_count == 0:
            spoken.first_unix_us = spoken.last_unix_us
            spoken.first_monotonic_ns = spoken.last_monotonic_ns
        spoken.packet_count += 1

    def send(self, datagram: bytes) -> None:
        if self.remote is None:
            return
        if self._srtp is not None:
            datagram = self._srtp[0].protect(datagram)
        try:
            self.rtp.sendto(datagram, self.remote)
            self.packets_sent += 1
        except OSError:
            self.send_errors += 1

    def receive(self) -> None:
        """Takes everything that waits at the RTP socket."""
        while True:
            try:
                datagram, ancillary, _, _ = self.rtp.recvmsg(LONGEST_DATAGRAM, 64)
            except OSError:
                return
            plain = self._opened(datagram)
            if plain is None:
                self.forged_heard += 1
                continue
            packet = parse_rtp(plain, _arrival_ns(ancillary))
            if packet is None:
                self.garbage_heard += 1
                continue
            self.packets_heard += 1
            if len(self.packets) < MOST_PACKETS_KEPT:
                self.packets.append(packet)

    def receive_rtcp(self) -> None:
        while True:
            try:
                datagram = self.rtcp.recv(LONGEST_DATAGRAM)
            except OSError:
                return
            if self._srtp is not None and self._srtp[1].open_rtcp(datagram) is None:
                self.forged_heard += 1
            else:
                self.rtcp_heard += 1

    def _opened(self, datagram: bytes) -> bytes | None:
        return datagram if self._srtp is None else self._srtp[1].open(datagram)

    def heard(self) -> Heard:
        """What arrived so far, laid out by time stamp."""
        return hear(list(self.packets))

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def _arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()
