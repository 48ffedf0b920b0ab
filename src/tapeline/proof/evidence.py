"""What is known of an audio file beside its row: the hashes of its blocks and its journal."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

GAP_LIMIT = 10_000
"""Pauses, and gaps, that a manifest names; the journal, whose hash it holds, has all of them."""
GAP_KINDS = ("overflow", "skipped_ticks", "lost")
_WANTED = tuple(
    f'"{word}"'.encode() for word in (*GAP_KINDS, "pause_began", "pause_ended", "start")
)
LINE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    at_ms: int
    """Of the file's timeline."""
    duration_ms: int | None
    """None: it lasted until the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Silence in the place of audio that was lost."""

    at_ms: int
    length_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFacts:
    sha256: str
    pauses: tuple[Pause, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEvidence:
    """Of one file; None where the core's companion is not there or does not fit the file."""

    block_count: int | None = None
    block_root: str | None = None
    journal: JournalFacts | None = None


def read_journal(chunks: Iterable[bytes]) -> JournalFacts:
    """A torn or foreign line says nothing; it is hashed all the same."""
    digest, reader, rest = hashlib.sha256(), _Reader(), b""
    for chunk in chunks:
        digest.update(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            reader.take(line)
        rest = rest if len(rest) <= LINE_LIMIT else b""
    return JournalFacts(
        sha256=digest.hexdigest(), pauses=tuple(reader.pauses), gaps=tuple(reader.gaps)
    )


class _Reader:
    def __init__(self) -> None:
        self.pauses: list[Pause] = []
        self.gaps: list[Gap] = []
        self._rate_hz = 0

    def take(self, line: bytes) -> None:
        if not any(word in line for word in _WANTED):
            return
        try:
            said = json.loads(line)
            self._note(said)
        except (ValueError, TypeError, KeyError, AttributeError):
            return

    def _note(self, said: dict[str, Any]) -> None:
        kind = said["type"]
        if kind == "start":
            self._rate_hz = int(said["rate_hz"])
        elif self._rate_hz <= 0:
            return
        elif kind == "pause_began" and len(self.pauses) < GAP_LIMIT:
            self.pauses.append(Pause(at_ms=self._ms(said["at"]), duration_ms=None))
        elif kind == "pause_ended" and self.pauses and self.pauses[-1].duration_ms is None:
            began = self.pauses[-1]
            self.pauses[-1] = Pause(at_ms=began.at_ms, duration_ms=int(said["duration_ms"]))
        elif kind in GAP_KINDS and len(self.gaps) < GAP_LIMIT:
            at_ms, length_ms = self._ms(said["at"]), self._ms(said["samples"])
            self.gaps.append(Gap(at_ms=at_ms, length_ms=length_ms, reason=kind))

    def _ms(self, samples: Any) -> int:
        return int(samples) * 1000 // self._rate_hz
