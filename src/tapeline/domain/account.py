"""Who owns calls and recordings, and how they want to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import AccountId, EpochMs
from tapeline.domain.signal import PauseAs


class LinkPolicy(StrEnum):
    """What a recording's link needs to be opened."""

    SIGNED = "signed"
    """An expiring signature in the link, or API credentials."""
    AUTH = "auth"
    """API credentials, always."""
    PUBLIC = "public"
    """Nothing: anybody who has the link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHabits:
    """How an account's recordings are made where the start does not say."""

    pause_as: PauseAs = PauseAs.SKIP
    pause_limit_s: int = 0
    """A pause that was forgotten ends after so long; 0: never."""
    beep_every_s: int = 0
    """A tone that says that it is recorded; 0: none."""
    beep_level_db: float = -15.0
    """Of this and of the tone at the start: its peak, of full scale."""
    beep_in_file: bool = True
    tracks: bool = False
    """Every participant of a conference in a file of its own, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """What an account may choose; `dialect` holds each dialect's own, by dialect then key."""

    link_policy: LinkPolicy = LinkPolicy.SIGNED
    link_life_s: int = 30 * 24 * 3600
    keep_announcing: bool = True
    """Go on with the durable schedule for callbacks that announce a finished recording."""
    webhook_url: str | None = None
    webhook_failover_url: str | None = None
    max_recordings_per_target: int = 32
    recording: RecordingHabits = field(default_factory=RecordingHabits)
    transcription_rate: float = 0.0
    """Price of a minute's transcription, in the account's own currency."""
    keep_days: int = 0
    """Recordings are deleted so long after their end; 0: never."""
    dialect: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Secrets are kept out of `repr`; `api_key_hash` is SHA-256 in hex."""

    id: AccountId
    name: str
    auth_token: str = field(repr=False)
    api_key_hash: str = field(repr=False)
    signing_seed: bytes = field(repr=False)
    """32 bytes: the account's Ed25519 private key."""
    public_key: str
    """Base64 of the raw 32 bytes."""
    settings: AccountSettings = field(default_factory=AccountSettings)
    created_at_ms: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request proves itself with: an account's id and token, or an API key alone."""

    account_id: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
