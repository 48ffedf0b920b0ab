"""Recordings wherever they lie: this node's folder first, then the bucket that their row names."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tapeline.domain.id import BucketId, RecordingId
from tapeline.domain.storage import Bucket
from tapeline.storage.local import LocalStore
from tapeline.storage.remote import RemoteStore

BucketOf = Callable[[RecordingId], Awaitable[Bucket | None]]
"""The bucket that a recording is in, or on its way to."""


class Buckets:
    """Open buckets: one connection pool each, opened anew when its row has changed."""

    def __init__(self) -> None:
        self._open: dict[BucketId, RemoteStore] = {}

    def open(self, bucket: Bucket) -> RemoteStore:
        """Raises Invalid for options that cannot be used."""
        known = self._open.get(bucket.id)
        if known is None or known.bucket != bucket:
            known = self._open[bucket.id] = RemoteStore(bucket)
        return known


class Places:
    """Implements `domain.port.RecordingStore`: what is put lies here, what is read or deleted may
    lie in a bucket.
    """

    def __init__(self, local: LocalStore, buckets: Buckets, bucket_of: BucketOf) -> None:
        self.local = local
        self.buckets = buckets
        self._bucket_of = bucket_of

    async def put(self, source: Path, key: str) -> None:
        """Here; a workflow takes it to its bucket. Raises FileNotFoundError, OSError."""
        await self.local.put(source, key)

    async def read(self, storage_key: str, *, offset: int, length: int) -> bytes:
        """Raises FileNotFoundError, OSError, DestinationFault, StoreFailed."""
        try:
            return await self.local.read(storage_key, offset=offset, length=length)
        except FileNotFoundError:
            remote = await self._remote(storage_key)
            if remote is None:
                raise
            return await remote.read(storage_key, offset=offset, length=length)

    async def size(self, key: str) -> int | None:
        """Raises OSError, DestinationFault, StoreFailed."""
        here = await self.local.size(key)
        if here is not None:
            return here
        remote = await self._remote(key)
        return None if remote is None else await remote.size(key)

    async def delete(self, storage_key: str) -> None:
        """There first: while the bucket refuses, the local copy stays and the deletion fails as a
        whole. Raises OSError, DestinationFault, StoreFailed.
        """
        remote = await self._remote(storage_key)
        if remote is not None:
            await remote.delete(storage_key)
        await self.local.delete(storage_key)

    @asynccontextmanager
    async def file(self, key: str) -> AsyncIterator[Path]:
        """The bytes as a file for as long as the context lasts: the local one, or a copy fetched
        from the bucket. Raises FileNotFoundError, OSError, DestinationFault, StoreFailed.
        """
        remote = None
        if await self.local.size(key) is None:
            remote = await self._remote(key)
        if remote is None:
            yield self.local.path(key)
            return
        with tempfile.TemporaryDirectory(dir=self.local.root, prefix=".fetched-") as folder:
            path = Path(folder) / key.rpartition("/")[2]
            with await asyncio.to_thread(path.open, "wb") as file:
                async for chunk in remote.chunks(key):
                    await asyncio.to_thread(file.write, chunk)
            yield path

    async def _remote(self, key: str) -> RemoteStore | None:
        bucket = await self._bucket_of(recording_of(key))
        return None if bucket is None else self.buckets.open(bucket)


def recording_of(key: str) -> RecordingId:
    """Whose bytes these are: `ACCOUNT/yyyy/mm/dd/RECORDING[.track-001].mp3`."""
    return RecordingId(key.rpartition("/")[2].partition(".")[0])
