"""How long recordings are kept. `by` is who asks, for people and for the tombstone."""

from dataclasses import dataclass

from tapeline.domain.command.base import Command
from tapeline.domain.id import AccountId, EpochMs, RecordingId
from tapeline.domain.keeping import Keeping


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRecording(Command[Keeping]):
    """Nothing of it can be deleted until it is released; holding what is held changes the reason.
    Raises RecordingNotFound, Conflict when its deletion has begun.
    """

    account_id: AccountId | None
    recording_id: RecordingId
    because: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecording(Command[Keeping]):
    """Fine when it is not held. Raises RecordingNotFound."""

    account_id: AccountId | None
    recording_id: RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRecording(Command[Keeping]):
    """Until then, whatever its account says; None: as that does. Raises RecordingNotFound."""

    account_id: AccountId | None
    recording_id: RecordingId
    until_ms: EpochMs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetKeeping(Command[Keeping]):
    """Raises RecordingNotFound."""

    account_id: AccountId | None
    recording_id: RecordingId
