"""Ogg pages (RFC 3533) around Opus packets (RFC 7845): what ffmpeg reads and writes."""

import struct
from collections.abc import Iterator, Sequence

_HEADER = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)) & 0xFFFF_FFFF
        table.append(value)
    return table


_CRC = _table()


def opus_packets(stream: bytes) -> list[bytes]:
    """The packets of an Ogg Opus stream, without its two headers."""
    packets: list[bytes] = []
    unfinished = b""
    for lacing, body in _pages(stream):
        at = 0
        for size in lacing:
            unfinished += body[at : at + size]
            at += size
            if size < 255:
                packets.append(unfinished)
                unfinished = b""
    return packets[2:]


def _pages(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(stream):
        capture, *_, count = _HEADER.unpack_from(stream, at)
        assert capture == b"OggS"
        at += _HEADER.size
        lacing = stream[at : at + count]
        at += count
        yield lacing, stream[at : at + sum(lacing)]
        at += sum(lacing)


def opus_stream(packets: Sequence[bytes]) -> bytes:
    """Mono packets of 20 ms each as an Ogg Opus stream."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I4sI", 4, b"test", 0)
    pages = [_page(head, 0, 0, _FIRST), _page(tags, 0, 1, 0)]
    for number, packet in enumerate(packets, start=1):
        flags = _LAST if number == len(packets) else 0
        pages.append(_page(packet, number * 960, number + 1, flags))
    return b"".join(pages)


def _page(packet: bytes, position: int, number: int, flags: int) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    fields = (b"OggS", 0, flags, position, 1, number)
    page = _HEADER.pack(*fields, 0, len(lacing)) + lacing + packet
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFF_FFFF) ^ _CRC[crc >> 24 ^ byte]
    return _HEADER.pack(*fields, crc, len(lacing)) + lacing + packet
