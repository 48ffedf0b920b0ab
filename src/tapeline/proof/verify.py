"""Whether a file is the one that its manifest vouches for; if not, which second is another.

Reads the file once. Nothing of a manifest is believed before its signature was verified, and
nothing of the list of blocks before its root was compared with the signed one.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tapeline.proof import canonical
from tapeline.proof.keys import PublicKeys
from tapeline.proof.manifest import Document, DocumentInvalid, hash_of, parse_document
from tapeline.proof.places import find_damage
from tapeline.proof.tree import BlocksInvalid, parse_blocks, root_of
from tapeline.proof.verdict import FindingKind, Verdict

CHUNK = 1 << 20
_TRACK_NAME = re.compile(r"(?P<stem>.+)\.track-(?P<number>[0-9]{3,6})\.[a-z0-9]+\Z")


def manifest_beside(audio: Path) -> Path:
    """Where the manifest of a recording or of one of its tracks lies."""
    track = _TRACK_NAME.match(audio.name)
    stem = audio.stem if track is None else track["stem"]
    return audio.with_name(f"{stem}.manifest.json")


def verify_file(audio: Path, keys: PublicKeys, *, manifest: Path | None = None) -> Verdict:
    """Of a recording's file or of a track's. `manifest` None: the one beside it; the journal and
    the personal values that lie beside it are looked at as well. Raises OSError when a file that
    is there cannot be read.
    """
    place = manifest or manifest_beside(audio)
    if not place.is_file():
        return Verdict.of(
            FindingKind.MANIFEST_MISSING, f"there is no manifest at {place}; give --manifest"
        )
    try:
        document = parse_document(place.read_bytes())
    except DocumentInvalid as error:
        return Verdict.of(FindingKind.MANIFEST_INVALID, f"{place} is no manifest: {error}")
    forged = check_signature(document, keys)
    if forged is not None:
        return forged
    verdict = _against(audio, document) + _personal_beside(place, document)
    return verdict + Verdict(notes=(_said(document),))


def check_signature(document: Document, keys: PublicKeys) -> Verdict | None:
    """None when one of `keys` signed it as it is."""
    key_id = document.key_id
    if keys.has_signed(document.content, signature=document.signature, key_id=key_id):
        return None
    if key_id not in keys:
        return Verdict.of(
            FindingKind.KEY_UNKNOWN,
            f"the manifest names key {key_id!r}, which is none of those given",
        )
    return Verdict.of(
        FindingKind.SIGNATURE_FORGED,
        "the signature is forged: this manifest is not what the key signed",
    )


def _said(document: Document) -> str:
    body = document.body
    return f"link {body['number']} of account {body['account']}, signed by key {document.key_id}"


def _against(audio: Path, document: Document) -> Verdict:
    """The manifest is genuine: what it says has the shape that we gave it."""
    body = document.body
    if body["kind"] != "recording":
        gone = body["deleted"]
        return Verdict.of(
            FindingKind.DELETED,
            f"recording {gone['recording']} was deleted by {gone['by']} ({gone['because']})",
        )
    if not audio.is_file():
        return Verdict.of(FindingKind.AUDIO_MISSING, f"there is no file at {audio}")
    with audio.open("rb") as file:
        number = _which(audio, file.seek(0, 2), body)
        if number is None:
            return Verdict.of(
                FindingKind.AUDIO_DIFFERS, "the manifest vouches for no audio of this name"
            )
        said = body["audio"] if number == 0 else _tracks(body)[number]
        lines = document.blocks if number == 0 else document.track_blocks.get(number)
        return _judge(file, said, lines) + _journal_beside(audio, said)


def _tracks(body: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    return {track["number"]: track for track in body["tracks"]}


def _which(audio: Path, size: int, body: Mapping[str, Any]) -> int | None:
    """A track's number, 0 for the recording: by the name, and of a renamed copy by the size."""
    named, tracks = _TRACK_NAME.match(audio.name), _tracks(body)
    if named is not None:
        number = int(named["number"])
        return number if number in tracks else None
    if body["audio"] is None:
        return None
    if size == body["audio"]["byte_count"] or audio.stem == body["recording"]["id"]:
        return 0
    alike = [number for number, track in tracks.items() if track["byte_count"] == size]
    return alike[0] if len(alike) == 1 else 0


def _judge(file: BinaryIO, said: Mapping[str, Any], lines: Sequence[str] | None) -> Verdict:
    if said["blocks"] is None or lines is None:
        verdict = _whole(file, said)
        return verdict + Verdict(notes=("no list of blocks: damage has no second",))
    try:
        blocks = parse_blocks(lines, byte_count=said["byte_count"])
        is_signed_one = root_of(blocks) == said["blocks"]["root"]
    except BlocksInvalid:
        is_signed_one = False
    if not is_signed_one:
        altered = Verdict.of(
            FindingKind.BLOCKS_ALTERED, "the list of blocks is not the one that was signed"
        )
        return altered + _whole(file, said)
    return Verdict(findings=tuple(find_damage(_hasher(file), blocks, size=file.seek(0, 2))))


def _hasher(file: BinaryIO) -> Callable[[int, int], str]:
    """SHA-256 of the bytes from `start` to `end`."""

    def hash_range(start: int, end: int) -> str:
        file.seek(start)
        return _digest(_chunks(file, end - start))

    return hash_range


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        chunk = file.read(min(CHUNK, length))
        if not chunk:
            return
        length -= len(chunk)
        yield chunk


def _digest(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _whole(file: BinaryIO, said: Mapping[str, Any]) -> Verdict:
    size = file.seek(0, 2)
    file.seek(0)
    if _digest(_chunks(file, size)) == said["sha256"]:
        return Verdict()
    return Verdict.of(FindingKind.AUDIO_DIFFERS, "the file is not the one that was recorded")


def _journal_beside(audio: Path, said: Mapping[str, Any]) -> Verdict:
    journal = audio.with_name(f"{audio.stem}.journal.jsonl")
    if said["journal_sha256"] is None or not journal.is_file():
        return Verdict()
    with journal.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        if _digest(_chunks(file, size)) == said["journal_sha256"]:
            return Verdict()
    return Verdict.of(FindingKind.JOURNAL_ALTERED, f"{journal.name} is not what was written")


def _personal_beside(place: Path, document: Document) -> Verdict:
    """`RECORDING.personal.json` of an export: `{name: {"salt": hex, "value": …}}`."""
    file = place.with_name(place.name.removesuffix(".manifest.json") + ".personal.json")
    if not file.is_file():
        return Verdict()
    try:
        found = canonical.decode(file.read_bytes())
        wrong = [
            name
            for name, one in found.items()
            if _at(document.body, name) != hash_of(bytes.fromhex(one["salt"]), one["value"])
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        return Verdict.of(FindingKind.PERSONAL_ALTERED, f"{file.name} cannot be read")
    if not wrong:
        return Verdict()
    return Verdict.of(
        FindingKind.PERSONAL_ALTERED,
        f"{file.name} does not fit the manifest: {', '.join(map(str, wrong[:5]))}",
    )


def _at(body: Any, name: str) -> Any:
    """The value at `participants.0.caller`; None where nothing is."""
    for part in name.split("."):
        if isinstance(body, list):
            body = body[int(part)] if part.isdecimal() and int(part) < len(body) else None
        else:
            body = body.get(part) if isinstance(body, dict) else None
    return body
