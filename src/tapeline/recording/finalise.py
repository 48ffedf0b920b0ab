"""After the last sample: the file moves to its key, the row becomes terminal, the customer is told.

    1  the row says `finalising` and holds every fact about the file      one transaction
    2  the audio, its tracks and what belongs to them move to their keys  durable renames
    3  the row is terminal, its manifest, event and callback are stored   one transaction
    4  the manifest's file is laid beside the audio, the spool folder goes

Each step can be done twice. A crash after 1 or within 2 leaves the audio in the spool or at its
key, and the facts in the row: `recover` goes on from there.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tapeline.domain.error import RecordingNotFound
from tapeline.domain.event import RecordingFinished as RecordingFinishedEvent
from tapeline.domain.id import RecordingId
from tapeline.domain.port import Clock, RecordingStore, SpoolTools, Store, Transaction
from tapeline.domain.recording import (
    TERMINAL_STATES,
    Health,
    HealthNote,
    Recording,
    RecordingState,
)
from tapeline.domain.signal import RecordingFinished, RepairReport
from tapeline.proof import AudioEvidence
from tapeline.recording.events import recording_event
from tapeline.recording.facts import (
    WRITER_FAILED,
    Facts,
    of_finished,
    of_repair,
    terminal,
    with_facts,
)
from tapeline.recording.prove import Prover
from tapeline.recording.tracks import FOLDER as TRACKS_FOLDER
from tapeline.recording.tracks import track_folder, tracks_of

AUDIO = "audio.part"
COMPANIONS = ("journal.jsonl", "blocks.sha256")
"""What the core writes beside the audio; kept beside it, as `RECORDING.journal.jsonl`."""

TRACKS_LOST = HealthNote(flag=Health.DEGRADED, reason="tracks_lost")


def companion_keys(storage_key: str) -> dict[str, str]:
    """Where what belongs to a recording lies beside its audio, by its name in the spool."""
    stem = storage_key.rpartition(".")[0]
    return {name: f"{stem}.{name}" for name in COMPANIONS}


class Finaliser:
    """Wired by `node`; called by the dispatcher of signals, and by `recover` at the start."""

    def __init__(  # noqa: PLR0913 what it stands on
        self,
        *,
        store: Store,
        files: RecordingStore,
        tools: SpoolTools,
        prover: Prover,
        clock: Clock,
        spool: Path,
        link_of: Callable[[Recording], str],
    ) -> None:
        self.store = store
        self.prover = prover
        self.files = files
        self.tools = tools
        self.spool = spool
        self._clock = clock
        self._link_of = link_of

    async def finalise(self, recording_id: RecordingId, finished: RecordingFinished) -> Recording:
        """The core has closed the file. Raises RecordingNotFound, OSError, StoreFailed."""
        facts = of_finished(finished)
        if not finished.sha256 and finished.reason == WRITER_FAILED:
            # The writer gave the file up as it was: make it playable before it is shown.
            facts = of_repair(await self.repair(recording_id), cause=WRITER_FAILED)
        return await self.settle(recording_id, facts)

    async def repair(self, recording_id: RecordingId) -> RepairReport:
        """Makes what lies in the spool playable. Raises OSError."""
        return await asyncio.to_thread(self.tools.repair, str(self.folder(recording_id)))

    def folder(self, recording_id: RecordingId) -> Path:
        return self.spool / recording_id

    async def settle(self, recording_id: RecordingId, facts: Facts) -> Recording:
        """Steps 1 to 4."""
        row = await self.store.write(lambda tx: _note_facts(tx, recording_id, facts))
        return row if row.state in TERMINAL_STATES else await self.conclude(row)

    async def conclude(self, row: Recording) -> Recording:
        """Steps 2 to 4, for a row that holds its facts."""
        folder = self.folder(row.id)
        lost: frozenset[int] = frozenset()
        if row.sample_count > 0:
            await self._move(folder, row.storage_key)
            lost = await self._move_tracks(row, folder)
        tracks = await self.store.read(lambda tx: tx.tracks.of_recording(row.id))
        evidence = await self.prover.gather(row, [t for t in tracks if t.number not in lost])
        done = await self.store.write(lambda tx: self._finish(tx, row.id, lost, evidence))
        await self.prover.lay_document(done)
        if done.state is not RecordingState.FAILED:  # what could not be used stays for people
            await asyncio.to_thread(clear_spool, folder)
        return done

    async def _move_tracks(self, row: Recording, folder: Path) -> frozenset[int]:
        """After the recording's own audio: as long as that lies in the spool, all of them do.
        Returns the numbers of those that lie nowhere.
        """
        lost = set()
        for track in await self.store.read(lambda tx: tx.tracks.of_recording(row.id)):
            try:
                await self._move(track_folder(folder, track.number), track.storage_key)
            except FileNotFoundError:
                lost.add(track.number)
        return frozenset(lost)

    async def _move(self, folder: Path, key: str) -> None:
        """The audio goes first: as long as it lies in the spool, its journal does too."""
        try:
            await self.files.put(folder / AUDIO, key)
        except FileNotFoundError:
            if await self.files.size(key) is None:
                raise
        for name, target in companion_keys(key).items():
            with suppress(FileNotFoundError):
                await self.files.put(folder / name, target)

    def _finish(
        self,
        tx: Transaction,
        recording_id: RecordingId,
        lost: frozenset[int],
        evidence: Mapping[int, AudioEvidence],
    ) -> Recording:
        row = _row(tx, recording_id)
        if row.state in TERMINAL_STATES:
            return row
        if lost:
            kept = [each for each in tx.tracks.of_recording(row.id) if each.number not in lost]
            tx.tracks.replace(row.id, kept)
            row = replace(row, health=(*row.health, TRACKS_LOST))
        done = terminal(row)
        tx.recordings.update(done)
        now_ms = self._clock.now_ms()
        self.prover.add_recording(tx, done, evidence, now_ms)
        tx.emit(recording_event(tx, RecordingFinishedEvent, done, now_ms, self._link_of(done)))
        return done


def _note_facts(tx: Transaction, recording_id: RecordingId, facts: Facts) -> Recording:
    row = _row(tx, recording_id)
    if row.state in TERMINAL_STATES:
        return row
    known = with_facts(row, facts)
    tx.recordings.update(known)
    tx.tracks.replace(known.id, tracks_of(tx, known, facts.tracks))
    return known


def _row(tx: Transaction, recording_id: RecordingId) -> Recording:
    row = tx.recordings.get(recording_id)
    if row is None:
        raise RecordingNotFound(recording_id)
    return row


def clear_spool(folder: Path) -> None:
    """Removes what is left of a finalised recording's folder; anything unknown in it stays."""
    tracks = folder / TRACKS_FOLDER
    inner = sorted(tracks.iterdir()) if tracks.is_dir() else []
    for each in (*inner, tracks, folder):
        for name in (*COMPANIONS, AUDIO):
            with suppress(FileNotFoundError, NotADirectoryError):
                (each / name).unlink()
        with suppress(OSError):
            each.rmdir()


def is_concluded_but_for_its_row(row: Recording, folder: Path) -> bool:
    """The audio has left the spool, the row knows all of it and not yet that it arrived."""
    return (
        row.state is RecordingState.FINALISING
        and row.sample_count > 0
        and not (folder / AUDIO).exists()
    )
