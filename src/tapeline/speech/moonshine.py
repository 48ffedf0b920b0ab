"""Moonshine tiny-en, the model that the `moonshine-voice` wheel carries; for a worker's process.

It hears words in English. It was seen to make one short line ("You") of the very beginning of
a file, silence included: so a passage begins with silence of ours, and a line counts only when it
lasts and something is loud in it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tapeline.speech.model import ModelMissing
from tapeline.speech.sound import FRAME, LOUD_FRAMES, RATE_HZ, Passage, Samples

BEFORE_S = 0.5
"""Silence before and after each passage."""
SHORTEST_LINE_S = 0.3
SPEECH_DBFS = -20.0
"""Where the model hears best; its own voice detection misses speech near -50."""
MOST_GAIN_DB = 26.0


class MoonshineModel:
    """Loads in 0.5 s; 300 MB."""

    def __init__(self) -> None:
        """Raises ModelMissing."""
        try:
            from moonshine_voice import ModelArch, Transcriber, get_model_path
        except ImportError as error:
            raise ModelMissing(f"moonshine-voice cannot be used: {error}") from error
        folder = get_model_path("tiny-en")
        if not folder.is_dir():
            raise ModelMissing(f"moonshine-voice has no model in {folder}: 0.0.73 is wanted")
        self._transcriber: Any = Transcriber(str(folder), ModelArch.TINY)

    def lines(self, passage: Passage) -> Iterator[str]:
        """The words of a passage, a line for each stretch of speech."""
        silence = np.zeros(int(BEFORE_S * RATE_HZ), np.float32)
        audio = np.concatenate([silence, _raised(passage), silence])
        heard = self._transcriber.transcribe_without_streaming(audio.tolist(), RATE_HZ)
        for line in heard.lines:
            start_s = line.start_time - BEFORE_S
            if line.duration < SHORTEST_LINE_S:
                continue
            if passage.loud_frames(start_s, line.duration) < LOUD_FRAMES:
                continue
            if any(letter.isalnum() for letter in line.text):
                yield line.text.strip()


def _raised(passage: Passage) -> Samples:
    """Its loud parts brought near SPEECH_DBFS, without clipping."""
    power = np.mean(np.square(passage.samples, dtype=np.float64)[np.repeat(passage.is_loud, FRAME)])
    wanted_db = SPEECH_DBFS - 10.0 * np.log10(power)
    gain = min(10.0 ** (min(wanted_db, MOST_GAIN_DB) / 20.0), 0.99 / np.abs(passage.samples).max())
    return passage.samples * np.float32(gain)
