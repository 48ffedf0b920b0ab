"""Recordings go: files, tracks, words and personal values; a signed tombstone stays.

    1  a row says who deletes it and why; a hold forbids it                one transaction
    2  the bytes go, wherever they lie
    3  the row is deleted and bare, the tombstone stands in the chain      one transaction
    4  the links' files are laid without their lists of blocks; the row of step 1 goes as soon as no
       callback about the recording is under way any more

What a crash or a store that refuses leaves is taken up by `control.retention`.
"""

import asyncio
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from tapeline.control.parts import Parts
from tapeline.control.recordings.finish import has_finished
from tapeline.control.recordings.kept import call_of, own_recording, refuse_when_held, view
from tapeline.control.recordings.stop import stop_recorder
from tapeline.domain import event
from tapeline.domain.command import DeleteRecording, DeleteRecordings, RecordingView
from tapeline.domain.error import RecordingNotFound, Unavailable
from tapeline.domain.id import AccountId, EpochMs, RecordingId
from tapeline.domain.keeping import Word
from tapeline.domain.port import Transaction
from tapeline.domain.recording import TERMINAL_STATES, Recording, RecordingState, Track
from tapeline.recording import companion_keys, manifest_key, recording_event


@dataclass(frozen=True, slots=True)
class _Doomed:
    row: Recording
    tracks: tuple[Track, ...]
    word: Word


async def delete_recordings(parts: Parts, command: DeleteRecordings) -> tuple[RecordingId, ...]:
    """All or, when one of them is held, none."""
    wanted = tuple(dict.fromkeys(command.recording_ids))

    def check(tx: Transaction) -> None:
        for recording_id in wanted:
            row = tx.recordings.get(recording_id)
            if row is not None and row.account_id == command.account_id:
                refuse_when_held(tx, recording_id)

    await parts.store.read(check)
    deleted = []
    for recording_id in wanted:
        one = DeleteRecording(
            account_id=command.account_id,
            recording_id=recording_id,
            because=command.because,
            by=command.by,
        )
        try:
            await delete_recording(parts, one)
        except RecordingNotFound:
            continue
        deleted.append(recording_id)
    return tuple(deleted)


async def delete_recording(parts: Parts, command: DeleteRecording) -> RecordingView:
    """Whoever gets no answer finds the row and asks again."""
    key = (command.account_id, command.recording_id)

    def check(tx: Transaction) -> None:
        own_recording(tx, *key)
        refuse_when_held(tx, command.recording_id)

    await parts.store.read(check)
    live = parts.live.recordings.get(command.recording_id)
    if live is not None:
        async with live.target.recording_lock:
            await stop_recorder(parts, live)
        await has_finished(live)
    by = command.by or (f"account {command.account_id}" if command.account_id else "operator")
    word = Word(by=by, because=command.because, at_ms=parts.clock.now_ms())
    doomed = await parts.store.write(lambda tx: _begin(tx, *key, word))
    return await _carry_out(parts, doomed)


async def go_on_deleting(parts: Parts, recording_id: RecordingId) -> None:
    """What was begun and not finished. Raises TapelineError, OSError."""

    def find(tx: Transaction) -> tuple[Recording | None, tuple[Track, ...], Word | None]:
        tracks = tuple(tx.tracks.of_recording(recording_id))
        return tx.recordings.get(recording_id), tracks, tx.keeping.get(recording_id).deletion

    row, tracks, word = await parts.store.read(find)
    if row is None or word is None:
        return
    if row.state is RecordingState.DELETED:
        await _clear(parts, row)
    else:
        await _carry_out(parts, _Doomed(row, tracks, word))


def _begin(
    tx: Transaction, account_id: AccountId | None, recording_id: RecordingId, word: Word
) -> _Doomed:
    _account, row = own_recording(tx, account_id, recording_id)
    if row.state not in TERMINAL_STATES:
        raise Unavailable(f"recording {row.id} is still being finished; try again")
    refuse_when_held(tx, row.id)
    kept = tx.keeping.get(row.id)
    said = kept.deletion or word
    tx.keeping.put(replace(kept, deletion=said))
    return _Doomed(row, tuple(tx.tracks.of_recording(row.id)), said)


async def _carry_out(parts: Parts, doomed: _Doomed) -> RecordingView:
    row = doomed.row
    for audio in (row.storage_key, *(track.storage_key for track in doomed.tracks)):
        for storage_key in (audio, *companion_keys(audio).values()):
            await parts.files.delete(storage_key)
    await parts.files.delete(manifest_key(row.storage_key))
    await asyncio.to_thread(_remove_folder, parts.spool / row.id)
    done = await parts.store.write(lambda tx: _bury(parts, tx, row.id, doomed.word))
    await _clear(parts, row)
    return done


def _remove_folder(folder: Path) -> None:
    """What a failed recording left for people. Raises OSError."""
    if folder.is_dir():
        shutil.rmtree(folder)


def _bury(parts: Parts, tx: Transaction, recording_id: RecordingId, word: Word) -> RecordingView:
    account, row = own_recording(tx, None, recording_id)
    now_ms = parts.clock.now_ms()
    deleted = replace(
        row,
        state=RecordingState.DELETED,
        deleted_at_ms=now_ms,
        deleted_because=word.because,
    )
    answer = view(parts, account, deleted, call_of(tx, deleted))
    bare = _without_persons(deleted)
    tx.recordings.update(bare)
    tx.tracks.replace(row.id, ())
    parts.prover.add_tombstone(tx, row, by=word.by, because=word.because, at_ms=EpochMs(now_ms))
    tx.keeping.erase_traces(row.id)
    # Whoever is told now is told all; step 4 erases what of it is kept.
    tx.emit(recording_event(tx, event.RecordingDeleted, deleted, now_ms, parts.link_of(deleted)))
    return answer


def _without_persons(row: Recording) -> Recording:
    return replace(
        row,
        caller="",
        called="",
        conference_name=None,
        options=replace(row.options, custom_name=None),
        starter=replace(row.starter, extras={}),
    )


async def _clear(parts: Parts, row: Recording) -> None:
    await parts.prover.lay_tombstone(row)

    def work(tx: Transaction) -> None:
        if tx.keeping.erase_traces(row.id) == 0:
            tx.keeping.remove(row.id)

    await parts.store.write(work)
