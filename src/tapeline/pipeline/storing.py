"""A finished recording's way into its bucket.

    local ──▶ uploading ──▶ remote       one row, forward only; what the store refused is its reason
                └─ size and SHA-256 of every file compared ─┘   then the local copies may go

Everything can be done twice: what lies there already and is right is not sent again.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tapeline.domain.error import DestinationFault
from tapeline.domain.id import RecordingId
from tapeline.domain.port import Clock, Store, Transaction
from tapeline.domain.recording import Recording, RecordingState
from tapeline.domain.storage import Bucket, Place, Stored
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

UPLOADS_AT_ONCE = 4
PROGRESS_EVERY_BYTES = 32_000_000


class Folder(Protocol):
    """`storage.LocalStore`."""

    def path(self, key: str) -> Path: ...
    async def size(self, key: str) -> int | None: ...
    async def delete(self, storage_key: str) -> None: ...


class Remote(Protocol):
    """`storage.RemoteStore`."""

    async def upload(self, source: Path, key: str, progress: Callable[[int], None]) -> None: ...
    async def size(self, key: str) -> int | None: ...
    async def sha256(self, key: str) -> str: ...
    async def delete(self, storage_key: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    key: str
    sha256: str | None
    """As the row has it; of what belongs to a recording, that of the file itself."""
    is_audio: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    recording: Recording
    stored: Stored
    bucket: Bucket
    files: Sequence[_File]


class BytesLost(Exception):
    """Neither here nor there: a retry helps only once the file has been put back."""


class Storing:
    """Called by the workflow of each recording; several at once."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        folder: Folder,
        open_bucket: Callable[[Bucket], Remote],
        companions_of: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._folder = folder
        self._open_bucket = open_bucket
        self._companions_of = companions_of
        self._room = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def store_remotely(self, recording_id: RecordingId) -> None:
        """Returns when every file lies there and is right, or when there is nothing to be done.
        Raises DestinationFault, BytesLost, OSError, StoreFailed.
        """
        job = await self._job(recording_id)
        if job is None or job.stored.place is Place.REMOTE:
            return
        remote = self._open_bucket(job.bucket)
        async with self._room:
            await self._note(recording_id, place=Place.UPLOADING, reason=None)
            try:
                for file in job.files:
                    await self._store_file(remote, recording_id, file)
            except (DestinationFault, BytesLost, OSError) as error:
                await self._note(recording_id, reason=str(error))
                raise
        is_kept = await self._note(recording_id, place=Place.REMOTE, reason=None)
        if not is_kept:  # deleted while it was on its way
            for file in job.files:
                await remote.delete(file.key)
            return
        _log.info("recording_stored", recording=recording_id, bucket=job.bucket.address)

    async def release(self, recording_id: RecordingId) -> None:
        """The local copies go, if the remote ones were found right. Raises OSError, StoreFailed."""
        job = await self._job(recording_id)
        if job is None or job.stored.place is not Place.REMOTE:
            return
        for file in job.files:
            await self._folder.delete(file.key)

    async def _job(self, recording_id: RecordingId) -> _Job | None:
        def work(tx: Transaction) -> _Job | None:
            recording, stored = tx.recordings.get(recording_id), tx.stored.get(recording_id)
            if recording is None or stored is None:
                return None
            bucket = tx.buckets.get(stored.bucket_id)
            if bucket is None or recording.state is not RecordingState.COMPLETED:
                return None
            audio = [(recording.storage_key, recording.sha256)]
            audio += [
                (each.storage_key, each.sha256) for each in tx.tracks.of_recording(recording_id)
            ]
            files = [_File(key=key, sha256=sha256, is_audio=True) for key, sha256 in audio]
            files += [
                _File(key=companion, sha256=None, is_audio=False)
                for key, _ in audio
                for companion in self._companions_of(key).values()
            ]
            return _Job(recording=recording, stored=stored, bucket=bucket, files=files)

        return await self._store.read(work)

    async def _store_file(self, remote: Remote, recording_id: RecordingId, file: _File) -> None:
        path = self._folder.path(file.key)
        here = await asyncio.to_thread(_facts_of, path)
        if here is None:
            await _check_alone(remote, file)
            return
        size, sha256 = here
        if file.sha256 is not None and file.sha256 != sha256:
            raise BytesLost(f"{path.name} is not what was recorded: its SHA-256 differs")
        if await remote.size(file.key) == size and await remote.sha256(file.key) == sha256:
            return
        await self._send(remote, recording_id, path, file.key)
        if await remote.size(file.key) != size or await remote.sha256(file.key) != sha256:
            raise DestinationFault(file.key, "what lies there is not what was sent")

    async def _send(self, remote: Remote, recording_id: RecordingId, path: Path, key: str) -> None:
        """With its progress in the row; a write of that which fails does not fail the upload."""
        told = 0
        notes: set[asyncio.Task[bool]] = set()

        def progress(sent: int) -> None:
            nonlocal told
            if sent - told >= PROGRESS_EVERY_BYTES:
                told = sent
                notes.add(asyncio.ensure_future(self._note(recording_id, sent_bytes=sent)))

        try:
            await remote.upload(path, key, progress)
        finally:
            await asyncio.gather(*notes, return_exceptions=True)

    async def _note(self, recording_id: RecordingId, **changes: object) -> bool:
        """False when the recording is no longer there."""
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> bool:
            stored, recording = tx.stored.get(recording_id), tx.recordings.get(recording_id)
            if stored is None or recording is None:
                return False
            if recording.state is not RecordingState.COMPLETED:
                return False
            tx.stored.update(replace(stored, **changes, changed_at_ms=now_ms))  # type: ignore[arg-type]
            return True

        return await self._store.write(work)


async def _check_alone(remote: Remote, file: _File) -> None:
    """There is no local copy (any more): what lies there must be right by the row's word."""
    if not file.is_audio:
        return  # the core did not write one, or it is there already
    if await remote.size(file.key) is None:
        raise BytesLost(f"{file.key} lies neither here nor in the bucket")
    if file.sha256 is not None and await remote.sha256(file.key) != file.sha256:
        raise BytesLost(f"{file.key} lies only in the bucket, and its SHA-256 differs")


def _facts_of(path: Path) -> tuple[int, str] | None:
    try:
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
