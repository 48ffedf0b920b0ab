import numpy as np
import pytest

from tapeline.testing.words import plain_words, telephone_band, word_errors


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("", "", 0),
        ("one two three", "", 3),
        ("", "one two", 2),
        ("One, two: three!", "one two three", 0),
        ("one two three", "one too three", 1),
        ("one two three", "one three", 1),
        ("one two three", "one two and three", 1),
        ("one two three", "three two one", 2),
        ("it's nine o'clock", "its nine oclock", 0),
    ],
)
def test_word_errors(said: str, heard: str, errors: int) -> None:
    assert word_errors(said, heard) == errors


def test_plain_words_have_no_punctuation() -> None:
    assert plain_words("Hello -- Ann, it's 4-2!") == ["hello", "ann", "its", "4", "2"]


def test_the_telephone_band_keeps_a_low_tone_and_loses_a_high_one() -> None:
    at = np.arange(24_000) / 24_000
    low = np.sin(2 * np.pi * 1_000 * at).astype(np.float32)
    high = np.sin(2 * np.pi * 6_000 * at).astype(np.float32)

    band = telephone_band(low + high, 24_000)

    expected = np.sin(2 * np.pi * 1_000 * np.arange(8_000) / 8_000)
    assert len(band) == 8_000
    assert np.abs(band - expected).max() < 0.001
