import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.contract import stores

from tapeline.domain.account import AccountSettings
from tapeline.domain.error import RecogniserFailed
from tapeline.domain.event import Event, RecordingDeleted, TranscriptFinished
from tapeline.domain.id import EpochMs, EventId, RecordingId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.recording import (
    Recording,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    TranscriptionRequest,
)
from tapeline.domain.transcript import Transcript, TranscriptLimit, TranscriptState
from tapeline.pipeline.transcription import PAUSES_S, Tools, Transcriber, limit_against
from tapeline.state import SqlStore
from tapeline.telemetry import Bugs

ASKED = RecordingOptions(format=RecordingFormat.WAV, transcription=TranscriptionRequest())
NOW_MS = EpochMs(1_000_000)
LIMIT_S = 10.0


class ScriptedRecogniser:
    """Says what it is told to, file by file; the last answer for ever."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = deque(answers or ["hello"])
        self.heard: list[Path] = []
        self.at_once = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None
        self.called = asyncio.Event()

    async def transcribe(self, audio: Path) -> str:
        self.heard.append(audio)
        self.called.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class FixedClock:
    def now_ms(self) -> EpochMs:
        return NOW_MS


class ExpectedBugs(Bugs):
    """Counts without failing the test that provokes them."""

    def add(self, where: str, error: BaseException) -> None:
        self.seen.append(f"{where}: {error!r}")


def make_event(
    tx: Transaction, transcript: Transcript, recording: Recording, at_ms: EpochMs
) -> TranscriptFinished:
    account = tx.accounts.get(recording.account_id)
    assert account is not None
    return TranscriptFinished(
        id=EventId(new_uuid()),
        at_ms=at_ms,
        account=account,
        recording=recording,
        link="http://node/x",
        transcript=transcript,
    )


def recording(recording_id: str = "rec-1", *, seconds: float = 61.0) -> Recording:
    return replace(
        stores.recording(recording_id, state=RecordingState.COMPLETED),
        options=ASKED,
        sample_count=round(seconds * 8_000),
        byte_count=round(seconds * 16_000),
    )


@dataclass
class Bench:
    store: SqlStore
    recogniser: ScriptedRecogniser
    transcriber: Transcriber
    bugs: Bugs
    counted: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    told: list[TranscriptFinished] = field(default_factory=list)

    async def finish(self, *recordings: Recording) -> None:
        """What `recording.finalise` does in its last transaction."""

        def work(tx: Transaction) -> None:
            for each in recordings:
                tx.recordings.add(each)
                event = stores.finished(f"event-of-{each.id}", each)
                tx.emit(replace(event, account=tx.accounts.get(each.account_id) or event.account))

        await self.store.write(work)

    async def work_off(self) -> None:
        """What the workflows of all recordings do, oldest first."""
        while waiting := await self.store.read(lambda tx: tx.transcripts.pending(1)):
            await self.transcriber.transcribe(waiting[0].recording_id)

    async def delete(self, recording_id: str) -> None:
        def work(tx: Transaction) -> None:
            row = tx.recordings.get(RecordingId(recording_id))
            assert row is not None
            deleted = replace(row, state=RecordingState.DELETED)
            tx.recordings.update(deleted)
            tx.emit(
                RecordingDeleted(
                    id=EventId(new_uuid()),
                    at_ms=NOW_MS,
                    account=stores.account(),
                    recording=deleted,
                    link="http://node/x",
                )
            )

        await self.store.write(work)

    async def transcript(self, recording_id: str = "rec-1") -> Transcript:
        found = await self.store.read(
            lambda tx: tx.transcripts.of_recording(RecordingId(recording_id))
        )
        assert found is not None
        return found

    def hear(self, events: list[Event]) -> None:
        self.told.extend(each for each in events if isinstance(each, TranscriptFinished))


@asynccontextmanager
async def bench(
    folder: Path,
    recogniser: ScriptedRecogniser | None = None,
    *,
    is_first: bool = True,
    is_switched_off: bool = False,
) -> AsyncIterator[Bench]:
    """A store with one account, and a transcriber that does not run yet."""
    store = await stores.open_sqlite(folder)
    if is_first:
        await store.write(stores.add_basics)
    scripted, bugs = recogniser or ScriptedRecogniser(), ExpectedBugs()
    counted: list[str] = []
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    tools = Tools(
        store=store,
        recogniser=None if is_switched_off else scripted,
        clock=FixedClock(),
        open_file=lambda key: nullcontext(folder / key),
        make_event=make_event,
        bugs=bugs,
        count=counted.append,
        pause=pause,
    )
    transcriber = Transcriber(tools)
    built = Bench(store, scripted, transcriber, bugs, counted, pauses)
    store.subscribe(in_transaction=transcriber.stage, after_commit=lambda e: built.hear(list(e)))
    try:
        yield built
    finally:
        await store.close()


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_recording_that_asked_for_it_has_a_pending_transcript_as_it_finishes(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as built:
        settings = AccountSettings(transcription_rate=0.5)
        priced = replace(stores.account(), settings=settings)
        await built.store.write(lambda tx: tx.accounts.update(priced))

        await built.finish(recording(seconds=61))

        waiting = await built.transcript()
        assert (waiting.state, waiting.text) == (TranscriptState.PENDING, "")
        assert (waiting.duration_ms, waiting.rate, waiting.charge) == (61_000, 0.5, 0.0)
        await built.work_off()
        done = await built.transcript()
        assert (done.id, done.state, done.text) == (waiting.id, TranscriptState.DONE, "hello")
        assert done.finished_at_ms == NOW_MS
        assert done.charge == 1.0  # two begun minutes
        assert built.recogniser.heard == [tmp_path / recording().storage_key]
        assert [event.transcript for event in built.told] == [done]
        assert built.counted == ["transcripts_done"]


async def test_one_that_did_not_ask_has_none(tmp_path: Path) -> None:
    async with bench(tmp_path) as built:
        plain = replace(recording(), options=RecordingOptions())
        await built.finish(plain)

        await built.work_off()

        assert not await built.store.read(lambda tx: tx.transcripts.list(None, None, limit=9))
        assert built.recogniser.heard == []


@pytest.mark.parametrize(
    ("seconds", "byte_count", "limit"),
    [
        (0.0, 0, TranscriptLimit.TOO_SHORT),
        (0.5, 1, TranscriptLimit.TOO_SHORT),
        (0.501, 1, None),
        (4 * 3600 - 0.001, 1, None),
        (4 * 3600, 1, TranscriptLimit.TOO_LONG),
        (5 * 3600, 3_000_000_000, TranscriptLimit.TOO_LONG),
        (60, 1_999_999_999, None),
        (60, 2_000_000_000, TranscriptLimit.TOO_LARGE),
    ],
)
def test_the_limits_are_exclusive(
    seconds: float, byte_count: int, limit: TranscriptLimit | None
) -> None:
    assert limit_against(replace(recording(seconds=seconds), byte_count=byte_count)) is limit


async def test_beyond_a_limit_it_is_refused_unheard_and_told_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as built:
        await built.finish(recording(seconds=0.4))

        await built.work_off()

        refused = await built.transcript()
        assert (refused.state, refused.limit) == (
            TranscriptState.REFUSED,
            TranscriptLimit.TOO_SHORT,
        )
        assert refused.charge == 0.0
        assert built.recogniser.heard == []
        assert [event.transcript for event in built.told] == [refused]


async def test_a_recording_that_failed_fails_its_transcript(tmp_path: Path) -> None:
    async with bench(tmp_path) as built:
        await built.finish(replace(recording(), state=RecordingState.FAILED))

        await built.work_off()

        failed = await built.transcript()
        assert (failed.state, failed.reason) == (TranscriptState.FAILED, "the recording failed")
        assert built.recogniser.heard == []


async def test_silence_is_done_with_an_empty_text(tmp_path: Path) -> None:
    async with bench(tmp_path, ScriptedRecogniser("")) as built:
        await built.finish(recording())

        await built.work_off()

        assert (await built.transcript()).state is TranscriptState.DONE
        assert [event.transcript.text for event in built.told] == [""]


async def test_a_worker_that_dies_is_tried_again(tmp_path: Path) -> None:
    dies = ScriptedRecogniser(RecogniserFailed("the worker died"), "hello again")
    async with bench(tmp_path, dies) as built:
        await built.finish(recording())

        await built.work_off()

        assert (await built.transcript()).text == "hello again"
        assert built.pauses == [PAUSES_S[0]]
        assert len(built.told) == 1


async def test_after_the_last_try_it_has_failed_and_the_next_recording_has_its_turn(
    tmp_path: Path,
) -> None:
    dies = RecogniserFailed("the worker died: status -11")
    async with bench(tmp_path, ScriptedRecogniser(dies, dies, dies, "second")) as built:
        await built.finish(recording("rec-1"), recording("rec-2"))

        await built.work_off()

        failed = await built.transcript("rec-1")
        assert (failed.state, failed.reason) == (
            TranscriptState.FAILED,
            "the worker died: status -11",
        )
        assert (await built.transcript("rec-2")).text == "second"
        assert built.pauses == list(PAUSES_S)
        assert [event.recording.id for event in built.told] == ["rec-1", "rec-2"]
        assert built.counted == ["transcripts_failed", "transcripts_done"]


async def test_a_bug_in_a_recogniser_is_counted_and_ends_no_other_transcript(
    tmp_path: Path,
) -> None:
    bug = ZeroDivisionError("in the test's recogniser")
    async with bench(tmp_path, ScriptedRecogniser(bug, bug, bug, "second")) as built:
        await built.finish(recording("rec-1"), recording("rec-2"))

        await built.work_off()

        assert (await built.transcript("rec-1")).reason == "the recogniser failed"
        assert (await built.transcript("rec-2")).text == "second"
        assert len(built.bugs.seen) == 3


async def test_switched_off_it_fails_at_once(tmp_path: Path) -> None:
    async with bench(tmp_path, is_switched_off=True) as built:
        await built.finish(recording())

        await built.work_off()

        failed = await built.transcript()
        assert failed.reason == "transcription is switched off on this node"
        assert built.pauses == []


async def test_recordings_are_heard_one_after_the_other(tmp_path: Path) -> None:
    async with bench(tmp_path) as built:
        await built.finish(*(recording(f"rec-{n}") for n in range(8)))

        await asyncio.gather(
            *(built.transcriber.transcribe(RecordingId(f"rec-{n}")) for n in range(8))
        )

        assert built.recogniser.most_at_once == 1
        assert len(built.told) == 8


async def test_twice_is_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as built:
        await built.finish(recording())

        await built.transcriber.transcribe(RecordingId("rec-1"))
        await built.transcriber.transcribe(RecordingId("rec-1"))

        assert len(built.recogniser.heard) == len(built.told) == 1


async def test_what_a_stop_cut_off_is_done_at_the_next_start_and_told_once(
    tmp_path: Path,
) -> None:
    hangs = ScriptedRecogniser()
    hangs.hold = asyncio.Event()
    async with bench(tmp_path, hangs) as built:
        await built.finish(recording("rec-1"), recording("rec-2"))
        task = asyncio.create_task(built.work_off())
        await hangs.called.wait()
        await stopped(task)
        assert built.told == []

    async with bench(tmp_path, is_first=False) as again:
        await again.work_off()

        assert [event.recording.id for event in again.told] == ["rec-1", "rec-2"]
        assert len(again.recogniser.heard) == 2


async def test_a_recording_deleted_meanwhile_is_told_once_and_leaves_no_words(
    tmp_path: Path,
) -> None:
    slow = ScriptedRecogniser("words that must not stay")
    slow.hold = asyncio.Event()
    async with bench(tmp_path, slow) as built:
        await built.finish(recording())
        work = asyncio.create_task(built.work_off())
        await slow.called.wait()

        await built.delete("rec-1")
        slow.hold.set()
        await work

        left = await built.transcript()
        assert (left.state, left.text) == (TranscriptState.FAILED, "")
        assert [event.transcript for event in built.told] == [left]


async def test_deleting_a_recording_deletes_its_words(tmp_path: Path) -> None:
    async with bench(tmp_path, ScriptedRecogniser("wordsthatmustnotstay")) as built:
        await built.finish(recording())
        await built.work_off()

        await built.delete("rec-1")

        left = await built.transcript()
        assert (left.state, left.text) == (TranscriptState.DONE, "")
        assert [event.transcript.text for event in built.told] == ["wordsthatmustnotstay"]


async def test_one_that_is_deleted_while_it_is_made_comes_to_nothing(tmp_path: Path) -> None:
    slow = ScriptedRecogniser("words that must not stay")
    slow.hold = asyncio.Event()
    async with bench(tmp_path, slow) as built:
        await built.finish(recording())
        work = asyncio.create_task(built.work_off())
        await slow.called.wait()

        await built.store.write(lambda tx: tx.transcripts.delete_of(RecordingId("rec-1")))
        slow.hold.set()
        await work

        assert not await built.store.read(lambda tx: tx.transcripts.list(None, None, limit=9))
        assert (built.told, built.counted) == ([], [])
