"""What each step of a recording's workflow does, when it is tried again, and when it is stuck.

    the recording is finished ─┐ same transaction
    work row: pending, store ──┘        store ─▶ transcribe ─▶ release ─▶ done
                                          └── out of tries: stuck(step, reason) ── retry ─▶ pending

Nothing here sleeps or keeps anything in memory: `attempt` does a step once and says what follows.
How it is made durable is `domain.port.Workflows`' matter.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from tapeline.domain.error import Conflict, RecordingNotFound, TapelineError
from tapeline.domain.event import Event, RecordingFinished
from tapeline.domain.id import EpochMs, RecordingId
from tapeline.domain.port import Clock, Store, Transaction
from tapeline.domain.recording import RecordingState
from tapeline.domain.storage import Stored
from tapeline.domain.transcript import TranscriptState
from tapeline.domain.work import Step, Work, WorkState
from tapeline.pipeline.storing import BytesLost
from tapeline.telemetry import Bugs, get_logger

_log = get_logger(__name__)

WAITS_S = (5.0, 30.0, 120.0, 600.0, 1800.0, *(3600.0,) * 23)
"""Between the tries of a step: a store may be down for a day."""

Run = Callable[[RecordingId], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwork:
    """Made by `node`; `store.subscribe(in_transaction=afterwork.stage)`."""

    store: Store
    clock: Clock
    steps: Mapping[Step, Run]
    bugs: Bugs
    wake: Callable[[RecordingId], None]
    """There is new work; called on the event loop, after the commit."""
    count: Callable[[str], None] = lambda _name: None
    """Told `works_done`, `works_stuck`, `work_tries_failed`."""
    waits_s: tuple[float, ...] = WAITS_S

    def stage(self, tx: Transaction, event: Event) -> None:
        """A finished recording's bucket is settled now; without one, and without words to be
        heard, nothing follows its end.
        """
        if not isinstance(event, RecordingFinished):
            return
        recording = event.recording
        bucket = tx.buckets.current(recording.account_id)
        has_bytes = recording.state is RecordingState.COMPLETED and recording.byte_count > 0
        if bucket is not None and has_bytes:
            tx.stored.add(
                Stored(recording_id=recording.id, bucket_id=bucket.id, changed_at_ms=event.at_ms)
            )
        elif recording.options.transcription is None:
            return
        begin_work(tx, recording.id, event.at_ms)
        tx.on_commit(lambda: self.wake(recording.id))

    async def attempt(self, recording_id: RecordingId, step: Step, tries: int) -> float | None:
        """Does the step; how long to wait before it is done again after `tries` failures, None
        when it succeeded, a negative number when it is stuck.
        """
        try:
            await self.steps[step](recording_id)
            await self._succeeded(recording_id, step)
        except (TapelineError, BytesLost, OSError) as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  one recording must not end all
            self.bugs.add(f"{step} of a recording", error)
            reason = f"a fault of ours: {type(error).__name__}"
        else:
            return None
        return await self._failed(recording_id, step, tries, reason)

    async def _succeeded(self, recording_id: RecordingId, step: Step) -> None:
        now_ms = self.clock.now_ms()
        following = _after(step)

        def work(tx: Transaction) -> Work | None:
            row = tx.works.get(recording_id)
            if row is None or row.state is not WorkState.PENDING:
                return None
            row = replace(row, tries=0, reason=None, changed_at_ms=now_ms)
            if following is not None:
                tx.works.update(replace(row, step=following))
                return None
            if _has_words_to_come(tx, recording_id):  # asked for while this went on
                tx.works.update(replace(row, step=Step.STORE, round=row.round + 1))
                tx.on_commit(lambda: self.wake(recording_id))
                return None
            tx.works.update(done := replace(row, state=WorkState.DONE))
            return done

        if await self.store.write(work) is not None:
            self.count("works_done")

    async def _failed(
        self, recording_id: RecordingId, step: Step, tries: int, reason: str
    ) -> float:
        """In the row, the log and the counters. The database may be what failed: then this try is
        told in the log only.
        """
        wait_s = self.waits_s[tries] if tries < len(self.waits_s) else -1.0
        now_ms = self.clock.now_ms()
        state = WorkState.PENDING if wait_s >= 0 else WorkState.STUCK

        def work(tx: Transaction) -> None:
            row = tx.works.get(recording_id)
            if row is not None and row.state is WorkState.PENDING:
                tx.works.update(
                    replace(
                        row,
                        state=state,
                        step=step,
                        tries=tries + 1,
                        reason=reason,
                        changed_at_ms=now_ms,
                    )
                )

        facts = {"recording": recording_id, "step": step, "reason": reason, "tries": tries + 1}
        try:
            await self.store.write(work)
        except TapelineError as error:
            # Never stuck without a row that says so.
            _log.error("work_not_noted", **facts, fault=str(error))
            return max(wait_s, self.waits_s[-1] if self.waits_s else 0.0)
        self.count("work_tries_failed")
        if state is WorkState.STUCK:
            self.count("works_stuck")
            _log.error("recording_stuck", **facts)
        else:
            _log.warning("recording_step_failed", **facts, wait_s=wait_s)
        return wait_s


def _after(step: Step) -> Step | None:
    order = list(Step)
    place = order.index(step) + 1
    return order[place] if place < len(order) else None


def _has_words_to_come(tx: Transaction, recording_id: RecordingId) -> bool:
    found = tx.transcripts.of_recording(recording_id)
    return found is not None and found.state is TranscriptState.PENDING


def begin_work(tx: Transaction, recording_id: RecordingId, now_ms: EpochMs) -> None:
    """There is something to be done after a recording's end; what is under way goes on."""
    row = tx.works.get(recording_id)
    if row is None:
        tx.works.add(Work(recording_id=recording_id, changed_at_ms=now_ms))
    elif row.state is not WorkState.PENDING:
        tx.works.update(_anew(row, now_ms))


def retry_work(tx: Transaction, recording_id: RecordingId, now_ms: EpochMs) -> Work:
    """What is stuck goes on from its step: the ones before it find their work done. Raises
    RecordingNotFound, Conflict.
    """
    if tx.recordings.get(recording_id) is None:
        raise RecordingNotFound(recording_id)
    row = tx.works.get(recording_id)
    if row is None or row.state is not WorkState.STUCK:
        state = "none" if row is None else row.state.value
        raise Conflict(f"nothing of recording {recording_id} is stuck: its work is {state}")
    tx.works.update(again := replace(_anew(row, now_ms), step=row.step))
    return again


def begin_anew(tx: Transaction, row: Work, now_ms: EpochMs) -> Work | None:
    """A round that ended without its row's knowledge; None when the row has moved on meanwhile."""
    if tx.works.get(row.recording_id) != row:
        return None
    tx.works.update(again := replace(_anew(row, now_ms), step=row.step))
    return again


def _anew(row: Work, now_ms: EpochMs) -> Work:
    return Work(recording_id=row.recording_id, round=row.round + 1, changed_at_ms=now_ms)
