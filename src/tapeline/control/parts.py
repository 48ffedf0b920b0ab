"""What every use case works with: ports from beneath, callables from above, live things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tapeline.control.credentials import AccountCache
from tapeline.control.live import Live, LiveCall
from tapeline.domain import signal
from tapeline.domain.account import Account
from tapeline.domain.id import EpochMs, RecordingId
from tapeline.domain.port import Clock, Engine, Ownership, Store
from tapeline.domain.recording import Recording
from tapeline.domain.verb import AnswerDocument
from tapeline.telemetry import Bugs


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectRules:
    """What control must know of a dialect: the rest of it stays above."""

    parse_answer: Callable[[bytes], AnswerDocument] | None
    """Raises AnswerInvalid. None: commands steer its calls, and there are no documents."""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values an account may choose, by key."""


class Finaliser(Protocol):
    """What happens to a recording after its last sample (`recording.finalise`)."""

    async def finalise(
        self, recording_id: RecordingId, finished: signal.RecordingFinished
    ) -> Recording:
        """Brings the file to its final place and the row to a terminal state."""


class RecordingFiles(Protocol):
    """The bytes of finished recordings."""

    async def delete(self, storage_key: str) -> None:
        """Nothing happens when there is nothing under that key."""


class Programs(Protocol):
    """Call programs: exactly one runs for each live call."""

    def start(self, live_call: LiveCall) -> None: ...

    async def end(self, live_call: LiveCall) -> None:
        """The call is over: returns when its program no longer runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Figures for the metrics page; a dict so that names can be added where they are counted."""

    values: dict[str, int] = field(default_factory=dict)

    def add(self, name: str) -> None:
        self.values[name] = self.values.get(name, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Built once by `node`; every use case gets it as its first argument."""

    store: Store
    engine: Engine
    clock: Clock
    ownership: Ownership
    finaliser: Finaliser
    files: RecordingFiles
    link_of: Callable[[Recording], str]
    """The address of a recording without a signature; its path never changes."""
    sign_link: Callable[[str, Account, EpochMs], str]
    dialects: Mapping[str, DialectRules]
    spool: Path
    bugs: Bugs
    accounts: AccountCache
    live: Live = field(default_factory=Live)
    counts: Counts = field(default_factory=Counts)
