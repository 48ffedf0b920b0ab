"""What a test speaker says: pure tones, synthetic voices, silence, any samples of one's own.

Everything here is at 8000 Hz, deterministic, and described as a loop: what is said at sample `n` is
`loop[n % len(loop)]`, so that a sender only ever slices bytes.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from tapeline.testing.g711 import Law, Samples, encode

RATE_HZ = 8_000
FRAME_SAMPLES = 160
"""20 ms."""
SILENCE_DBOV = -127.0


class Source(Protocol):
    """Something to say. Hashable, so that its encoded loop is made once."""

    def __hash__(self) -> int: ...

    def loop(self) -> Samples:
        """The audio, repeated for ever; its length is a multiple of 160 samples."""


def amplitude(level_dbov: float) -> float:
    """RMS amplitude of a level; 0 dBov is a full-scale square wave (RFC 6464 §3)."""
    return float(10.0 ** (level_dbov / 20.0))


def level_dbov(samples: Samples) -> float:
    """RMS level; -127 for nothing at all."""
    if not len(samples):
        return SILENCE_DBOV
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return 20.0 * float(np.log10(rms)) if rms > amplitude(SILENCE_DBOV) else SILENCE_DBOV


def sine(frequency_hz: float, level: float, count: int) -> Samples:
    """`count` samples of a sine whose RMS is `level` dBov, starting at phase 0."""
    phase = 2.0 * np.pi * frequency_hz * np.arange(count) / RATE_HZ
    wave: Samples = (np.sqrt(2.0) * amplitude(level) * np.sin(phase)).astype(np.float32)
    return wave


@dataclass(frozen=True, slots=True)
class Tone:
    """A pure tone for ever; a whole number of Hz, so that the loop of one second closes."""

    frequency_hz: int
    level_dbov: float = -20.0

    def loop(self) -> Samples:
        return sine(self.frequency_hz, self.level_dbov, RATE_HZ)


@dataclass(frozen=True, slots=True)
class Silence:
    """Packets of silence."""

    def loop(self) -> Samples:
        return np.zeros(FRAME_SAMPLES, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Clip:
    """Samples of one's own, padded with silence to whole 20 ms, then repeated."""

    samples: tuple[float, ...]

    def loop(self) -> Samples:
        missing = -len(self.samples) % FRAME_SAMPLES
        return np.pad(np.asarray(self.samples, dtype=np.float32), (0, missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A synthetic speaker: harmonics of a fundamental in syllables and phrases, and a mark.

    The mark is a soft pure tone that never pauses. The harmonics stay below `CEILING_HZ` and marks
    belong above it, so a mark's start and end can be found to 2 ms under any number of voices.
    """

    seed: int
    fundamental_hz: int
    mark_hz: int
    level_dbov: float = -22.0
    mark_dbov: float = -34.0

    def loop(self) -> Samples:
        harmonics, envelope = _harmonics(self.fundamental_hz), _syllables(self.seed)
        spoken = harmonics * envelope
        spoken *= amplitude(self.level_dbov) / float(np.sqrt(np.mean(np.square(spoken))))
        mark = sine(self.mark_hz, self.mark_dbov, len(spoken))
        return np.asarray(spoken + mark, dtype=np.float32)


CEILING_HZ = 1_500
VOICE_LOOP_S = 8
PHRASE_ENDS = 0.15
"""The share of syllables that a longer pause follows."""


def _harmonics(fundamental_hz: int) -> Samples:
    """All harmonics up to the ceiling with a vowel-like fall, no two starting in phase."""
    position = np.arange(VOICE_LOOP_S * RATE_HZ) / RATE_HZ
    total = np.zeros(len(position))
    for number in range(1, CEILING_HZ // fundamental_hz + 1):
        phase = 2.0 * np.pi * fundamental_hz * number * position + number**2
        total += np.sin(phase) / number**0.7
    return total.astype(np.float32)


def _syllables(seed: int) -> Samples:
    """Raised-cosine syllables of 120 to 260 ms in phrases with pauses between them."""
    random = np.random.default_rng(seed)
    envelope = np.zeros(VOICE_LOOP_S * RATE_HZ, dtype=np.float32)
    at = 0
    while True:
        length = int(random.integers(960, 2_080))
        if at + length > len(envelope):
            return envelope
        rise = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
        envelope[at : at + length] = rise * random.uniform(0.6, 1.0)
        pause = (
            random.uniform(0.25, 0.6)
            if random.random() < PHRASE_ENDS
            else random.uniform(0.0, 0.06)
        )
        at += length + int(pause * RATE_HZ)


@lru_cache(maxsize=256)
def encoded_loop(source: Source, law: Law) -> bytes:
    """The source's loop as G.711 bytes."""
    return encode(source.loop(), law)
