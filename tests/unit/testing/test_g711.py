import numpy as np
import pytest

from tapeline.testing.g711 import Law, decode, encode, levels


@pytest.mark.parametrize(
    ("law", "byte", "linear"),
    [
        (Law.PCMU, 0xFF, 0),
        (Law.PCMU, 0x7F, 0),
        (Law.PCMU, 0x80, 32124),
        (Law.PCMU, 0x00, -32124),
        (Law.PCMU, 0xFE, 8),
        (Law.PCMA, 0xD5, 8),
        (Law.PCMA, 0x55, -8),
        (Law.PCMA, 0xAA, 32256),
        (Law.PCMA, 0x2A, -32256),
    ],
)
def test_known_levels(law: Law, byte: int, linear: int) -> None:
    assert levels(law)[byte] == linear


@pytest.mark.parametrize("law", list(Law))
def test_every_byte_survives_decoding_and_encoding(law: Law) -> None:
    every = bytes(range(256))

    again = encode(decode(every, law), law)

    same = np.frombuffer(again, np.uint8) == np.frombuffer(every, np.uint8)
    # µ-law has two bytes for zero; the encoder uses the positive one.
    assert set(np.flatnonzero(~same)) <= ({0x7F} if law is Law.PCMU else set())


@pytest.mark.parametrize("law", list(Law))
def test_encoding_takes_the_nearest_level(law: Law) -> None:
    linear = np.arange(-32768, 32768)

    decoded = decode(encode((linear / 32768).astype(np.float32), law), law) * 32768

    nearest = np.abs(levels(law)[None, :] - linear[::97, None]).min(axis=1)
    assert np.array_equal(np.abs(decoded[::97] - linear[::97]), nearest)


def test_silence_is_ff() -> None:
    assert encode(np.zeros(3, np.float32)) == b"\xff\xff\xff"
