"""A spool whose repair is scripted, and a process that dies at a chosen step."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tapeline.domain import signal
from tapeline.domain.event import Event, RecordingFinished
from tapeline.domain.port import Transaction
from tapeline.recording.finalise import AUDIO
from tapeline.state import SqlStore
from tapeline.storage import LocalStore


class Killed(BaseException):
    """`kill -9`: nothing catches it."""


@dataclass
class ScriptedTools:
    """Repairs what `write_spool` made: sound is bytes, 8 of them a millisecond."""

    repaired: list[str] = field(default_factory=list)
    fails: OSError | None = None

    def repair(self, folder: str) -> signal.RepairReport:
        self.repaired.append(Path(folder).name)
        if self.fails is not None:
            raise self.fails
        audio, journal = Path(folder) / AUDIO, Path(folder) / "journal.jsonl"
        sound = audio.read_bytes() if audio.exists() else b""
        lines = journal.read_text().splitlines() if journal.exists() else []
        return signal.RepairReport(
            has_audio=bool(sound),
            was_finished=any(json.loads(line)["type"] == "finished" for line in lines),
            format="wav",
            sample_count=len(sound),
            rate_hz=8000,
            channels=1,
            byte_count=len(sound),
            sha256=f"sha-of-{len(sound)}",
            started_unix_us=5_000_000 if lines else 0,
            missing_ms=[],
        )


def write_spool(folder: Path, sound: bytes, *, is_finished: bool) -> None:
    folder.mkdir(parents=True)
    (folder / AUDIO).write_bytes(sound)
    (folder / "blocks.sha256").write_text("blocks\n")
    kinds = ["start", "finished"] if is_finished else ["start"]
    (folder / "journal.jsonl").write_text("".join(json.dumps({"type": k}) + "\n" for k in kinds))


def finished(
    sample_count: int = 800,
    *,
    reason: str = "command",
    sha256: str | None = None,
    missing_ms: Sequence[tuple[str, int]] = (),
) -> signal.RecordingFinished:
    return signal.RecordingFinished(
        recorder=signal.RecorderHandle(1),
        reason=reason,
        sample_count=sample_count,
        rate_hz=8000,
        channels=1,
        byte_count=sample_count,
        sha256=f"sha-of-{sample_count}" if sha256 is None else sha256,
        started_unix_us=5_000_000,
        missing_ms=list(missing_ms),
    )


@dataclass
class Told:
    """Finished events, as the outbox would have got them."""

    events: list[RecordingFinished] = field(default_factory=list)

    def hear(self, events: Sequence[Event]) -> None:
        self.events += [event for event in events if isinstance(event, RecordingFinished)]


class DyingStore:
    """The real store of a process that dies before or after its n-th write from now on."""

    def __init__(self, store: SqlStore, *, after_writes: int, commits_last: bool) -> None:
        self._store = store
        self._left = after_writes
        self._commits_last = commits_last

    async def write(self, work):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        self._left -= 1
        if self._left < 0:
            raise Killed
        if self._left == 0 and not self._commits_last:
            raise Killed
        result = await self._store.write(work)
        if self._left == 0:
            raise Killed
        return result

    async def read(self, work):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return await self._store.read(work)

    def subscribe(self, **subscribers: object) -> None:
        self._store.subscribe(**subscribers)  # type: ignore[arg-type]


class DyingFiles(LocalStore):
    """Dies after its n-th move."""

    def __init__(self, root: Path, *, after_moves: int) -> None:
        super().__init__(root)
        self._left = after_moves

    async def put(self, source: Path, key: str) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        await super().put(source, key)


def states(tx: Transaction, *recording_ids: str) -> list[str]:
    rows = [tx.recordings.get(each) for each in recording_ids]  # type: ignore[arg-type]
    return [row.state.value if row is not None else "none" for row in rows]
