"""SRTP with keys in the SDP, as a phone does it (RFC 3711, RFC 4568, RFC 7714). Pure.

Written from the RFCs and apart from the core's, so that neither can hide the other's mistakes.
"""

import base64
import hmac
import re
import secrets
import struct
from dataclasses import dataclass, field, replace
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM")
GCM = SUITES[2]
KEY_BYTES, GCM_TAG_BYTES, SRTCP_TAG_BYTES = 16, 16, 10
_TAG_BYTES = dict(zip(SUITES, (10, 4, GCM_TAG_BYTES), strict=True))
_SALT_BYTES = dict(zip(SUITES, (14, 14, 12), strict=True))
_LINE = re.compile(r"(\d{1,9}) (\S+) inline:([A-Za-z0-9+/=]+)(?:\|[^:\s]*)?\s*$")
_ENCRYPTED = 1 << 31


@dataclass(frozen=True, slots=True)
class SrtpKey:
    """What one side protects with, and the tag of its `a=crypto` line."""

    suite: str
    master: bytes = field(repr=False)
    """Key and salt."""
    tag: int = 1

    @classmethod
    def generate(cls, suite: str, *, tag: int = 1) -> Self:
        return cls(suite, secrets.token_bytes(KEY_BYTES + _SALT_BYTES[suite]), tag)

    def to_line(self) -> str:
        """The value of `a=crypto`."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.master).decode()}"


def parse_crypto(value: str) -> SrtpKey | None:
    """None for a suite, an MKI or a key that we cannot use."""
    found = _LINE.fullmatch(value.strip())
    if not found or found[2] not in SUITES:
        return None
    master = base64.b64decode(found[3] + "==")
    if len(master) != KEY_BYTES + _SALT_BYTES[found[2]]:
        return None
    return SrtpKey(found[2], master, int(found[1]))


def _derive(master: bytes, label: int, length: int) -> bytes:
    """The AES-CM PRF of RFC 3711 §4.3.3."""
    salt = bytearray(master[KEY_BYTES:].ljust(14, b"\0"))
    salt[7] ^= label
    return _key_stream(master[:KEY_BYTES], bytes(salt) + b"\0\0", bytes(length))


def _key_stream(key: bytes, iv: bytes, content: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return encryptor.update(content) + encryptor.finalize()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


class _Keys:
    """The session keys of one direction and one protocol (`first_label` 0: RTP, 3: RTCP)."""

    def __init__(self, key: SrtpKey, first_label: int) -> None:
        self.suite = key.suite
        self.cipher = _derive(key.master, first_label, KEY_BYTES)
        self.auth = _derive(key.master, first_label + 1, 20)
        self.salt = _derive(key.master, first_label + 2, _SALT_BYTES[key.suite])

    def iv(self, ssrc: int, index: int) -> bytes:
        """`index`: 48 bits of RTP, 31 of RTCP."""
        if self.suite == GCM:
            return _xor(self.salt, struct.pack("!HIHI", 0, ssrc, index >> 32, index & 0xFFFFFFFF))
        number = (ssrc << 64) | (index << 16)
        return _xor(self.salt + b"\0\0", number.to_bytes(16, "big"))

    def tag(self, content: bytes, length: int) -> bytes:
        return hmac.digest(self.auth, content, "sha1")[:length]


def _header_length(packet: bytes) -> int:
    length = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        length += 4 + 4 * int.from_bytes(packet[length + 2 : length + 4], "big")
    return length


@dataclass(slots=True)
class _Stream:
    """Where one SSRC's roll-over counter stands."""

    roll_over: int
    highest: int

    def index_of(self, sequence: int) -> int:
        """RFC 3711 §3.3.1: the index nearest to the highest."""
        around = (self.roll_over << 16) | self.highest
        guesses = [((self.roll_over + step) << 16) | sequence for step in (-1, 0, 1)]
        return min((g for g in guesses if g >= 0), key=lambda guess: abs(guess - around))

    def note(self, index: int) -> None:
        if index > ((self.roll_over << 16) | self.highest):
            self.roll_over, self.highest = index >> 16, index & 0xFFFF


class SrtpSender:
    """Protects our packets. Use one key with one sender only."""

    def __init__(self, key: SrtpKey) -> None:
        self.key = key
        self._keys = _Keys(key, 0)
        self._streams: dict[int, _Stream] = {}

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet as it goes onto the wire."""
        (sequence,) = struct.unpack_from("!H", packet, 2)
        (ssrc,) = struct.unpack_from("!I", packet, 8)
        stream = self._streams.setdefault(ssrc, _Stream(0, sequence))
        index = stream.index_of(sequence)
        stream.note(index)
        start = _header_length(packet)
        header, payload = packet[:start], packet[start:]
        keys, iv = self._keys, self._keys.iv(ssrc, index)
        if keys.suite == GCM:
            return header + AESGCM(keys.cipher).encrypt(iv, payload, header)
        protected = header + _key_stream(keys.cipher, iv, payload)
        roll_over = struct.pack("!I", index >> 16)
        return protected + keys.tag(protected + roll_over, _TAG_BYTES[keys.suite])


class SrtpReceiver:
    """Opens what the far end sent; None for what is not authentic."""

    def __init__(self, key: SrtpKey) -> None:
        self.key = key
        self._rtp, self._rtcp = _Keys(key, 0), _Keys(key, 3)
        self._streams: dict[int, _Stream] = {}

    def open(self, packet: bytes) -> bytes | None:
        """The RTP packet in the clear."""
        tag_bytes = _TAG_BYTES[self.key.suite]
        if len(packet) < 12 + tag_bytes or _header_length(packet) > len(packet) - tag_bytes:
            return None
        (sequence,) = struct.unpack_from("!H", packet, 2)
        (ssrc,) = struct.unpack_from("!I", packet, 8)
        known = self._streams.get(ssrc, _Stream(0, sequence))
        stream = replace(known)
        index = stream.index_of(sequence)
        opened = self._opened(packet, ssrc, index, tag_bytes)
        if opened is not None:
            stream.note(index)
            self._streams[ssrc] = stream
        return opened

    def _opened(self, packet: bytes, ssrc: int, index: int, tag_bytes: int) -> bytes | None:
        start = _header_length(packet)
        header, iv = packet[:start], self._rtp.iv(ssrc, index)
        if self.key.suite == GCM:
            try:
                return header + AESGCM(self._rtp.cipher).decrypt(iv, packet[start:], header)
            except InvalidTag:
                return None
        content, tag = packet[:-tag_bytes], packet[-tag_bytes:]
        expected = self._rtp.tag(content + struct.pack("!I", index >> 16), tag_bytes)
        if not hmac.compare_digest(tag, expected):
            return None
        return header + _key_stream(self._rtp.cipher, iv, content[start:])

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """The compound RTCP packet in the clear."""
        is_gcm = self.key.suite == GCM
        tag_bytes = GCM_TAG_BYTES if is_gcm else SRTCP_TAG_BYTES
        if len(packet) < 8 + 4 + tag_bytes:
            return None
        end = len(packet) if is_gcm else len(packet) - tag_bytes
        word = packet[end - 4 : end]
        index = int.from_bytes(word, "big")
        if not index & _ENCRYPTED:
            return None
        (ssrc,) = struct.unpack_from("!I", packet, 4)
        iv = self._rtcp.iv(ssrc, index & ~_ENCRYPTED)
        header = packet[:8]
        if is_gcm:
            try:
                cipher = AESGCM(self._rtcp.cipher)
                return header + cipher.decrypt(iv, packet[8 : end - 4], header + word)
            except InvalidTag:
                return None
        if not hmac.compare_digest(packet[end:], self._rtcp.tag(packet[:end], tag_bytes)):
            return None
        return header + _key_stream(self._rtcp.cipher, iv, packet[8 : end - 4])
