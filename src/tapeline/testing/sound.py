"""Reading recordings back: WAV and MP3 files as float arrays.

Decoding is libsndfile's (by `soundfile`): a decoder that shares nothing with the core's encoders.
Its MP3 reader drops the delay and padding that an Info frame states (measured: a tone placed at
500.1 ms by LAME is decoded at 500.1 ms and the length is exact; ffmpeg's own start offset shows
138 ms), so times in the array are times in the recording.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tapeline.testing.g711 import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Decoded audio: `samples` has the shape (frames, channels), full scale is ±1.0."""

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def frame_count(self) -> int:
        return int(self.samples.shape[0])

    @property
    def duration_ms(self) -> float:
        return self.frame_count * 1000.0 / self.rate_hz

    def channel(self, number: int) -> Samples:
        """One side, from 0."""
        side: Samples = self.samples[:, number]
        return side

    def mono(self) -> Samples:
        """All channels, averaged."""
        mixed: Samples = self.samples.mean(axis=1, dtype=np.float32)
        return mixed


class SoundUnreadable(Exception):
    """The bytes are no audio that can be decoded."""


def read_sound(source: Path | str | bytes) -> Sound:
    """Decodes a file, or a file's bytes. Raises SoundUnreadable; OSError when there is no file."""
    content = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise SoundUnreadable(str(error)) from error
    return Sound(samples=samples, rate_hz=rate_hz)
