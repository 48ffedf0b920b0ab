"""What vouches for recordings."""

from dataclasses import dataclass

from tapeline.domain.command.base import Command
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.manifest import Manifest, PersonalValue
from tapeline.domain.recording import Recording, Track


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofView:
    """Of a deleted recording its row and links are what is left."""

    recording: Recording
    tracks: tuple[Track, ...]
    links: tuple[Manifest, ...]
    """Its manifest, and its tombstone when it was deleted; none from before there were any."""
    values: tuple[PersonalValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetProof(Command[ProofView]):
    """A deleted recording's too; `account_id` None: of any account (the CLI). The manifest's file
    is made again when it is not beside the audio. Raises RecordingNotFound.
    """

    account_id: AccountId | None
    recording_id: RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class GetChain(Command["tuple[Manifest, ...]"]):
    """Links of an account behind number `after`, in order. Raises AccountNotFound."""

    account_id: AccountId
    after: int = 0
    limit: int = 1_000
