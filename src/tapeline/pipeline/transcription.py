"""Transcription: from a finished recording that asked for it to its words.

    the recording is finished ─┐ same transaction
    transcript row: pending ───┘        ─── a step of the recording's workflow
        done(text) | refused(limit) | failed(reason)     one transaction with the event

One recording at a time, whatever waits: live calls come first. What a crash cuts off is pending
still and is done again; the row moves once, so the event and its callback come once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from tapeline.domain.account import Account
from tapeline.domain.error import RecogniserFailed
from tapeline.domain.event import Event, RecordingDeleted, RecordingFinished, TranscriptFinished
from tapeline.domain.id import EpochMs, RecordingId, TranscriptId, new_uuid
from tapeline.domain.port import Clock, Recogniser, Store, Transaction
from tapeline.domain.recording import Recording, RecordingState
from tapeline.domain.transcript import Transcript, TranscriptLimit, TranscriptState
from tapeline.telemetry import Bugs, get_logger

_log = get_logger(__name__)

SHORTEST_MS = 500
LONGEST_MS = 4 * 3600 * 1000
LARGEST_BYTES = 2_000_000_000
PAUSES_S = (1.0, 15.0)
"""Between the tries of one recording; after the last it has failed."""
_ALL = 10_000

MakeEvent = Callable[[Transaction, Transcript, Recording, EpochMs], TranscriptFinished]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a pending transcript."""

    state: TranscriptState
    text: str = ""
    limit: TranscriptLimit | None = None
    reason: str | None = None


def new_transcript(recording: Recording, account: Account, now_ms: EpochMs) -> Transcript:
    """Pending, at the account's present price."""
    return Transcript(
        id=TranscriptId(new_uuid()),
        recording_id=recording.id,
        account_id=recording.account_id,
        state=TranscriptState.PENDING,
        duration_ms=recording.duration_ms,
        rate=account.settings.transcription_rate,
        created_at_ms=now_ms,
    )


def limit_against(recording: Recording) -> TranscriptLimit | None:
    """500 ms < duration < 4 h, file < 2 GB, as the vendors document; None when it keeps to
    them.
    """
    if recording.duration_ms <= SHORTEST_MS:
        return TranscriptLimit.TOO_SHORT
    if recording.duration_ms >= LONGEST_MS:
        return TranscriptLimit.TOO_LONG
    if recording.byte_count >= LARGEST_BYTES:
        return TranscriptLimit.TOO_LARGE
    return None


def verdict_without_hearing(recording: Recording | None) -> Verdict | None:
    """For what need not, or cannot, be listened to; None for everything else."""
    if recording is None or recording.state is RecordingState.DELETED:
        return _failed("the recording was deleted")
    if recording.state is RecordingState.FAILED:
        return _failed("the recording failed")
    limit = limit_against(recording)
    if limit is not None:
        return Verdict(state=TranscriptState.REFUSED, limit=limit)
    return None


def _failed(reason: str) -> Verdict:
    return Verdict(state=TranscriptState.FAILED, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a transcriber works with."""

    store: Store
    recogniser: Recogniser | None
    """None: transcription is switched off here, and every one fails."""
    clock: Clock
    open_file: Callable[[str], AbstractAsyncContextManager[Path]]
    """A storage key's bytes as a file, wherever they lie. Raises FileNotFoundError, OSError,
    DestinationFault.
    """
    make_event: MakeEvent
    bugs: Bugs
    count: Callable[[str], None] = lambda _name: None
    """Told `transcripts_done`, `_refused`, `_failed`."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


class Transcriber:
    """`store.subscribe(in_transaction=transcriber.stage)`, before what starts workflows."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._turn = asyncio.Lock()

    def stage(self, tx: Transaction, event: Event) -> None:
        """Puts a finished recording that asked for it in line; forgets a deleted one's words."""
        match event:
            case RecordingFinished() if event.recording.options.transcription is not None:
                tx.transcripts.add(new_transcript(event.recording, event.account, event.at_ms))
            case RecordingDeleted():
                self._forget(tx, event.recording.id)

    async def transcribe(self, recording_id: RecordingId) -> None:
        """Settles what is pending of that recording, in its turn. Raises StoreFailed,
        DestinationFault, OSError.
        """
        async with self._turn:
            transcript = await self._tools.store.read(
                lambda tx: tx.transcripts.of_recording(recording_id)
            )
            if transcript is not None and transcript.state is TranscriptState.PENDING:
                await self._settle(transcript)

    async def _settle(self, transcript: Transcript) -> None:
        recording = await self._tools.store.read(
            lambda tx: tx.recordings.get(transcript.recording_id)
        )
        verdict = verdict_without_hearing(recording)
        if verdict is None and recording is not None:
            verdict = await self._listen(recording)
        settled = verdict or _failed("the recording was deleted")
        done = await self._tools.store.write(lambda tx: self._close(tx, transcript.id, settled))
        if done is None:
            return
        self._tools.count(f"transcripts_{done.state}")
        _log.info(
            "transcript_finished",
            transcript=done.id,
            recording=done.recording_id,
            state=done.state,
            limit=done.limit,
            reason=done.reason,
        )

    async def _listen(self, recording: Recording) -> Verdict:
        if self._tools.recogniser is None:
            return _failed("transcription is switched off on this node")
        async with self._tools.open_file(recording.storage_key) as path:
            return await self._hear(self._tools.recogniser, recording, path)

    async def _hear(self, recogniser: Recogniser, recording: Recording, path: Path) -> Verdict:
        reason = ""
        for pause_s in (*PAUSES_S, None):
            try:
                text = await recogniser.transcribe(path)
            except RecogniserFailed as error:
                reason = str(error)
                _log.warning("recording_not_recognised", recording=recording.id, reason=reason)
            except Exception as error:  # noqa: BLE001  one recording must not end all
                reason = "the recogniser failed"
                self._tools.bugs.add("recogniser", error)
            else:
                return Verdict(state=TranscriptState.DONE, text=text)
            if pause_s is not None:
                await self._tools.pause(pause_s)
        return _failed(reason)

    def _close(
        self, tx: Transaction, transcript_id: TranscriptId, verdict: Verdict
    ) -> Transcript | None:
        """The row's one move, with its event; None when it is no longer pending."""
        row = tx.transcripts.get(transcript_id)
        if row is None or row.state is not TranscriptState.PENDING:
            return None
        now_ms = self._tools.clock.now_ms()
        done = replace(
            row,
            state=verdict.state,
            text=verdict.text,
            limit=verdict.limit,
            reason=verdict.reason,
            finished_at_ms=now_ms,
        )
        tx.transcripts.update(done)
        recording = tx.recordings.get(row.recording_id)
        if recording is not None:
            tx.emit(self._tools.make_event(tx, done, recording, now_ms))
        return done

    def _forget(self, tx: Transaction, recording_id: RecordingId) -> None:
        for transcript in tx.transcripts.list(None, recording_id, limit=_ALL):
            if transcript.state is TranscriptState.PENDING:
                self._close(tx, transcript.id, _failed("the recording was deleted"))
            elif transcript.text:
                tx.transcripts.update(replace(transcript, text=""))
