"""A recording with its manifest, made without a node: bytes, blocks, rows, a key."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.contract import stores

from tapeline.domain.id import CallId, EpochMs, MemberId, RecordingId
from tapeline.domain.manifest import Manifest, ManifestKind, PersonalValue
from tapeline.domain.recording import (
    Health,
    HealthNote,
    Recording,
    RecordingEnd,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Track,
)
from tapeline.proof import (
    AudioEvidence,
    PublicKeys,
    Signer,
    Who,
    document_of,
    parse_blocks,
    read_journal,
    recording_body,
    root_of,
    sign_link,
)
from tapeline.proof.manifest import Hiding, Place

SECONDS = 12
HEAD_BYTES = {"wav": 80, "mp3": 144}
JOURNAL = (
    b'{"type":"start","version":1,"rate_hz":8000}\n'
    b'{"type":"pause_began","at":16000,"unix_us":1}\n'
    b'{"type":"pause_ended","at":16000,"duration_ms":4200}\n'
    b'{"type":"lost","at":24000,"samples":800}\n'
    b'{"type":"torn'
)


def second_lengths(file_format: str, seconds: int) -> list[int]:
    """WAV: all alike but the last, which is shorter; MP3: as many frames as fall into each."""
    if file_format == "wav":
        return [16_000] * (seconds - 1) + [9_000]
    return [144 * (14 if second % 3 else 13) for second in range(seconds)]


def block_lines(content: bytes, head: int, lengths: Sequence[int]) -> list[str]:
    lines, start = [], head
    for length in lengths:
        digest = hashlib.sha256(content[start : start + length]).hexdigest()
        lines.append(f"{start} {start + length} {digest}")
        start += length
    return [*lines, f"0 {head} {hashlib.sha256(content[:head]).hexdigest()}"]


@dataclass
class Made:
    """`audio` with its manifest beside it in `folder`."""

    folder: Path
    signer: Signer
    row: Recording
    content: bytes
    lines: list[str]
    manifest: Manifest
    track_content: bytes
    track_lines: list[str]
    values: list[PersonalValue] = field(default_factory=list)

    @property
    def audio(self) -> Path:
        return self.folder / f"{self.row.id}.{self.row.format.value}"

    @property
    def track(self) -> Path:
        return self.folder / f"{self.row.id}.track-001.{self.row.format.value}"

    @property
    def document(self) -> Path:
        return self.folder / f"{self.row.id}.manifest.json"

    @property
    def keys(self) -> PublicKeys:
        return self.signer.public_keys()

    @property
    def head(self) -> int:
        return HEAD_BYTES[self.row.format.value]

    def second_of(self, at: int) -> int | None:
        """Which second byte `at` is of; None: the head."""
        reached = self.head
        for second, length in enumerate(second_lengths(self.row.format.value, SECONDS)):
            if reached <= at < reached + length:
                return second
            reached += length
        return None

    def second(self, number: int) -> bytes:
        start = self.head + sum(second_lengths(self.row.format.value, SECONDS)[:number])
        length = second_lengths(self.row.format.value, SECONDS)[number]
        return self.content[start : start + length]

    @property
    def seconds(self) -> list[bytes]:
        return [self.second(number) for number in range(SECONDS)]

    def write(self, content: bytes) -> None:
        self.audio.write_bytes(content)

    def edit(self, change: Any) -> None:
        """`change` gets the document as JSON and alters it."""
        document = json.loads(self.document.read_text())
        change(document)
        self.document.write_text(json.dumps(document))


def row_of(file_format: str, content: bytes, recording_id: str = "rec-1") -> Recording:
    return replace(
        stores.recording(recording_id),
        options=RecordingOptions(format=RecordingFormat(file_format), custom_name="Ms Smith"),
        state=RecordingState.COMPLETED,
        health=(HealthNote(flag=Health.DEGRADED, reason="lost", missing_ms=100),),
        end_reason=RecordingEnd.COMMAND,
        started_at_ms=EpochMs(1_000),
        ended_at_ms=EpochMs(12_000),
        sample_count=11 * 8000 + 4500,
        byte_count=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def make(
    folder: Path,
    file_format: str = "wav",
    *,
    signer: Signer | None = None,
    after: Manifest | None = None,
    recording_id: str = "rec-1",
) -> Made:
    folder.mkdir(parents=True, exist_ok=True)
    signer = signer or Signer(folder / "keys")
    lengths, head = second_lengths(file_format, SECONDS), HEAD_BYTES[file_format]
    content = random.Random(f"{file_format} {recording_id}").randbytes(head + sum(lengths))
    track_content = random.Random("track").randbytes(head + sum(lengths[:5]))
    lines = block_lines(content, head, lengths)
    track_lines = block_lines(track_content, head, lengths[:5])
    row = row_of(file_format, content, recording_id)
    track = Track(
        recording_id=RecordingId(recording_id),
        number=1,
        call_id=CallId("call-1"),
        member_id=MemberId("7"),
        offset_ms=500,
        sample_count=40_000,
        byte_count=len(track_content),
        sha256=hashlib.sha256(track_content).hexdigest(),
        storage_key="unused",
    )
    journal = read_journal([JOURNAL[:50], JOURNAL[50:]])
    hiding = Hiding(lambda: b"salt")
    body = recording_body(
        row,
        [track],
        [Who(participant=stores.participant("7", "call-1", 2_000), call=stores.call())],
        evidence={
            0: evidence_of(lines, content, journal),
            1: evidence_of(track_lines, track_content, journal),
        },
        hiding=hiding,
    )
    place = Place(account_id=row.account_id, head=after, at_ms=EpochMs(13_000))
    manifest = sign_link(signer, place, ManifestKind.RECORDING, row.id, body)
    made = Made(
        folder, signer, row, content, lines, manifest, track_content, track_lines, hiding.values
    )
    made.write(content)
    made.track.write_bytes(track_content)
    (folder / f"{recording_id}.journal.jsonl").write_bytes(JOURNAL)
    made.document.write_bytes(document_of(manifest, blocks=lines, track_blocks={1: track_lines}))
    return made


def evidence_of(lines: list[str], content: bytes, journal: Any) -> AudioEvidence:
    blocks = parse_blocks(lines, byte_count=len(content))
    return AudioEvidence(block_count=len(blocks), block_root=root_of(blocks), journal=journal)
