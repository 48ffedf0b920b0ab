"""The same tests over a folder and over S3; then what only a bucket can do wrong."""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.s3 import S3, bad_store, bucket_at, serve_s3

from tapeline.domain.error import DestinationFault, Invalid
from tapeline.domain.id import BucketId, EpochMs
from tapeline.domain.port import RecordingStore
from tapeline.domain.storage import Bucket, BucketKind
from tapeline.storage import KeyInvalid, LocalStore, RemoteStore

KEY = "MA1/2026/11/21/rec-1.wav"
UNAVAILABLE = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
GARBAGE = b"\x00\xffthis is not HTTP\r\n\r\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with serve_s3() as server:
        yield server


@pytest.fixture(params=["folder", "s3", "s3 with a prefix"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, s3: S3
) -> AsyncIterator[RecordingStore]:
    if request.param == "folder":
        yield LocalStore(tmp_path / "recordings")
        return
    prefix = "of/tapeline" if "prefix" in request.param else ""
    remote = RemoteStore(s3.bucket(prefix=prefix))
    yield remote
    await remote.delete(KEY)


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "source.wav"
    path.write_bytes(content)
    return path


async def test_what_is_put_is_moved_and_read_in_any_piece(
    store: RecordingStore, tmp_path: Path
) -> None:
    content = os.urandom(100_000)
    source = file_of(tmp_path, content)

    await store.put(source, KEY)

    assert not source.exists()
    assert await store.size(KEY) == 100_000
    assert await store.read(KEY, offset=0, length=200_000) == content
    assert await store.read(KEY, offset=99_990, length=100) == content[-10:]
    assert await store.read(KEY, offset=100_000, length=10) == b""
    assert await store.read(KEY, offset=17, length=3) == content[17:20]


async def test_what_is_put_again_takes_the_place_of_what_was(
    store: RecordingStore, tmp_path: Path
) -> None:
    await store.put(file_of(tmp_path, b"first"), KEY)
    await store.put(file_of(tmp_path, b"second"), KEY)

    assert await store.read(KEY, offset=0, length=10) == b"second"


async def test_what_is_not_there(store: RecordingStore, tmp_path: Path) -> None:
    assert await store.size(KEY) is None
    with pytest.raises(FileNotFoundError):
        await store.read(KEY, offset=0, length=1)
    await store.delete(KEY)
    with pytest.raises(FileNotFoundError):
        await store.put(tmp_path / "nothing.wav", KEY)


async def test_deleting_twice_is_deleting_once(store: RecordingStore, tmp_path: Path) -> None:
    await store.put(file_of(tmp_path, b"sound"), KEY)

    await store.delete(KEY)
    await store.delete(KEY)

    assert await store.size(KEY) is None


@pytest.mark.parametrize(
    "key", ["../x.wav", "/etc/passwd", "a/../b.wav", "a//b.wav", "", "a/\x00.wav", "a\\b", "ä.wav"]
)
async def test_what_is_no_key_becomes_no_path(
    store: RecordingStore, tmp_path: Path, key: str
) -> None:
    with pytest.raises(KeyInvalid):
        await store.put(file_of(tmp_path, b"sound"), key)
    with pytest.raises(KeyInvalid):
        await store.read(key, offset=0, length=1)
    with pytest.raises(KeyInvalid):
        await store.delete(key)


async def test_a_large_file_goes_in_parts_and_tells_how_far_it_is(s3: S3, tmp_path: Path) -> None:
    remote, content = RemoteStore(s3.bucket()), os.urandom(20_000_000)
    source, told = file_of(tmp_path, content), list[int]()

    await remote.upload(source, KEY, told.append)

    assert source.exists()
    assert told == sorted(told)
    assert told[-1] == 20_000_000
    assert len(told) > 5
    assert await remote.sha256(KEY) == hashlib.sha256(content).hexdigest()
    await remote.delete(KEY)


async def test_a_copy_that_differs_leaves_the_source_where_it_is(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, source = RemoteStore(s3.bucket()), file_of(tmp_path, b"what was recorded")

    async def upload_something_else(self: RemoteStore, _source: Path, key: str) -> None:
        other = tmp_path / "other.wav"
        other.write_bytes(b"what was Recorded")
        await upload(self, other, key)

    upload = RemoteStore.upload
    monkeypatch.setattr(RemoteStore, "upload", upload_something_else)

    with pytest.raises(DestinationFault, match="not what was sent"):
        await remote.put(source, KEY)

    assert source.read_bytes() == b"what was recorded"
    await remote.delete(KEY)


async def test_a_check_writes_reads_and_deletes(s3: S3) -> None:
    await RemoteStore(s3.bucket(prefix="checked")).check()

    assert await RemoteStore(s3.bucket(prefix="checked")).size("tapeline-check") is None


async def test_a_check_says_that_there_is_no_such_bucket(s3: S3) -> None:
    with pytest.raises(DestinationFault, match="s3://elsewhere: there is no such bucket"):
        await RemoteStore(s3.bucket("elsewhere")).check()


async def test_nobody_there(tmp_path: Path) -> None:
    async with bad_store(None) as port:
        pass
    with pytest.raises(DestinationFault, match="s3://recordings"):
        await RemoteStore(bucket_at(port)).put(file_of(tmp_path, b"sound"), KEY)
    assert (tmp_path / "source.wav").exists()


@pytest.mark.parametrize("answer", [UNAVAILABLE, FORBIDDEN, GARBAGE])
async def test_a_store_that_refuses_is_a_fault_of_the_destinations(
    tmp_path: Path, answer: bytes
) -> None:
    async with bad_store(answer) as port:
        remote = RemoteStore(bucket_at(port), request_s=2)
        source = file_of(tmp_path, b"sound")

        with pytest.raises(DestinationFault):
            await remote.upload(source, KEY)
        with pytest.raises(DestinationFault):
            await remote.size(KEY)

    assert source.exists()


async def test_a_store_that_never_answers_is_waited_for_only_so_long(tmp_path: Path) -> None:
    async with bad_store(None) as port:
        remote = RemoteStore(bucket_at(port), request_s=0.3)
        began = time.monotonic()

        with pytest.raises(DestinationFault):
            await remote.upload(file_of(tmp_path, b"sound"), KEY)
        with pytest.raises(DestinationFault):
            await remote.read(KEY, offset=0, length=1)

        assert time.monotonic() - began < 15


async def test_no_secret_is_in_what_is_said_of_it(s3: S3) -> None:
    bucket = s3.bucket("elsewhere")
    with pytest.raises(DestinationFault) as caught:
        await RemoteStore(bucket).check()

    for text in (repr(bucket), str(caught.value), repr(caught.value)):
        assert not any(secret in text for secret in bucket.secrets.values())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (BucketKind.AZURE, {"account_name": "tapeline"}),
        (BucketKind.GCS, {}),
        (BucketKind.S3, {"region": "eu-central-1"}),
    ],
)
def test_each_kind_can_be_opened(kind: BucketKind, options: dict[str, str]) -> None:
    RemoteStore(_bucket(kind, options))


@pytest.mark.parametrize("kind", list(BucketKind))
def test_an_unknown_option_is_refused(kind: BucketKind) -> None:
    with pytest.raises(Invalid, match="colour"):
        RemoteStore(_bucket(kind, {"colour": "red"}))


def _bucket(kind: BucketKind, options: dict[str, str]) -> Bucket:
    return Bucket(
        id=BucketId("b"),
        account_id=None,
        kind=kind,
        name="recordings",
        options=options,
        created_at_ms=EpochMs(1),
    )
