"""Where the bytes of finished recordings lie: this node's folder, or a bucket of object storage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tapeline.domain.id import AccountId, BucketId, EpochMs, RecordingId


class BucketKind(StrEnum):
    S3 = "s3"
    """Amazon's, and whatever speaks its protocol (an `endpoint` among the options)."""
    AZURE = "azure"
    GCS = "gcs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Of an account or, without one, of every account that has none of its own."""

    id: BucketId
    account_id: AccountId | None
    kind: BucketKind
    name: str
    """The bucket; with Azure the container."""
    prefix: str = ""
    """Before every key, without slashes at its ends."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What is no secret: `endpoint`, `region`, `account_name`, …"""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`access_key_id` and `secret_access_key`, `account_key`, `service_account_key`, …"""
    created_at_ms: EpochMs
    retired_at_ms: EpochMs | None = None
    """Nothing new goes there since; what lies there is still served."""

    @property
    def address(self) -> str:
        """For people: `s3://name/prefix`."""
        return f"{self.kind.value}://{self.name}" + (f"/{self.prefix}" if self.prefix else "")


class Place(StrEnum):
    """Moves along its row only (design.md §8)."""

    LOCAL = "local"
    UPLOADING = "uploading"
    REMOTE = "remote"
    """The remote copy's size and SHA-256 were compared; only then may the local one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where one recording's bytes are. A recording that no bucket is meant for has none."""

    recording_id: RecordingId
    bucket_id: BucketId
    place: Place = Place.LOCAL
    sent_bytes: int = 0
    """Of the upload that runs, or that was cut off; that one begins anew."""
    reason: str | None = None
    """Why the store did not take it at the last try: it is pending."""
    changed_at_ms: EpochMs

    @property
    def words(self) -> str:
        """`local`, `uploading`, `remote`, or `upload_pending` while the store refuses."""
        return "upload_pending" if self.reason is not None else self.place.value
