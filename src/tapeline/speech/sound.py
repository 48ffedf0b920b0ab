"""Audio files as a recogniser wants them: 16 kHz, mono, in passages where somebody may speak.

Files are read piece by piece, so four hours cost no more memory than a minute. Blocking: for the
worker's own process.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono, from -1.0 to 1.0."""

RATE_HZ = 16_000
FRAME = RATE_HZ // 50
"""20 ms: a telephone's own step."""
GATE_DBFS = -60.0
"""Below it nobody speaks: an idle G.711 line lies near -70, the quietest speech near -50."""
LEAD_FRAMES = 15
"""300 ms before and after what is loud: a word begins and ends softer than it is."""
PAUSE_FRAMES = 50
"""A second of quiet ends a passage."""
LONGEST_FRAMES = 1_500
"""30 s: longer speech is cut in the quietest frame of its last third."""
LOUD_FRAMES = 5
"""100 ms in all: less is a click."""

_TAPS_A_PHASE = 24
_READ_S = 10


class SoundUnreadable(Exception):
    """Not an audio file that can be decoded; the message has the decoder's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Audio in which something is louder than the gate; `is_loud` has a claim for each frame."""

    start_ms: int
    samples: Samples
    is_loud: NDArray[np.bool_]

    def loud_frames(self, start_s: float, duration_s: float) -> int:
        """How many frames of that stretch, in seconds from the passage's start, are loud."""
        first = max(int(start_s * RATE_HZ) // FRAME, 0)
        last = -(-int((start_s + duration_s) * RATE_HZ) // FRAME)
        return int(self.is_loud[first:last].sum())


def read_mono(path: Path) -> Iterator[Samples]:
    """The file's audio at 16 kHz, its channels mixed. Raises SoundUnreadable."""
    try:
        with soundfile.SoundFile(str(path)) as file:
            resampler = Resampler(file.samplerate)
            for block in file.blocks(file.samplerate * _READ_S, dtype="float32", always_2d=True):
                yield resampler.push(block.mean(axis=1, dtype=np.float32))
            yield resampler.rest()
    except soundfile.LibsndfileError as error:
        # Without the path, which its own text has: what is said here reaches customers.
        raise SoundUnreadable(f"the audio cannot be decoded: {error.error_string}") from error


class Resampler:
    """To 16 kHz by a windowed-sinc polyphase filter, any number of samples at a time.

    Sample n of the output is the input at n/16000 s: the filter's delay is taken out.
    """

    def __init__(self, from_hz: int) -> None:
        """Raises ValueError for a rate of 0 or less."""
        if from_hz <= 0:
            raise ValueError(f"{from_hz} is no sample rate")
        common = gcd(from_hz, RATE_HZ)
        self._up, self._down = RATE_HZ // common, from_hz // common
        self._filter = _low_pass(self._up, self._down)
        self._reach = self._filter.shape[1]
        half = self._reach // 2
        self._held: Samples = np.zeros(half, np.float32)
        self._origin = -half
        """Input position of the first sample held."""
        self._done = 0
        """Output samples given so far."""
        self._seen = 0

    def push(self, samples: Samples) -> Samples:
        """All output that this input settles."""
        if self._up == self._down:
            return samples
        self._seen += len(samples)
        self._held = np.concatenate([self._held, samples])
        end = self._origin + len(self._held) - self._reach + self._reach // 2
        return self._give(max(-(-(end * self._up) // self._down), self._done))

    def rest(self) -> Samples:
        """What silence after the last sample settles."""
        if self._up == self._down:
            return np.zeros(0, np.float32)
        self._held = np.concatenate([self._held, np.zeros(self._reach, np.float32)])
        return self._give(-(-self._seen * self._up // self._down))

    def _give(self, until: int) -> Samples:
        place = np.arange(self._done, until, dtype=np.int64) * self._down
        first = place // self._up - self._reach // 2 + 1 - self._origin
        window = self._held[first[:, None] + np.arange(self._reach)]
        out: Samples = np.einsum("ij,ij->i", window, self._filter[place % self._up])
        self._done = until
        spare = max(until * self._down // self._up - self._reach - self._origin, 0)
        self._held, self._origin = self._held[spare:], self._origin + spare
        return out


def _low_pass(up: int, down: int) -> Samples:
    """A row of taps for each of the `up` phases, each of sum 1; it cuts below both rates' half."""
    cut = min(1.0, up / down) * 0.95
    reach = int(_TAPS_A_PHASE / cut) // 2 * 2
    at = np.arange(reach) - (reach // 2 - 1) - (np.arange(up) / up)[:, None]
    taps = np.sinc(at * cut) * np.cos(np.pi * at / (reach + 2)) ** 2
    even: Samples = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return even


def levels_dbfs(samples: Samples) -> NDArray[np.float64]:
    """Of each whole frame; silence is -120."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = np.mean(np.square(frames), axis=1)
    levels: NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 1e-12))
    return levels


def passages(blocks: Iterable[Samples]) -> Iterator[Passage]:
    """Where somebody may speak, in order; what is quiet, and what is no more than a click, is
    left out.
    """
    held: Samples = np.zeros(0, np.float32)
    origin = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while (cut := _next_cut(levels_dbfs(held), is_last=False)) is not None:
            yield from _passage(held[: cut * FRAME], origin)
            held, origin = held[cut * FRAME :], origin + cut
    held = np.concatenate([held, np.zeros(-len(held) % FRAME, np.float32)])
    while len(held):
        cut = _next_cut(levels_dbfs(held), is_last=True) or len(held) // FRAME
        yield from _passage(held[: cut * FRAME], origin)
        held, origin = held[cut * FRAME :], origin + cut


def _next_cut(levels: NDArray[np.float64], *, is_last: bool) -> int | None:
    """After which frame the audio can be cut; None when more of it must come first."""
    loud = np.flatnonzero(levels > GATE_DBFS)
    if not len(loud):
        # All quiet; the end may be the lead-in of what comes.
        return len(levels) if is_last else max(len(levels) - LEAD_FRAMES, 0) or None
    if loud[0] > LEAD_FRAMES:
        return int(loud[0]) - LEAD_FRAMES
    pauses = np.flatnonzero(np.diff(loud) > PAUSE_FRAMES)
    end = int(loud[pauses[0]] if len(pauses) else loud[-1]) + 1
    if end > LONGEST_FRAMES:
        third = levels[LONGEST_FRAMES * 2 // 3 : LONGEST_FRAMES]
        return LONGEST_FRAMES * 2 // 3 + int(np.argmin(third))
    if len(levels) - end >= PAUSE_FRAMES or len(pauses):
        return end + LEAD_FRAMES
    return None


def _passage(samples: Samples, origin: int) -> Iterator[Passage]:
    is_loud = levels_dbfs(samples) > GATE_DBFS
    if is_loud.sum() >= LOUD_FRAMES:
        start_ms = origin * FRAME * 1000 // RATE_HZ
        yield Passage(start_ms=start_ms, samples=samples, is_loud=is_loud)
