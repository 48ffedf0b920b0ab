"""The core's offline half: what is done to files when nothing records into them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeline import _core
from tapeline.domain.signal import LegHandle, RepairReport, TrackFile


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
        report = _core.repair(folder)
        return RepairReport(
            has_audio=report["has_audio"],
            was_finished=report["was_finished"],
            format=report["format"],
            sample_count=report["sample_count"],
            rate_hz=report["rate_hz"],
            channels=report["channels"],
            byte_count=report["byte_count"],
            sha256=report["sha256"],
            started_unix_us=report["started_unix_us"],
            missing_ms=report["missing_ms"],
            tracks=[_track_file(track) for track in report["tracks"]],
        )

    def probe(self, path: Path) -> AudioShape:
        """Raises ValueError for a file that tapeline did not write."""
        return AudioShape(**_core.probe(str(path)))

    def free_bytes(self, path: Path) -> int:
        """What could still be written on that file system. Raises OSError."""
        return _core.free_bytes(str(path))


def _track_file(track: Mapping[str, Any]) -> TrackFile:
    return TrackFile(**{**track, "leg": LegHandle(track["leg"])})
