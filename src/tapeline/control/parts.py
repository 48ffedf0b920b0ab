"""What every use case works with: ports from beneath, callables from above, live things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tapeline.control.credentials import AccountCache
from tapeline.control.live import Live, LiveCall
from tapeline.control.sounds import NoSounds
from tapeline.control.tasks import Tasks
from tapeline.control.trunks.states import TrunkStates
from tapeline.domain import signal
from tapeline.domain.account import Account
from tapeline.domain.error import Invalid
from tapeline.domain.id import EpochMs, RecordingId
from tapeline.domain.port import Clock, Engine, Ownership, SoundSource, Store
from tapeline.domain.recording import Recording, Track
from tapeline.domain.storage import Bucket
from tapeline.domain.verb import AnswerDocument
from tapeline.recording import Prover
from tapeline.telemetry import Bugs

ROOM_RATE_HZ = 8000
"""Of every room in the core."""


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
    """Call programs: at most one runs for each live call."""

    def start(self, live_call: LiveCall) -> None:
        """The program that the call's dialect and application ask for."""

    async def end(self, live_call: LiveCall) -> None:
        """Returns when the call's program no longer runs."""

    async def transfer(self, live_call: LiveCall, *, url: str, method: str) -> None:
        """The program that runs gives way to one that follows the document at `url`."""


class ProgramsToCome:
    """Implements Programs for parts that are built before the programs are: `wire` comes before
    the first call.
    """

    def __init__(self) -> None:
        self._programs: Programs | None = None

    def wire(self, programs: Programs) -> None:
        self._programs = programs

    def start(self, live_call: LiveCall) -> None:
        self._wired.start(live_call)

    async def end(self, live_call: LiveCall) -> None:
        await self._wired.end(live_call)

    async def transfer(self, live_call: LiveCall, *, url: str, method: str) -> None:
        await self._wired.transfer(live_call, url=url, method=method)

    @property
    def _wired(self) -> Programs:
        if self._programs is None:
            raise RuntimeError("no call programs run in this process")
        return self._programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Figures for the metrics page; a dict so that names can be added where they are counted."""

    values: dict[str, int] = field(default_factory=dict)

    def add(self, name: str) -> None:
        self.values[name] = self.values.get(name, 0) + 1


class BucketStore(Protocol):
    """Object storage behind one bucket."""

    async def check(self) -> None:
        """Writes, reads and deletes a small object. Raises DestinationFault."""


def no_buckets(bucket: Bucket) -> BucketStore:
    """Stands where no object storage was wired."""
    raise Invalid(field="kind", value=bucket.kind.value, expected="local")


def _nothing() -> None:
    """Stands where nobody delivers: the next start does."""


def _nobody(_recording_id: RecordingId) -> None:
    """Stands where nobody is to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Built once by `node`; every use case gets it as its first argument."""

    store: Store
    engine: Engine
    clock: Clock
    ownership: Ownership
    finaliser: Finaliser
    files: RecordingFiles
    prover: Prover
    link_of: Callable[[Recording], str]
    """The address of a recording without a signature; its path never changes."""
    track_link_of: Callable[[Recording, Track], str]
    """Of one of its tracks, likewise."""
    sign_link: Callable[[str, Account, EpochMs], str]
    dialects: Mapping[str, DialectRules]
    spool: Path
    bugs: Bugs
    accounts: AccountCache
    open_bucket: Callable[[Bucket], BucketStore] = no_buckets
    """Raises Invalid for options that cannot be used."""
    wake_deliverer: Callable[[], None] = _nothing
    """A callback is due."""
    wake_work: Callable[[RecordingId], None] = _nobody
    """Something follows that recording's end; where no workflows run, the next start finds it."""
    sounds: SoundSource = field(default_factory=NoSounds)
    tasks: Tasks = field(default_factory=Tasks)
    """What goes on after the command that began it was answered."""
    programs: ProgramsToCome = field(default_factory=ProgramsToCome)
    trunks: TrunkStates = field(default_factory=TrunkStates)
    realm: str = "tapeline"
    """Of digest: passwords of endpoints are hashed with it."""
    accepts_transfers: bool = False
    """Phones may ask by REFER that their party gets somebody else."""
    live: Live = field(default_factory=Live)
    counts: Counts = field(default_factory=Counts)
