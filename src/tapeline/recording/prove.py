"""The manifest of a recording: gathered from row and files, signed in the finalising transaction,
and laid beside the audio afterwards.

The row is what counts; the file can be made again from it (`lay_document`).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from tapeline.domain.error import DestinationFault, TapelineError
from tapeline.domain.id import EpochMs, RecordingId
from tapeline.domain.manifest import Manifest, ManifestKind
from tapeline.domain.port import RecordingStore, Store, Transaction
from tapeline.domain.recording import Recording, Track
from tapeline.proof import (
    AudioEvidence,
    BlocksInvalid,
    JournalFacts,
    Signer,
    Who,
    document_of,
    parse_blocks,
    read_journal,
    recording_body,
    root_of,
    sign_link,
    tombstone_body,
)
from tapeline.proof.manifest import Hiding, Place
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

CHUNK = 1 << 20
SALT_BYTES = 16
JOURNAL, BLOCKS = "journal.jsonl", "blocks.sha256"


def new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


def beside(storage_key: str, name: str) -> str:
    """`…/RECORDING.NAME` for the key of an audio file."""
    return f"{storage_key.rpartition('.')[0]}.{name}"


def manifest_key(storage_key: str) -> str:
    return beside(storage_key, "manifest.json")


def tombstone_key(storage_key: str) -> str:
    return beside(storage_key, "tombstone.json")


class Prover:
    """Wired by `node`; used by the finaliser, by deletions and by exports."""

    def __init__(
        self,
        *,
        store: Store,
        files: RecordingStore,
        signer: Signer,
        drafts: Path,
        salt: Callable[[], bytes] = new_salt,
    ) -> None:
        """`drafts`: a folder on the node's own disk for what is on its way to its key."""
        self.signer = signer
        self._store = store
        self._files = files
        self._drafts = drafts
        self._salt = salt

    async def gather(self, row: Recording, tracks: Sequence[Track]) -> Mapping[int, AudioEvidence]:
        """What the core left beside the files; 0 is the recording's own. Raises OSError."""
        found = {}
        if row.sample_count > 0:
            found[0] = await self._evidence(row.storage_key, row.byte_count)
            for track in tracks:
                found[track.number] = await self._evidence(track.storage_key, track.byte_count)
        return found

    async def _evidence(self, storage_key: str, byte_count: int) -> AudioEvidence:
        journal = await self._journal(beside(storage_key, JOURNAL))
        lines = await self.block_lines(storage_key)
        if lines is None:
            return AudioEvidence(journal=journal)

        def count_and_root() -> tuple[int, str]:
            blocks = parse_blocks(lines, byte_count=byte_count)
            return len(blocks), root_of(blocks)

        try:
            count, root = await asyncio.to_thread(count_and_root)
        except BlocksInvalid as error:
            _log.warning("blocks_do_not_fit", key=storage_key, reason=str(error))
            return AudioEvidence(journal=journal)
        return AudioEvidence(block_count=count, block_root=root, journal=journal)

    async def block_lines(self, storage_key: str) -> list[str] | None:
        """None when they are not there, or cannot be had now."""
        try:
            content = b"".join([part async for part in self._parts(beside(storage_key, BLOCKS))])
        except (FileNotFoundError, DestinationFault):
            return None
        return content.decode("ascii", "replace").splitlines()

    async def _journal(self, key: str) -> JournalFacts | None:
        try:
            chunks = [part async for part in self._parts(key)]
        except (FileNotFoundError, DestinationFault):
            return None
        return await asyncio.to_thread(read_journal, chunks)

    async def _parts(self, key: str) -> AsyncIterator[bytes]:
        offset = 0
        while part := await self._files.read(key, offset=offset, length=CHUNK):
            yield part
            offset += len(part)

    def add_recording(
        self,
        tx: Transaction,
        row: Recording,
        evidence: Mapping[int, AudioEvidence],
        at_ms: EpochMs,
    ) -> Manifest:
        """The link of a recording that has just become terminal. Raises KeyInvalid, OSError."""
        present = [] if row.conference_id is None else tx.participants.ever_in(row.conference_id)
        hiding = Hiding(self._salt)
        body = recording_body(
            row,
            tx.tracks.of_recording(row.id),
            [Who(participant=each, call=tx.calls.get(each.call_id)) for each in present],
            evidence=evidence,
            hiding=hiding,
        )
        place = Place(
            account_id=row.account_id, head=tx.manifests.head(row.account_id), at_ms=at_ms
        )
        manifest = sign_link(self.signer, place, ManifestKind.RECORDING, row.id, body)
        tx.manifests.add(manifest)
        tx.manifests.add_values(row.id, hiding.values)
        return manifest

    def add_tombstone(
        self, tx: Transaction, row: Recording, *, by: str, because: str, at_ms: EpochMs
    ) -> Manifest:
        """The link that says that `row` was deleted; its personal values go. Raises KeyInvalid,
        OSError.
        """
        body = tombstone_body(row, recording_link(tx, row.id), by=by, because=because, at_ms=at_ms)
        place = Place(
            account_id=row.account_id, head=tx.manifests.head(row.account_id), at_ms=at_ms
        )
        tombstone = sign_link(self.signer, place, ManifestKind.TOMBSTONE, row.id, body)
        tx.manifests.add(tombstone)
        tx.manifests.erase_values(row.id)
        return tombstone

    async def document(self, row: Recording) -> bytes | None:
        """`RECORDING.manifest.json` made from the row, with the lists of blocks that are there;
        None for a recording from before there were manifests. Raises OSError.
        """

        def read(tx: Transaction) -> tuple[Manifest | None, Sequence[Track]]:
            return recording_link(tx, row.id), tx.tracks.of_recording(row.id)

        manifest, tracks = await self._store.read(read)
        if manifest is None:
            return None
        lists = {track.number: await self.block_lines(track.storage_key) for track in tracks}
        return document_of(
            manifest,
            blocks=await self.block_lines(row.storage_key),
            track_blocks={n: lines for n, lines in lists.items() if lines is not None},
        )

    async def lay_document(self, row: Recording) -> None:
        """Beside the audio, in place of what may be there. A disk that refuses is logged: the row
        has everything, and whoever wants the file makes it again.
        """
        try:
            content = await self.document(row)
            if content is not None:
                await self._lay(manifest_key(row.storage_key), content)
        except (OSError, TapelineError) as error:
            _log.error("manifest_not_written", recording=row.id, reason=str(error))

    async def lay_missing_document(self, row: Recording) -> None:
        """Raises OSError, DestinationFault when it cannot be told whether it is there."""
        if await self._files.size(manifest_key(row.storage_key)) is None:
            await self.lay_document(row)

    async def lay_tombstone(self, row: Recording) -> None:
        """What is left of a deleted recording's files: its links, without any list of blocks."""
        links = await self._store.read(lambda tx: tx.manifests.of_recording(row.id))
        try:
            for link in links:
                is_tombstone = link.kind is ManifestKind.TOMBSTONE
                key = tombstone_key if is_tombstone else manifest_key
                await self._lay(key(row.storage_key), document_of(link))
        except (OSError, TapelineError) as error:
            _log.error("tombstone_not_written", recording=row.id, reason=str(error))

    async def _lay(self, key: str, content: bytes) -> None:
        draft = self._drafts / key.rpartition("/")[2]
        await asyncio.to_thread(draft.write_bytes, content)
        await self._files.put(draft, key)


def recording_link(tx: Transaction, recording_id: RecordingId) -> Manifest | None:
    """What vouches for a recording; None for one from before there were manifests."""
    links = tx.manifests.of_recording(recording_id)
    return next((link for link in links if link.kind is ManifestKind.RECORDING), None)
