"""Hibari, the English voice that the `hibari-tts` wheel carries; for a worker's process."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tapeline.speech.model import ModelMissing
from tapeline.speech.sound import RATE_HZ, Resampler, Samples

LONGEST_PIECE = 200
"""Characters spoken at once: memory grows with them, 1.4 GB were seen at 3,000."""
PAUSE_S = 0.15
"""Silence after each piece."""


class HibariVoice:
    """Loads in 0.2 s once its libraries are in the page cache."""

    def __init__(self) -> None:
        """Raises ModelMissing."""
        try:
            from hibari import Hibari
        except ImportError as error:
            raise ModelMissing(f"hibari-tts cannot be used: {error}") from error
        self._speak: Any = Hibari(threads=1)

    def pieces(self, text: str) -> Iterator[Samples]:
        """The text's audio at 16 kHz, piece by piece; the same text gives the same audio."""
        for piece in cut(text):
            resampler = Resampler(self._speak.sample_rate)
            spoken = self._speak(piece, seed=1)
            silence = np.zeros(int(PAUSE_S * RATE_HZ), np.float32)
            yield np.concatenate([resampler.push(spoken), resampler.rest(), silence])


def cut(text: str) -> Iterator[str]:
    """At the ends of sentences, and of words where a sentence is longer than LONGEST_PIECE."""
    for sentence in re.split(r"(?<=[.!?…;:])\s+|\n+", text):
        piece = ""
        for word in sentence.split():
            for part in re.findall(f".{{1,{LONGEST_PIECE}}}", word):
                if piece and len(piece) + 1 + len(part) > LONGEST_PIECE:
                    yield piece
                    piece = ""
                piece = f"{piece} {part}".strip()
        if piece:
            yield piece


def write_wav(pieces: Iterator[Samples], out: Path) -> None:
    """16 kHz, mono, 16 bit; whoever looks sees all of it or nothing. Raises OSError."""
    draft = out.with_name(out.name + ".new")
    try:
        with soundfile.SoundFile(
            str(draft), "w", RATE_HZ, channels=1, format="WAV", subtype="PCM_16"
        ) as file:
            for piece in pieces:
                file.write(np.clip(piece, -1.0, 1.0))
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
