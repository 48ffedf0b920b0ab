import random

import numpy as np
import pytest

from tapeline.testing.g711 import encode
from tapeline.testing.rtp import RtpPacket, hear, parse_rtp
from tapeline.testing.tones import sine


def packet(
    number: int, *, ssrc: int = 7, base: int = 0, payload: bytes = b"\x10" * 160
) -> RtpPacket:
    return RtpPacket(
        payload_type=0,
        sequence=(65_530 + number) % 65_536,
        timestamp=(base + 160 * number) % (1 << 32),
        ssrc=ssrc,
        payload=payload,
        arrived_unix_ns=1_000_000_000 + 20_000_000 * number,
    )


def test_packets_survive_bytes() -> None:
    sent = RtpPacket(
        payload_type=0, sequence=65_535, timestamp=2**32 - 1, ssrc=9, marker=True, payload=b"abc"
    )

    assert parse_rtp(sent.to_bytes()) == sent


@pytest.mark.parametrize(
    "datagram",
    [b"", b"\x80" * 11, b"\x40" + b"\0" * 20, b"\x8f" + b"\0" * 20, b"\x90" + b"\0" * 12],
)
def test_what_is_no_rtp_is_none(datagram: bytes) -> None:
    assert parse_rtp(datagram) is None


def test_random_bytes_never_raise() -> None:
    dice = random.Random(1)

    for _ in range(5_000):
        parse_rtp(dice.randbytes(dice.randrange(40)))


def test_missing_packets_are_silence_at_their_place() -> None:
    speech = encode(sine(400, -20, 160))
    packets = [packet(n, base=2**32 - 500, payload=speech) for n in range(10) if n not in (4, 5)]

    heard = hear(packets)

    assert len(heard.samples) == 1600
    assert np.all(heard.samples[640:960] == 0)
    assert np.all(np.abs(heard.samples[960:1120]).max() > 0.05)
    assert heard.lost_count == 2
    assert heard.packet_count == 8
    assert heard.longest_gap_ms == pytest.approx(60)


def test_a_new_stream_goes_on_where_its_arrival_says() -> None:
    first = [packet(n) for n in range(5)]
    second = [packet(n, ssrc=8, base=77_777) for n in range(10, 12)]

    heard = hear([*first, *second])

    assert len(heard.samples) == 12 * 160


def test_nothing_heard_is_empty() -> None:
    assert hear([]).packet_count == 0
