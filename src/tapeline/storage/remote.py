"""Finished recordings in a bucket: S3 and what speaks its protocol, Azure, Google.

What the store does wrong is a DestinationFault with its words. Nothing waits for ever: each request
has its limit, and so has each piece of a body, so a store that takes a connection and says nothing
is as one that refuses.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from tapeline.domain.error import DestinationFault, Invalid
from tapeline.domain.storage import Bucket, BucketKind
from tapeline.storage.local import KeyInvalid, check_key

if TYPE_CHECKING:  # the library has them for type checkers only
    from obstore.store import ClientConfig, RetryConfig

ResultT = TypeVar("ResultT")
Progress = Callable[[int], None]
"""Told how many bytes have been handed over so far."""

PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 2
"""An upload holds so many parts in memory."""
CONNECT_S = 5
REQUEST_S = 60
"""Of one request: a part has so long to arrive."""
RETRIES = 2
LONGEST_REASON = 300

_CONTENT_TYPES = {".mp3": "audio/mpeg", ".wav": "audio/wav", ".jsonl": "application/jsonl"}
_BARE_CHECK_KEY = "tapeline-check"


class _MakeStore(Protocol):
    def __call__(
        self,
        name: str,
        *,
        config: Any,
        client_options: "ClientConfig",
        retry_config: "RetryConfig",
        **options: Any,
    ) -> ObjectStore: ...


_KINDS: Mapping[BucketKind, _MakeStore] = {
    BucketKind.S3: cast("_MakeStore", S3Store),
    BucketKind.AZURE: cast("_MakeStore", AzureStore),
    BucketKind.GCS: cast("_MakeStore", GCSStore),
}


class RemoteStore:
    """Implements `domain.port.RecordingStore` over one bucket."""

    def __init__(self, bucket: Bucket, *, request_s: float = REQUEST_S) -> None:
        """Raises Invalid for options that the kind does not know or cannot use."""
        self.bucket = bucket
        self._request_s = request_s
        # Parts that are retried have their time each; the whole of a request has this.
        self._limit_s = request_s * (RETRIES + 1) + CONNECT_S
        self._store = _open(bucket, request_s)

    async def put(self, source: Path, key: str) -> None:
        """Moves a file there; it goes here once size and SHA-256 of the copy were compared.

        Raises FileNotFoundError without a source, DestinationFault, OSError.
        """
        size, sha256 = await asyncio.to_thread(_facts_of, source)
        await self.upload(source, key)
        if await self.size(key) != size or await self.sha256(key) != sha256:
            raise self._fault("what lies there is not what was sent")
        await asyncio.to_thread(source.unlink)

    async def upload(self, source: Path, key: str, progress: Progress = lambda _sent: None) -> None:
        """Copies a file there, in parts when it is large. One that was cut off begins anew: the
        library keeps no hold of an upload over a restart. Raises FileNotFoundError, OSError,
        DestinationFault.
        """
        path = self._path(key)
        await asyncio.to_thread(_open_for_reading, source)
        suffix = source.suffix if key.endswith(source.suffix) else Path(key).suffix
        await self._ask(
            obstore.put_async(
                self._store,
                path,
                _Chunks(source, progress),
                attributes={"Content-Type": _CONTENT_TYPES.get(suffix, "application/octet-stream")},
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            ),
            limit_s=None,
        )

    async def read(self, storage_key: str, *, offset: int, length: int) -> bytes:
        """Fewer bytes only at the end. Raises FileNotFoundError, DestinationFault."""
        path = self._path(storage_key)
        try:
            return bytes(
                await self._ask(
                    obstore.get_range_async(self._store, path, start=offset, length=length)
                )
            )
        except DestinationFault:
            # Past the end there is no such range; only then is a second question worth its time.
            size = await self.size(storage_key)
            if size is not None and offset >= size:
                return b""
            raise

    async def size(self, key: str) -> int | None:
        """None when there is nothing under that key. Raises DestinationFault."""
        try:
            return (await self._ask(obstore.head_async(self._store, self._path(key))))["size"]
        except FileNotFoundError:
            return None

    async def sha256(self, key: str) -> str:
        """Of what lies there, read in whole: no other word of a store's says it for every kind of
        upload. Raises FileNotFoundError, DestinationFault.
        """
        digest = hashlib.sha256()
        async for chunk in self.chunks(key):
            digest.update(chunk)
        return digest.hexdigest()

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """The whole, piece by piece. Raises FileNotFoundError, DestinationFault."""
        found = await self._ask(obstore.get_async(self._store, self._path(key)))
        stream = found.stream(min_chunk_size=1024 * 1024)
        while (chunk := await self._ask(_next(stream))) is not None:
            yield bytes(chunk)

    async def delete(self, storage_key: str) -> None:
        """Nothing happens when there is nothing under that key. Raises DestinationFault."""
        try:
            await self._ask(obstore.delete_async(self._store, self._path(storage_key)))
        except FileNotFoundError:
            return

    async def check(self) -> None:
        """Writes, reads, and deletes a small object. Raises DestinationFault, which says what was
        refused.
        """
        path, content = self._with_prefix(_BARE_CHECK_KEY), b"tapeline was here\n"
        await self._ask(obstore.put_async(self._store, path, content, use_multipart=False))
        found = await self._ask(obstore.get_async(self._store, path))
        if bytes(await self._ask(found.bytes_async())) != content:
            raise self._fault("what was read is not what was written")
        await self._ask(obstore.delete_async(self._store, path))

    def _path(self, key: str) -> str:
        """Keys are made by us; they are checked all the same. Raises KeyInvalid."""
        return self._with_prefix(check_key(key))

    def _with_prefix(self, name: str) -> str:
        return f"{self.bucket.prefix}/{name}" if self.bucket.prefix else name

    async def _ask(self, request: Awaitable[ResultT], *, limit_s: float | None = 0.0) -> ResultT:
        """The store's answer. Raises FileNotFoundError, DestinationFault."""
        try:
            async with asyncio.timeout(self._limit_s if limit_s == 0.0 else limit_s):
                return await request
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise self._fault("there is no such bucket") from error
            raise FileNotFoundError(str(error)[:LONGEST_REASON]) from error
        except TimeoutError as error:
            raise self._fault(f"no answer within {self._limit_s:.0f} s") from error
        except (exceptions.BaseError, OSError) as error:
            raise self._fault(_words_of(error)) from error

    def _fault(self, reason: str) -> DestinationFault:
        return DestinationFault(self.bucket.address, reason)


def _open(bucket: Bucket, request_s: float) -> ObjectStore:
    options = {**bucket.options, **bucket.secrets}
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "timeout": timedelta(seconds=request_s),
        "allow_http": options.get("endpoint", "").startswith("http://"),
    }
    retry: RetryConfig = {
        "max_retries": RETRIES,
        "retry_timeout": timedelta(seconds=request_s * (RETRIES + 1)),
    }
    try:
        return _KINDS[bucket.kind](
            bucket.name, config=options, client_options=client, retry_config=retry
        )
    except (exceptions.BaseError, ValueError, TypeError) as error:
        raise Invalid(field="options", value=sorted(options), expected=_words_of(error)) from error


def _words_of(error: BaseException) -> str:
    """The library's first line; its debug dump of the request is left out."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:LONGEST_REASON]


class _Chunks:
    """A file as the upload takes it, piece by piece; it counts what was taken."""

    def __init__(self, source: Path, progress: Progress) -> None:
        self._source = source
        self._progress = progress

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        with await asyncio.to_thread(self._source.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, PART_BYTES // 4):
                yield chunk
                sent += len(chunk)
                self._progress(sent)


async def _next(stream: Any) -> Any:
    return await anext(stream, None)


def _open_for_reading(source: Path) -> None:
    """What is wrong with our own file is no fault of the store's. Raises OSError."""
    source.open("rb").close()


def _facts_of(source: Path) -> tuple[int, str]:
    with source.open("rb") as file:
        return source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["KeyInvalid", "Progress", "RemoteStore"]
