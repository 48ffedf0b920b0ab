"""What every store keeps of manifests: chains of accounts, links of recordings, hidden values."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract import stores
from tests.contract.stores import ACCOUNT_ID, OTHER_ID

from tapeline.domain.error import StoreFailed
from tapeline.domain.id import AccountId, EpochMs, RecordingId
from tapeline.domain.manifest import Manifest, ManifestKind, PersonalValue
from tapeline.domain.port import Transaction
from tapeline.state import SqlStore

REC = RecordingId("rec-1")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await stores.open_sqlite(tmp_path)
    await opened.write(stores.add_basics)
    await opened.write(lambda tx: tx.recordings.add(stores.recording(REC)))
    yield opened
    await opened.close()


def link(number: int, account_id: AccountId = ACCOUNT_ID, kind: str = "recording") -> Manifest:
    return Manifest(
        account_id=account_id,
        number=number,
        kind=ManifestKind(kind),
        recording_id=REC,
        body=f'{{"number":{number},"é":1}}',
        sha256=f"{number:064x}",
        signature="c2ln",
        key_id="k",
        created_at_ms=EpochMs(number),
    )


async def test_each_account_has_a_chain_of_its_own(store: SqlStore) -> None:
    links = [link(1), link(2), link(3, kind="tombstone")]

    def work(tx: Transaction) -> Manifest | None:
        for each in links:
            tx.manifests.add(each)
        tx.manifests.add(link(1, OTHER_ID))
        return tx.manifests.head(ACCOUNT_ID)

    assert await store.write(work) == links[-1]
    assert await store.read(lambda tx: tx.manifests.head(OTHER_ID)) == link(1, OTHER_ID)
    assert await store.read(lambda tx: tx.manifests.head(AccountId("none"))) is None
    page = await store.read(lambda tx: tx.manifests.chain(ACCOUNT_ID, after=1, limit=1))
    assert page == links[1:2]
    of_recording = await store.read(lambda tx: tx.manifests.of_recording(REC))
    assert [each.number for each in of_recording] == [1, 2, 3, 1]


async def test_a_place_in_a_chain_is_taken_once(store: SqlStore) -> None:
    await store.write(lambda tx: tx.manifests.add(link(1)))

    with pytest.raises(StoreFailed):
        await store.write(lambda tx: tx.manifests.add(link(1)))


async def test_hidden_values_are_kept_and_erased(store: SqlStore) -> None:
    values = [
        PersonalValue(name="who.called", salt=b"\x00\xff", value="+2"),
        PersonalValue(name="who.caller", salt=b"s", value="é"),
    ]
    await store.write(lambda tx: tx.manifests.add_values(REC, values))
    assert await store.read(lambda tx: tx.manifests.values(REC)) == values

    await store.write(lambda tx: tx.manifests.erase_values(REC))
    assert await store.read(lambda tx: tx.manifests.values(REC)) == []
