"""The core's offline half: what is done to files when nothing records into them."""

from dataclasses import dataclass
from pathlib import Path

from tapeline import _core
from tapeline.domain.signal import RepairReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioShape:
    """What a WAV or MP3 of ours says about itself; `sample_count` is frames per channel."""

    sample_count: int
    rate_hz: int
    channels: int


class CoreSpoolTools:
    """Implements `domain.port.SpoolTools`. Everything here blocks: call it in a thread."""

    def repair(self, folder: str) -> RepairReport:
        """Makes `audio.part` playable and says what it holds. Raises OSError."""
        return RepairReport(**_core.repair(folder))

    def probe(self, path: Path) -> AudioShape:
        """Raises ValueError for a file that tapeline did not write."""
        return AudioShape(**_core.probe(str(path)))

    def free_bytes(self, path: Path) -> int:
        """What could still be written on that file system. Raises OSError."""
        return _core.free_bytes(str(path))
