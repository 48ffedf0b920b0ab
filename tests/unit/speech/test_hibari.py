from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tapeline.speech.hibari import LONGEST_PIECE, cut, write_wav
from tapeline.speech.sound import Samples


class BrokenOff(Exception):
    pass


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" \n ", []),
        ("Hello.", ["Hello."]),
        ("Hello. You are\nrecorded: yes!", ["Hello.", "You are", "recorded:", "yes!"]),
        ("At 3.50 or 10:30 a.m", ["At 3.50 or 10:30 a.m"]),
    ],
)
def test_text_is_cut_at_the_ends_of_sentences(text: str, pieces: list[str]) -> None:
    assert list(cut(text)) == pieces


@pytest.mark.parametrize("text", ["word " * 600, "x" * 3_000, "x" * 201 + " y " + "z" * 199])
def test_no_piece_is_longer_than_the_bound_and_nothing_is_lost(text: str) -> None:
    pieces = list(cut(text))

    assert max(map(len, pieces)) <= LONGEST_PIECE
    assert min(map(len, pieces)) > 0
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_a_wav_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "prompt.wav"
    piece = np.full(1_600, 2.0, np.float32)

    def breaks_off() -> Iterator[Samples]:
        yield piece
        raise BrokenOff

    with pytest.raises(BrokenOff):
        write_wav(breaks_off(), out)
    assert list(tmp_path.iterdir()) == []

    write_wav(iter([piece, piece]), out)
    samples, rate = soundfile.read(out)
    assert (rate, len(samples)) == (16_000, 3_200)
    assert samples.max() > 0.99
