"""From a recording's end to its bucket and its words: over real rows, files, workflows and S3."""

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import obstore
import pytest
import sqlalchemy as sa
from tests.contract import stores
from tests.contract.pipelines import open_pipeline, recorded
from tests.contract.postgres import fresh_database
from tests.contract.s3 import S3, bucket_at, serve_s3

from tapeline.domain.error import Conflict
from tapeline.domain.id import RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Recording, RecordingState
from tapeline.domain.storage import Place
from tapeline.domain.work import Step, WorkState
from tapeline.pipeline import begin_work, retry_work
from tapeline.storage import RemoteStore

ROOT = Path(__file__).parents[2]
SOUND = b"RIFF" + bytes(range(256)) * 40


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with serve_s3() as server:
        yield server


def keys_in(s3: S3, prefix: str) -> set[str]:
    store = RemoteStore(s3.bucket(prefix=prefix))._store
    listed = obstore.list(store, prefix).collect()
    return {str(each["path"]).removeprefix(prefix + "/") for each in listed}


async def test_a_recording_goes_to_its_bucket_is_heard_and_leaves_the_folder(
    s3: S3, tmp_path: Path
) -> None:
    async with open_pipeline(tmp_path, bucket=s3.bucket(prefix="whole")) as bench:
        row = recorded(tmp_path, "rec-1", SOUND, has_words=True)

        await bench.finish(row)
        await bench.until("rec-1", WorkState.DONE)

        stored = await bench.stored("rec-1")
        assert stored is not None
        assert stored.words == "remote"
        journal = row.storage_key.replace(".wav", ".journal.jsonl")
        assert keys_in(s3, "whole") == {row.storage_key, journal}
        assert not bench.here(row)
        assert await bench.places.read(row.storage_key, offset=0, length=99_999) == SOUND
        assert await bench.places.read(row.storage_key, offset=4, length=3) == b"\x00\x01\x02"
        assert bench.recogniser.heard == ["rec-1.wav"]
        await bench.places.delete(row.storage_key)
        assert keys_in(s3, "whole") == {journal}


async def test_without_a_bucket_and_words_nothing_follows(tmp_path: Path) -> None:
    async with open_pipeline(tmp_path) as bench:
        row = recorded(tmp_path, "rec-1", SOUND)

        await bench.finish(row)

        assert (await bench.work("rec-1"), await bench.stored("rec-1")) == (None, None)
        assert bench.here(row)


async def test_while_the_store_refuses_it_is_pending_with_the_reason_and_goes_up_afterwards(
    tmp_path: Path,
) -> None:
    with serve_s3() as soon_gone:
        port = soon_gone.port
    async with open_pipeline(tmp_path, bucket=bucket_at(port)) as bench:
        row = recorded(tmp_path, "rec-1", SOUND)
        await bench.finish(row)
        async with asyncio.timeout(20):
            while (stored := await bench.stored("rec-1")) is None or stored.reason is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert stored.words == "upload_pending"
        assert "s3://recordings" in stored.reason
        assert bench.here(row)
        assert await bench.places.read(row.storage_key, offset=0, length=4) == b"RIFF"

        with serve_s3(port):
            await bench.until("rec-1", WorkState.DONE)

            assert not bench.here(row)
            assert await bench.places.read(row.storage_key, offset=0, length=99_999) == SOUND


async def test_out_of_tries_it_is_stuck_until_it_is_told_to_go_on(tmp_path: Path) -> None:
    with serve_s3() as soon_gone:
        port = soon_gone.port
    async with open_pipeline(tmp_path, bucket=bucket_at(port), waits_s=(0.01,)) as bench:
        row = recorded(tmp_path, "rec-1", SOUND)
        await bench.finish(row)

        stuck = await bench.until("rec-1", WorkState.STUCK)

        assert (stuck.step, stuck.tries) == (Step.STORE, 2)
        assert stuck.reason
        assert bench.counted.count("works_stuck") == 1
        assert bench.here(row)
        with serve_s3(port):
            now_ms = stuck.changed_at_ms
            await bench.store.write(lambda tx: retry_work(tx, RecordingId("rec-1"), now_ms))
            bench.pipeline.wake(RecordingId("rec-1"))
            await bench.until("rec-1", WorkState.DONE)
            assert not bench.here(row)
        with pytest.raises(Conflict, match="its work is done"):
            await bench.store.write(lambda tx: retry_work(tx, RecordingId("rec-1"), now_ms))


async def test_a_file_that_is_not_what_was_recorded_is_not_sent(s3: S3, tmp_path: Path) -> None:
    async with open_pipeline(tmp_path, bucket=s3.bucket(prefix="bent"), waits_s=()) as bench:
        row = recorded(tmp_path, "rec-1", SOUND)
        bench.places.local.path(row.storage_key).write_bytes(b"bent" + SOUND[4:])

        await bench.finish(row)

        stuck = await bench.until("rec-1", WorkState.STUCK)
        assert "its SHA-256 differs" in (stuck.reason or "")
        assert keys_in(s3, "bent") == set()
        assert bench.here(row)


async def test_what_lies_there_already_and_is_wrong_is_sent_again(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket(prefix="again")
    row = recorded(tmp_path, "rec-1", SOUND)
    half = tmp_path / "half.wav"
    half.write_bytes(SOUND[:100])
    await RemoteStore(bucket).upload(half, row.storage_key)

    async with open_pipeline(tmp_path, bucket=bucket) as bench:
        await bench.finish(row)
        await bench.until("rec-1", WorkState.DONE)

        assert await bench.places.read(row.storage_key, offset=0, length=99_999) == SOUND


async def test_words_asked_for_afterwards_are_heard_from_the_bucket(s3: S3, tmp_path: Path) -> None:
    async with open_pipeline(tmp_path, bucket=s3.bucket(prefix="later")) as bench:
        row = recorded(tmp_path, "rec-1", SOUND)
        await bench.finish(row)
        done = await bench.until("rec-1", WorkState.DONE)

        def ask(tx: Transaction) -> None:
            tx.transcripts.add(stores.transcript("t-1"))
            begin_work(tx, row.id, done.changed_at_ms)

        await bench.store.write(ask)
        bench.pipeline.wake(row.id)

        again = await bench.until("rec-1", WorkState.DONE)
        assert again.round == 2
        words = await bench.store.read(lambda tx: tx.transcripts.of_recording(row.id))
        assert words is not None
        assert words.text == f"{len(SOUND)} bytes"


async def test_what_was_deleted_meanwhile_leaves_nothing_in_the_bucket(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pipeline(tmp_path, bucket=s3.bucket(prefix="gone")) as bench:
        row = recorded(tmp_path, "rec-1", SOUND)
        upload = RemoteStore.upload

        async def deleted_while_it_goes_up(
            self: RemoteStore, source: Path, key: str, *more: object
        ) -> None:
            await upload(self, source, key, *more)  # type: ignore[arg-type]
            gone = replace(row, state=RecordingState.DELETED)
            await bench.store.write(lambda tx: tx.recordings.update(gone))

        monkeypatch.setattr(RemoteStore, "upload", deleted_while_it_goes_up)
        await bench.finish(row)
        await bench.until("rec-1", WorkState.DONE)

        assert keys_in(s3, "gone") == set()


async def test_what_a_stop_cut_off_goes_on_at_the_next_start(tmp_path: Path) -> None:
    with serve_s3() as soon_gone:
        port = soon_gone.port
    row = recorded(tmp_path, "rec-1", SOUND)
    async with open_pipeline(tmp_path, bucket=bucket_at(port), waits_s=(0.01, 60.0)) as bench:
        await bench.finish(row)
        async with asyncio.timeout(20):
            while (work := await bench.work("rec-1")) is None or work.tries < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    with serve_s3(port):
        async with open_pipeline(tmp_path, is_first=False) as bench:
            await bench.until("rec-1", WorkState.DONE)
            assert not bench.here(row)


# Killed for good, in a process of its own.

RECORDINGS = 40
KILLS = 3


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.timeout(300)
async def test_killed_anywhere_it_loses_nothing_and_tells_once(
    s3: S3, tmp_path: Path, database: str
) -> None:
    seed = os.environ.get("KILL_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"KILL_SEED={seed}")  # noqa: T201 - for whom it fails
    chance = random.Random(seed)
    with ExitStack() as stack:
        rows = workflows = ""
        if database == "postgresql":
            rows = workflows = stack.enter_context(fresh_database())
        made = [
            recorded(tmp_path, f"rec-{n}", chance.randbytes(20_000 + n), has_words=True)
            for n in range(RECORDINGS)
        ]
        prefix = f"killed-{database}"
        async with open_pipeline(
            tmp_path, bucket=s3.bucket(prefix=prefix), rows=rows, workflows=workflows, runs=False
        ) as bench:
            await bench.finish(*made)

        for _ in range(KILLS):
            await _run(tmp_path, s3, rows, workflows, kill_after_s=chance.uniform(0.05, 0.5))
        await _run(tmp_path, s3, rows, workflows, kill_after_s=None)

        async with open_pipeline(
            tmp_path, rows=rows, workflows=workflows, is_first=False, runs=False
        ) as bench:
            for row in made:
                await _check(bench.store, row)
            told = await bench.store.read(_told)
        assert sorted(told) == sorted(row.id for row in made)
        audio = {key for key in keys_in(s3, prefix) if key.endswith(".wav")}
        assert audio == {row.storage_key for row in made}
        assert not list((tmp_path / "recordings").rglob("*.wav"))


async def _run(
    folder: Path, s3: S3, rows: str, workflows: str, *, kill_after_s: float | None
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.pipelines",
        str(folder), str(s3.port), rows, workflows,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while await process.stdout.readline() != b"open\n":
        assert process.returncode is None
    if kill_after_s is not None:
        await asyncio.sleep(kill_after_s)
        if process.returncode is None:
            process.kill()
        await process.communicate()
        return
    out, _ = await asyncio.wait_for(process.communicate(), 100)
    assert out.endswith(b"done\n")


async def _check(store: stores.SqlStore, row: Recording) -> None:
    def look(tx: Transaction) -> tuple[object, ...]:
        work, stored = tx.works.get(row.id), tx.stored.get(row.id)
        words = tx.transcripts.of_recording(row.id)
        assert work is not None
        assert stored is not None
        assert words is not None
        return work.state, stored.place, words.text

    found = await store.read(look)
    assert found == (WorkState.DONE, Place.REMOTE, f"{row.byte_count} bytes")


def _told(tx: Transaction) -> list[str]:
    connection = tx.works._connection  # type: ignore[attr-defined]
    query = sa.text("SELECT recording_id FROM events WHERE name = 'transcript_finished'")
    return [row.recording_id for row in connection.execute(query)]
