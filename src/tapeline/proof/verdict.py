"""What a verification found."""

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    MANIFEST_MISSING = "manifest_missing"
    MANIFEST_INVALID = "manifest_invalid"
    """Not a manifest at all, or one whose parts do not fit together."""
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE_FORGED = "signature_forged"
    """The manifest is not what was signed."""
    BLOCKS_ALTERED = "blocks_altered"
    """The list of blocks is not the one that the manifest vouches for."""
    AUDIO_MISSING = "audio_missing"
    HEAD_DAMAGED = "head_damaged"
    SECOND_DAMAGED = "second_damaged"
    SECOND_MISSING = "second_missing"
    SECOND_MOVED = "second_moved"
    """Its bytes stand where another second belongs."""
    TRUNCATED = "truncated"
    APPENDED = "appended"
    AUDIO_DIFFERS = "audio_differs"
    """The whole file's hash is another, and no list says where."""
    JOURNAL_ALTERED = "journal_altered"
    PERSONAL_ALTERED = "personal_altered"
    DELETED = "deleted"
    CHAIN_BROKEN = "chain_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    kind: FindingKind
    text: str
    second: int | None = None
    """From 0; of the audio file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What is to be known though nothing is wrong."""

    @property
    def is_ok(self) -> bool:
        return not self.findings

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(findings=self.findings + other.findings, notes=self.notes + other.notes)

    @classmethod
    def of(cls, kind: FindingKind, text: str) -> "Verdict":
        return cls(findings=(Finding(kind=kind, text=text),))
