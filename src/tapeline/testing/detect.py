"""Finding tones in audio: when each starts and ends (to 2 ms), and how loud it is.

A tone is moved to 0 Hz and smoothed with a symmetric window. Its envelope then crosses half of its
height exactly where the tone starts or ends, whatever else is heard, as long as other tones are at
least `SELECTIVITY_HZ` away.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeline.testing.g711 import Samples
from tapeline.testing.tones import SILENCE_DBOV

WINDOW_S = 0.050
SELECTIVITY_HZ = 70
"""Half of the main lobe of a 50 ms Blackman window is 60 Hz; its side lobes are below -58 dB."""
NEAR = 0.3
"""Less of a tone's height than this is not it (its edges are looked for at one half)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToneSpan:
    """A stretch of a tone; times are from the start of the signal, the level is RMS."""

    start_ms: float
    end_ms: float
    level_dbov: float

    @property
    def duration_ms(self) -> float:
        return self.end_ms - self.start_ms


def envelope(signal: Samples, frequency_hz: float, rate_hz: int = 8_000) -> NDArray[np.float64]:
    """RMS amplitude of the tone at each sample, smoothed over 50 ms."""
    size = int(WINDOW_S * rate_hz) | 1
    window = np.blackman(size)
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(signal)) / rate_hz)
    moved = np.asarray(signal, dtype=np.float64) * turn
    smooth = _convolve_same(moved, window / window.sum())
    return np.asarray(np.abs(smooth) * np.sqrt(2.0), dtype=np.float64)


def tone_level(signal: Samples, frequency_hz: float, rate_hz: int = 8_000) -> float:
    """Level of the tone over the whole signal in dBov: how much of it there is, wherever."""
    if not len(signal):
        return SILENCE_DBOV
    window = np.hanning(len(signal) + 2)[1:-1]
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(signal)) / rate_hz)
    rms = float(np.abs(np.sum(signal * turn * window)) / window.sum() * np.sqrt(2.0))
    return max(20.0 * float(np.log10(max(rms, 1e-12))), SILENCE_DBOV)


def find_tone(
    signal: Samples,
    frequency_hz: float,
    *,
    rate_hz: int = 8_000,
    threshold_dbov: float = -50.0,
    shortest_ms: float = 60.0,
    longest_gap_ms: float = 60.0,
) -> list[ToneSpan]:
    """Every stretch of the tone that is louder than `threshold_dbov`, in order.

    Gaps up to `longest_gap_ms` (a lost packet) belong to the stretch around them.
    """
    heights = envelope(signal, frequency_hz, rate_hz)
    gap = int(longest_gap_ms * rate_hz / 1000)
    spans = []
    for first, last in _loud_runs(heights, 10.0 ** (threshold_dbov / 20.0), gap):
        start, end = _refine(heights, first, last, rate_hz)
        span = ToneSpan(
            start_ms=start * 1000.0 / rate_hz,
            end_ms=end * 1000.0 / rate_hz,
            level_dbov=20.0 * float(np.log10(np.median(heights[first:last]))),
        )
        if span.duration_ms >= shortest_ms:
            spans.append(span)
    return spans


def _loud_runs(heights: NDArray[np.float64], floor: float, gap: int) -> Iterator[tuple[int, int]]:
    """Runs over the floor, then within each what is near its own height: the click of another
    tone's edge beside it is not part of it.
    """
    for first, last in _runs(heights > floor, gap):
        inside = heights[first:last]
        for start, end in _runs(inside > NEAR * float(np.median(inside)), gap):
            yield first + start, first + end


def _convolve_same(signal: NDArray[np.complex128], window: Samples) -> NDArray[np.complex128]:
    """Convolution by FFT in blocks: hours of audio stay cheap."""
    half, size = len(window) // 2, len(signal)
    block = 1 << 17
    length = 1 << (block + len(window) - 1).bit_length()
    spectrum = np.fft.fft(window, length)
    result = np.zeros(size + 2 * half, dtype=np.complex128)
    for at in range(0, size, block):
        piece = signal[at : at + block]
        turned = np.fft.ifft(np.fft.fft(piece, length) * spectrum)
        reach = min(len(piece) + 2 * half, len(result) - at)
        result[at : at + reach] += turned[:reach]
    return result[half : half + size]


def _runs(above: NDArray[np.bool_], longest_gap: int) -> Iterator[tuple[int, int]]:
    """First and one-past-last index of each run of True, short gaps closed."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], above, [False])).astype(np.int8)))
    starts, ends = edges[::2].tolist(), edges[1::2].tolist()
    if not starts:
        return
    first, last = starts[0], ends[0]
    for start, end in zip(starts[1:], ends[1:], strict=True):
        if start - last > longest_gap:
            yield first, last
            first = start
        last = end
    yield first, last


def _refine(
    heights: NDArray[np.float64], first: int, last: int, rate_hz: int
) -> tuple[float, float]:
    """Where the envelope crosses half of the plateau beside each edge."""
    near, far = int(0.04 * rate_hz), int(0.14 * rate_hz)
    rising = heights[first:last]
    start = first + _crossing(
        rising, float(np.median(rising[near:far] if len(rising) > far else rising))
    )
    falling = rising[::-1]
    end = last - _crossing(
        falling, float(np.median(falling[near:far] if len(rising) > far else falling))
    )
    # A tone that runs into the signal's edge has no flank there.
    reach = int(WINDOW_S * rate_hz) // 2
    start = 0.0 if first == 0 and heights[0] > 0.4 * heights[min(reach, last - 1)] else start
    at_end = last == len(heights) and heights[-1] > 0.4 * heights[max(last - 1 - reach, first)]
    return start, float(len(heights)) if at_end else end


def _crossing(rising: NDArray[np.float64], plateau: float) -> float:
    """The (fractional) index at which half of the plateau is reached first."""
    half = plateau / 2.0
    over = np.flatnonzero(rising >= half)
    index = int(over[0]) if len(over) else 0
    if index == 0:
        return 0.0
    below, above = float(rising[index - 1]), float(rising[index])
    return index - 1 + (half - below) / (above - below)
