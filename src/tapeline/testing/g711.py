"""G.711: µ-law and A-law bytes to and from floats of ±1.0.

Built from the formulas of ITU-T G.711 with numpy, on purpose without the core's tables: what tests
the core must not share its errors.
"""

from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono audio, full scale is ±1.0."""

FULL_SCALE = 32768.0


class Law(StrEnum):
    """A G.711 law by its name in SDP."""

    PCMU = "PCMU"
    PCMA = "PCMA"

    @property
    def payload_type(self) -> int:
        """The static RTP payload type (RFC 3551 §6)."""
        return 0 if self is Law.PCMU else 8


def _ulaw_levels() -> NDArray[np.int32]:
    """G.711 §3.2: the byte is sent inverted; 33 is the bias of the 14-bit law."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((2 * (code & 0x0F) + 33) << ((code >> 4) & 7)) - 33
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int32) * 4


def _alaw_levels() -> NDArray[np.int32]:
    """G.711 §3.1: even bits are sent inverted; the levels are those of the 13-bit law."""
    code = np.arange(256) ^ 0x55
    exponent = (code >> 4) & 7
    linear = 2 * (code & 0x0F) + 1
    curved = (linear + 32) << np.maximum(exponent - 1, 0)
    magnitude = np.where(exponent == 0, linear, curved)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int32) * 8


@cache
def levels(law: Law) -> NDArray[np.int32]:
    """What each of the 256 bytes stands for, as 16-bit linear values."""
    return _ulaw_levels() if law is Law.PCMU else _alaw_levels()


@cache
def _decisions(law: Law) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Decision values halfway between neighbouring levels, and the bytes between them."""
    table = levels(law)
    # µ-law has two zeros; a stable sort with the positive one (0xFF) last makes silence 0xFF.
    order = np.argsort(table, kind="stable").astype(np.uint8)
    ordered = table[order].astype(np.float64)
    return (ordered[1:] + ordered[:-1]) / 2, order


def encode(samples: Samples, law: Law = Law.PCMU) -> bytes:
    """One byte a sample; what is beyond full scale is clipped."""
    edges, order = _decisions(law)
    linear = np.clip(samples, -1.0, 1.0).astype(np.float64) * FULL_SCALE
    return order[np.searchsorted(edges, linear, side="right")].tobytes()


def decode(payload: bytes, law: Law = Law.PCMU) -> Samples:
    """One sample a byte."""
    table = (levels(law) / FULL_SCALE).astype(np.float32)
    decoded: Samples = table[np.frombuffer(payload, dtype=np.uint8)]
    return decoded
