"""Where the bytes of finished recordings go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapeline.domain.command.base import Command
from tapeline.domain.id import AccountId
from tapeline.domain.storage import Bucket, BucketKind


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBucket(Command[Bucket]):
    """From now on recordings go there; those that lie elsewhere stay where they are. The same
    bucket again changes its options and secrets.

    Raises AccountNotFound, Invalid.
    """

    account_id: AccountId | None
    """None: of every account that has none of its own."""
    kind: BucketKind
    name: str
    prefix: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsetBucket(Command["Bucket | None"]):
    """Recordings stay in the node's folder from now on; the outcome is the bucket that was."""

    account_id: AccountId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketView:
    """Its secrets are blotted out."""

    bucket: Bucket
    fault: str | None = None
    """After a check: what it refused; None when it took, gave and deleted an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBuckets(Command["tuple[BucketView, ...]"]):
    """Retired ones too: recordings may lie there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBuckets(Command["tuple[BucketView, ...]"]):
    """Writes, reads and deletes a small object in each that is in use."""
