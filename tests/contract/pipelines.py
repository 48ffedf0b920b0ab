"""A pipeline over real rows, files and a bucket, with a recogniser that only counts; run as a
program it works off what a folder holds until it is killed.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.contract import stores
from tests.contract.s3 import bucket_at

from tapeline.domain.account import Account
from tapeline.domain.event import TranscriptFinished
from tapeline.domain.id import EpochMs, EventId, RecordingId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.recording import (
    Recording,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    TranscriptionRequest,
)
from tapeline.domain.storage import Bucket, Stored
from tapeline.domain.transcript import Transcript
from tapeline.domain.work import Work, WorkState
from tapeline.node import bucket_of
from tapeline.pipeline import Outfit, Pipeline
from tapeline.recording import companion_keys
from tapeline.state import SqlStore, sqlite_url
from tapeline.storage import Buckets, LocalStore, Places
from tapeline.telemetry import Bugs, SystemClock

PATIENCE_S = 40.0


class CountingRecogniser:
    """Takes a while, as one does."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def transcribe(self, audio: Path) -> str:
        await asyncio.sleep(0.005)
        self.heard.append(audio.name)
        return f"{audio.stat().st_size} bytes"  # noqa: ASYNC240 - tiny


@dataclass(frozen=True)
class Bench:
    store: SqlStore
    pipeline: Pipeline
    places: Places
    recogniser: CountingRecogniser
    counted: list[str]

    async def finish(self, *recordings: Recording) -> None:
        """What `recording.finalise` does in its last transaction."""

        def work(tx: Transaction) -> None:
            for each in recordings:
                tx.recordings.add(each)
                tx.emit(stores.finished(f"event-of-{each.id}", each))

        await self.store.write(work)

    async def work(self, recording_id: str) -> Work | None:
        return await self.store.read(lambda tx: tx.works.get(RecordingId(recording_id)))

    async def stored(self, recording_id: str) -> Stored | None:
        return await self.store.read(lambda tx: tx.stored.get(RecordingId(recording_id)))

    async def until(self, recording_id: str, state: WorkState) -> Work:
        """Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while (row := await self.work(recording_id)) is None or row.state is not state:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return row

    def here(self, of: Recording) -> bool:
        return self.places.local.path(of.storage_key).exists()


def recorded(
    folder: Path, recording_id: str, content: bytes, *, has_words: bool = False
) -> Recording:
    """A finished recording whose file, with its journal, lies in the folder."""
    row = stores.recording(recording_id, state=RecordingState.COMPLETED)
    path = folder / "recordings" / row.storage_key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    Path(str(path).replace(".wav", ".journal.jsonl")).write_text("{}\n")
    return replace(
        row,
        options=RecordingOptions(
            format=RecordingFormat.WAV,
            transcription=TranscriptionRequest() if has_words else None,
        ),
        sample_count=8_000,
        byte_count=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _event(
    tx: Transaction, transcript: Transcript, recording: Recording, at_ms: EpochMs
) -> TranscriptFinished:
    account: Account | None = tx.accounts.get(recording.account_id)
    assert account is not None
    return TranscriptFinished(
        id=EventId(new_uuid()),
        at_ms=at_ms,
        account=account,
        recording=recording,
        link="http://node/x",
        transcript=transcript,
    )


@asynccontextmanager
async def open_pipeline(
    folder: Path,
    *,
    bucket: Bucket | None = None,
    rows: str = "",
    workflows: str = "",
    waits_s: tuple[float, ...] = (0.05,) * 400,
    is_first: bool = True,
    runs: bool = True,
) -> AsyncIterator[Bench]:
    """`rows` and `workflows` are databases' addresses; without them files in the folder."""
    store = await SqlStore.open(rows or folder / "tapeline.db", stores.VAULT)
    if is_first:
        await store.write(stores.add_basics)
    if bucket is not None and is_first:
        await store.write(lambda tx: tx.buckets.add(bucket))
    buckets, recogniser = Buckets(), CountingRecogniser()
    places = Places(LocalStore(folder / "recordings"), buckets, partial(bucket_of, store))
    (folder / "recordings").mkdir(exist_ok=True)
    counted: list[str] = []
    pipeline = Pipeline(
        Outfit(
            store=store,
            files=places,
            open_bucket=buckets.open,
            companions_of=companion_keys,
            recogniser=recogniser,
            make_event=_event,
            clock=SystemClock(),
            node_id=stores.NODE,
            bugs=Bugs(),
            count=counted.append,
            database_url=workflows or sqlite_url(folder / "workflows.db"),
            waits_s=waits_s,
            scan_every_s=0.5,
        )
    )
    task = None
    if runs:
        await pipeline.open()
        task = asyncio.create_task(pipeline.run())
    try:
        yield Bench(store, pipeline, places, recogniser, counted)
    finally:
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await pipeline.close()
        await store.close()


async def _main(folder: Path, port: int, rows: str, workflows: str) -> None:
    async with open_pipeline(
        folder, bucket=bucket_at(port), rows=rows, workflows=workflows, is_first=False
    ) as bench:
        print("open", flush=True)  # noqa: T201
        while await bench.store.read(lambda tx: tx.works.counts()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    print("done", flush=True)  # noqa: T201
    os._exit(0)  # the databases' threads are nobody's matter any more


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
