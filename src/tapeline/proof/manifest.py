"""What a manifest says, how it is signed, and the document that lies beside the audio.

    body      canonical JSON; its hash is what the account's next link names
    document  {"manifest": body, "signature": …, "blocks": […], "track_blocks": {…}}

docs/reference/manifest.md has every field.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapeline.domain.call import Call
from tapeline.domain.conference import Participant
from tapeline.domain.id import AccountId, EpochMs, RecordingId
from tapeline.domain.manifest import Manifest, ManifestKind, PersonalValue
from tapeline.domain.recording import Recording, Track
from tapeline.proof import canonical
from tapeline.proof.canonical import NotCanonical
from tapeline.proof.evidence import AudioEvidence
from tapeline.proof.keys import Signer

VERSION = 1
DOCUMENT_LIMIT = 256 * 1024 * 1024
"""Bytes; an eight hours' recording with 32 tracks has 90 MB of blocks."""
NOTHING_KNOWN = AudioEvidence()

Json = dict[str, Any]


class DocumentInvalid(ValueError):
    """Not the document of a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A participant's stay, with the call it came by."""

    participant: Participant
    call: Call | None


def hash_of(salt: bytes, value: str) -> str:
    """How a personal value stands in a manifest."""
    return hashlib.sha256(salt + value.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Hiding:
    """Gives each personal value its hash, and keeps what it takes to show it."""

    new_salt: Callable[[], bytes]
    values: list[PersonalValue] = field(default_factory=list)

    def hash(self, name: str, value: str | None) -> str | None:
        if not value:
            return None
        kept = PersonalValue(name=name, salt=self.new_salt(), value=value)
        self.values.append(kept)
        return hash_of(kept.salt, kept.value)


def recording_body(
    recording: Recording,
    tracks: Sequence[Track],
    present: Sequence[Who],
    *,
    evidence: Mapping[int, AudioEvidence],
    hiding: Hiding,
) -> Json:
    """Everything but the link's own place. `evidence` is by a track's number; 0: the recording."""
    of_file = evidence.get(0, NOTHING_KNOWN)
    journal = of_file.journal
    return {
        "recording": _row(recording),
        "who": {
            "caller": hiding.hash("who.caller", recording.caller),
            "called": hiding.hash("who.called", recording.called),
            "conference_name": hiding.hash("who.conference_name", recording.conference_name),
            "custom_name": hiding.hash("who.custom_name", recording.options.custom_name),
        },
        "participants": [
            _participant(number, who, recording, hiding)
            for number, who in enumerate(w for w in present if _was_there(w, recording))
        ],
        "pauses": [
            {"at_ms": pause.at_ms, "duration_ms": pause.duration_ms}
            for pause in (journal.pauses if journal else ())
        ],
        "gaps": [
            {"at_ms": gap.at_ms, "length_ms": gap.length_ms, "reason": gap.reason}
            for gap in (journal.gaps if journal else ())
        ],
        "audio": _audio(recording, of_file) if recording.sample_count > 0 else None,
        "tracks": [_track(track, evidence.get(track.number, NOTHING_KNOWN)) for track in tracks],
    }


def _row(recording: Recording) -> Json:
    return {
        "id": recording.id,
        "node": recording.node_id,
        "target": recording.target.value,
        "call_id": recording.call_id,
        "conference_id": recording.conference_id,
        "dialect": recording.starter.dialect,
        "request_id": recording.starter.request_id,
        "state": recording.state.value,
        "reason": recording.reason,
        "end_reason": None if recording.end_reason is None else recording.end_reason.value,
        "started_at_ms": recording.started_at_ms,
        "ended_at_ms": recording.ended_at_ms,
        "duration_ms": recording.duration_ms,
        "health": [
            {
                "flag": note.flag.value,
                "reason": note.reason,
                "missing_ms": note.missing_ms,
                "odd_ms": note.odd_ms,
            }
            for note in recording.health
        ],
    }


def _was_there(who: Who, recording: Recording) -> bool:
    """While it was recorded."""
    stay, ended_at_ms = who.participant, recording.ended_at_ms
    came_too_late = ended_at_ms is not None and stay.joined_at_ms > ended_at_ms
    left_at_ms = stay.left_at_ms
    left_before = left_at_ms is not None and left_at_ms < recording.started_at_ms
    return not (came_too_late or left_before)


def _participant(number: int, who: Who, recording: Recording, hiding: Hiding) -> Json:
    """`left_at_ms` is null for one who was there until the recording ended."""
    stay, ended_at_ms = who.participant, recording.ended_at_ms
    left_at_ms = stay.left_at_ms
    if left_at_ms is not None and ended_at_ms is not None and left_at_ms > ended_at_ms:
        left_at_ms = None
    place, call = f"participants.{number}", who.call
    return {
        "call_id": stay.call_id,
        "member_id": stay.member_id,
        "joined_at_ms": stay.joined_at_ms,
        "left_at_ms": left_at_ms,
        "caller": hiding.hash(f"{place}.caller", call.caller if call else None),
        "caller_name": hiding.hash(f"{place}.caller_name", call.caller_name if call else None),
        "called": hiding.hash(f"{place}.called", call.called if call else None),
    }


def _audio(recording: Recording, evidence: AudioEvidence) -> Json:
    return {
        "format": recording.format.value,
        "layout": recording.options.layout.value,
        "rate_hz": recording.rate_hz,
        "channels": recording.channels,
        "sample_count": recording.sample_count,
        "byte_count": recording.byte_count,
        "sha256": recording.sha256,
        **_hashes(evidence),
    }


def _track(track: Track, evidence: AudioEvidence) -> Json:
    return {
        "number": track.number,
        "call_id": track.call_id,
        "member_id": track.member_id,
        "offset_ms": track.offset_ms,
        "sample_count": track.sample_count,
        "byte_count": track.byte_count,
        "sha256": track.sha256,
        **_hashes(evidence),
    }


def _hashes(evidence: AudioEvidence) -> Json:
    root, journal = evidence.block_root, evidence.journal
    return {
        "blocks": None if root is None else {"count": evidence.block_count, "root": root},
        "journal_sha256": None if journal is None else journal.sha256,
    }


def tombstone_body(
    recording: Recording, of: Manifest | None, *, by: str, because: str, at_ms: EpochMs
) -> Json:
    """`of` is what vouched for the recording; None: it was recorded before there were manifests."""
    return {
        "deleted": {
            "recording": recording.id,
            "started_at_ms": recording.started_at_ms,
            "duration_ms": recording.duration_ms,
            "audio_sha256": recording.sha256,
            "manifest_number": None if of is None else of.number,
            "manifest_sha256": None if of is None else of.sha256,
            "by": by,
            "because": because,
            "at_ms": at_ms,
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a new link stands."""

    account_id: AccountId
    head: Manifest | None
    """The account's newest link; None: this is its first."""
    at_ms: EpochMs


def sign_link(
    signer: Signer, place: Place, kind: ManifestKind, recording_id: RecordingId, body: Json
) -> Manifest:
    """Raises KeyInvalid, OSError when the key cannot be read."""
    number = 1 if place.head is None else place.head.number + 1
    key_id = signer.key_id
    whole = {
        **body,
        "version": VERSION,
        "kind": kind.value,
        "account": place.account_id,
        "number": number,
        "previous": None if place.head is None else place.head.sha256,
        "made_at_ms": place.at_ms,
        "key": key_id,
    }
    content = canonical.encode(whole)
    return Manifest(
        account_id=place.account_id,
        number=number,
        kind=kind,
        recording_id=recording_id,
        body=content.decode(),
        sha256=hashlib.sha256(content).hexdigest(),
        signature=signer.sign(content, key_id=key_id),
        key_id=key_id,
        created_at_ms=place.at_ms,
    )


def document_of(
    manifest: Manifest,
    *,
    blocks: Sequence[str] | None = None,
    track_blocks: Mapping[int, Sequence[str]] | None = None,
) -> bytes:
    """What lies beside the audio; the lines are those of `blocks.sha256`."""
    document: Json = {
        "manifest": canonical.decode(manifest.body.encode()),
        "signature": manifest.signature,
    }
    if blocks is not None:
        document["blocks"] = list(blocks)
    if track_blocks:
        document["track_blocks"] = {str(n): list(lines) for n, lines in track_blocks.items()}
    return canonical.encode(document) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it was read: nothing of it has been verified but its shape."""

    body: Json
    content: bytes
    """The body in canonical form, as it must have been signed."""
    signature: str
    blocks: tuple[str, ...] | None
    track_blocks: Mapping[int, tuple[str, ...]]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def key_id(self) -> str:
        return str(self.body.get("key"))


def parse_document(text: bytes) -> Document:
    """Raises DocumentInvalid."""
    if len(text) > DOCUMENT_LIMIT:
        raise DocumentInvalid(f"it is larger than {DOCUMENT_LIMIT} bytes")
    try:
        found = canonical.decode(text)
        _expect(isinstance(found, dict), "it is no object")
        _expect(found.keys() <= _NAMES, "it holds what no manifest has")
        body, signature = found.get("manifest"), found.get("signature")
        _expect(isinstance(body, dict), "it has no manifest")
        _expect(isinstance(signature, str), "it has no signature")
        _expect(body.get("version") == VERSION, f"its version is not {VERSION}")
        content = canonical.encode(body)
    except NotCanonical as error:
        raise DocumentInvalid(str(error)) from error
    lists = found.get("track_blocks", {})
    _expect(isinstance(lists, dict) and all(map(_is_number, lists)), "its tracks have no numbers")
    return Document(
        body=body,
        content=content,
        signature=signature,
        blocks=None if "blocks" not in found else _lines(found["blocks"]),
        track_blocks={int(number): _lines(lines) for number, lines in lists.items()},
    )


_NAMES = {"manifest", "signature", "blocks", "track_blocks"}
_TRACK_DIGITS = 6


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _TRACK_DIGITS


def _lines(found: object) -> tuple[str, ...]:
    _expect(isinstance(found, list), "its blocks are no list")
    assert isinstance(found, list)  # noqa: S101 - told to mypy
    _expect(all(isinstance(line, str) for line in found), "its blocks are no lines")
    return tuple(found)


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    if not holds:
        raise DocumentInvalid(otherwise)
