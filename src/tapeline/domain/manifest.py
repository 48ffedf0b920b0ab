"""What vouches for a recording: a signed link of its account's chain, and what it hides."""

from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import AccountId, EpochMs, RecordingId


class ManifestKind(StrEnum):
    RECORDING = "recording"
    """What a finished recording holds."""
    TOMBSTONE = "tombstone"
    """That it was deleted: who, when, why, and the hash of what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`body` is the canonical JSON that was signed: never changed, without a personal value."""

    account_id: AccountId
    number: int
    """Its place in the account's chain, from 1."""
    kind: ManifestKind
    recording_id: RecordingId
    body: str
    sha256: str
    """Of `body`; the next link names it."""
    signature: str
    """Base64 of the 64 bytes."""
    key_id: str
    created_at_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalValue:
    """A value that its manifest holds as SHA-256 of salt and value; erased with the recording."""

    name: str
    """Where in the manifest: `who.caller`, `participants.0.called`."""
    salt: bytes = field(repr=False)
    value: str = field(repr=False)
