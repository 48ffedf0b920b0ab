"""What a store keeps of buckets, of where bytes are and of the work after a recording's end, over
each database; and what an operator can say about buckets.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.contract import stores
from tests.contract.postgres import fresh_database
from tests.contract.s3 import S3, SECRETS, serve_s3
from tests.contract.stores import ACCOUNT_ID, NODE, OTHER_ID, VAULT

from tapeline.config import Config
from tapeline.control import Control
from tapeline.domain.command import (
    CheckBuckets,
    CreateAccount,
    ListBuckets,
    SetBucket,
    UnsetBucket,
)
from tapeline.domain.error import AccountNotFound, Invalid, MissingValue
from tapeline.domain.id import AccountId, BucketId, EpochMs, NodeId, RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import RecordingState
from tapeline.domain.storage import Bucket, BucketKind, Place, Stored
from tapeline.domain.work import Step, Work, WorkState
from tapeline.node import open_offline
from tapeline.state import SqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    with fresh_database() if request.param == "postgresql" else _file(tmp_path) as target:
        opened = await SqlStore.open(target, VAULT)
        await opened.write(stores.add_basics)
        for number in range(1, 4):
            row = stores.recording(f"rec-{number}", state=RecordingState.COMPLETED)
            await opened.write(lambda tx, row=row: tx.recordings.add(row))
        yield opened
        await opened.close()


class _file:  # noqa: N801
    def __init__(self, folder: Path) -> None:
        self._path = folder / "tapeline.db"

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        return


def bucket(name: str, account_id: AccountId | None = None) -> Bucket:
    return Bucket(
        id=BucketId(f"id-of-{name}"),
        account_id=account_id,
        kind=BucketKind.S3,
        name=name,
        prefix="of/us",
        options={"region": "eu-central-1"},
        secrets=SECRETS,
        created_at_ms=EpochMs(9),
    )


async def test_a_bucket_comes_back_as_it_was_and_its_secrets_lie_sealed(store: SqlStore) -> None:
    kept = bucket("ours")

    def look(tx: Transaction) -> str:
        tx.buckets.add(kept)
        connection = tx.buckets._connection  # type: ignore[attr-defined]
        return str(connection.execute(sa.text("SELECT * FROM buckets")).all())

    raw = await store.write(look)

    assert await store.read(lambda tx: tx.buckets.get(kept.id)) == kept
    assert "eu-central-1" in raw
    assert not any(secret in raw for secret in SECRETS.values())


async def test_an_accounts_own_bucket_comes_before_the_nodes(store: SqlStore) -> None:
    nodes, own = bucket("nodes"), bucket("own", ACCOUNT_ID)

    async def current(account_id: AccountId) -> Bucket | None:
        return await store.read(lambda tx: tx.buckets.current(account_id))

    assert await current(ACCOUNT_ID) is None
    await store.write(lambda tx: tx.buckets.add(own))
    assert (await current(ACCOUNT_ID), await current(OTHER_ID)) == (own, None)
    await store.write(lambda tx: tx.buckets.add(nodes))
    assert (await current(ACCOUNT_ID), await current(OTHER_ID)) == (own, nodes)
    await store.write(lambda tx: tx.buckets.update(replace(own, retired_at_ms=EpochMs(10))))
    assert await current(ACCOUNT_ID) == nodes


async def test_where_bytes_are_and_how_many_are_where(store: SqlStore) -> None:
    refused = "s3://ours: no answer within 5 s"
    first = Stored(
        recording_id=RecordingId("rec-1"),
        bucket_id=BucketId("id-of-ours"),
        changed_at_ms=EpochMs(1),
    )
    sending = replace(first, recording_id=RecordingId("rec-2"), place=Place.UPLOADING)

    def work(tx: Transaction) -> None:
        tx.buckets.add(bucket("ours"))
        tx.stored.add(first)
        tx.stored.add(replace(sending, reason=refused, sent_bytes=17))
        tx.stored.update(replace(first, place=Place.REMOTE))

    await store.write(work)

    pending = await store.read(lambda tx: tx.stored.get(RecordingId("rec-2")))
    assert pending == replace(sending, reason=refused, sent_bytes=17)
    assert pending.words == "upload_pending"
    assert await store.read(lambda tx: tx.stored.counts()) == {"remote": 1, "upload_pending": 1}
    assert await store.read(lambda tx: tx.stored.get(RecordingId("rec-3"))) is None


async def test_work_that_waited_longest_comes_first_and_what_is_done_or_anothers_does_not(
    store: SqlStore,
) -> None:
    def add(tx: Transaction) -> None:
        for number, changed in ((1, 30), (2, 20), (3, 10)):
            row = Work(recording_id=RecordingId(f"rec-{number}"), changed_at_ms=EpochMs(changed))
            tx.works.add(row)
        stuck = Work(
            recording_id=RecordingId("rec-3"),
            state=WorkState.STUCK,
            step=Step.TRANSCRIBE,
            tries=3,
            round=2,
            reason="why",
            changed_at_ms=EpochMs(40),
        )
        tx.works.update(stuck)

    await store.write(add)

    def pending(tx: Transaction) -> list[str]:
        return [row.recording_id for row in tx.works.pending_of(NODE, limit=9)]

    assert await store.read(pending) == ["rec-2", "rec-1"]
    assert await store.read(lambda tx: tx.works.pending_of(NodeId("another"), limit=9)) == []
    assert await store.read(lambda tx: tx.works.counts()) == {"pending": 2, "stuck": 1}
    found = await store.read(lambda tx: tx.works.get(RecordingId("rec-3")))
    assert found is not None
    assert (found.workflow_id, found.reason, found.tries) == ("after-rec-3-2", "why", 3)


# What an operator says.


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with serve_s3() as server:
        yield server


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    async with open_offline(replace(Config(), data_dir=tmp_path / "data")) as opened:
        yield opened


def use(of: Bucket, account_id: AccountId | None = None) -> SetBucket:
    return SetBucket(
        account_id=account_id,
        kind=of.kind,
        name=of.name,
        prefix=of.prefix,
        options=of.options,
        secrets=of.secrets,
    )


async def test_a_bucket_is_set_shown_without_secrets_checked_and_left(
    control: Control, s3: S3
) -> None:
    shown = await control.execute(use(s3.bucket(prefix="/a/b/")))

    assert shown.address == "s3://recordings/a/b"
    assert set(shown.secrets) == set(SECRETS)
    assert not set(shown.secrets.values()) & set(SECRETS.values())
    (listed,) = await control.execute(ListBuckets())
    assert (listed.bucket, listed.fault) == (shown, None)
    (checked,) = await control.execute(CheckBuckets())
    assert checked.fault is None

    await control.execute(use(s3.bucket("elsewhere")))
    (checked,) = await control.execute(CheckBuckets())
    assert checked.fault == "s3://elsewhere: there is no such bucket"
    retired = [
        view.bucket.retired_at_ms is not None for view in await control.execute(ListBuckets())
    ]
    assert retired == [True, False]

    await control.execute(UnsetBucket(account_id=None))
    assert await control.execute(CheckBuckets()) == ()


async def test_the_same_bucket_again_changes_its_secrets(control: Control, s3: S3) -> None:
    first = await control.execute(
        use(replace(s3.bucket(), secrets={**SECRETS, "secret_access_key": "old"}))
    )
    second = await control.execute(use(s3.bucket()))

    assert second.id == first.id
    assert [view.bucket for view in await control.execute(ListBuckets())] == [second]


async def test_an_accounts_bucket_stands_beside_the_nodes(control: Control, s3: S3) -> None:
    made = await control.execute(CreateAccount(name="own"))
    await control.execute(use(s3.bucket()))
    await control.execute(use(s3.bucket(prefix="own"), made.account.id))

    owners = [view.bucket.account_id for view in await control.execute(CheckBuckets())]
    assert owners == [None, made.account.id]


async def test_what_cannot_be_a_bucket_is_refused(control: Control, s3: S3) -> None:
    good = s3.bucket()
    with pytest.raises(MissingValue):
        await control.execute(use(replace(good, name="")))
    with pytest.raises(Invalid, match="prefix"):
        await control.execute(use(replace(good, prefix="a/../../b")))
    with pytest.raises(Invalid, match="colour"):
        await control.execute(use(replace(good, options={"colour": "red"})))
    with pytest.raises(AccountNotFound):
        await control.execute(use(good, AccountId("MANOBODY")))
    assert await control.execute(ListBuckets()) == ()
