"""At the start: every recording that the last run of this node left open comes to an end.

Call it before the core starts, so that nothing writes into the spool meanwhile.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tapeline.domain.error import TapelineError
from tapeline.domain.id import NodeId, RecordingId
from tapeline.domain.recording import Health, Recording, RecordingEnd, RecordingState
from tapeline.recording.facts import Facts, of_repair
from tapeline.recording.finalise import (
    AUDIO,
    Finaliser,
    clear_spool,
    is_concluded_but_for_its_row,
)
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

AT_A_TIME = 4
"""Repairs that run at once: each reads its whole file."""
NOT_FOUND = Facts(
    sample_count=0,
    rate_hz=0,
    byte_count=0,
    sha256="",
    started_at_ms=None,
    health=(),
    end_reason=RecordingEnd.NODE_LOST,
    trouble="audio not found",
)


@dataclass(slots=True, kw_only=True)
class Recovery:
    """What was found, by recording."""

    recovered: list[RecordingId] = field(default_factory=list)
    completed: list[RecordingId] = field(default_factory=list)
    """Whole: only the last commit was missing."""
    absent: list[RecordingId] = field(default_factory=list)
    failed: list[RecordingId] = field(default_factory=list)
    postponed: list[RecordingId] = field(default_factory=list)
    """The disk or the database refused; the next start tries again."""
    orphans: list[str] = field(default_factory=list)
    """Folders of the spool that belong to no unfinished recording; left as they are."""


async def recover(finaliser: Finaliser, node_id: NodeId) -> Recovery:
    """Finalises what `node_id` left unfinished, and names what nobody owns. Raises
    StoreFailed when the rows cannot be read.
    """
    rows = await finaliser.store.read(lambda tx: tx.recordings.unfinished_of(node_id))
    recovery = Recovery()
    limit = asyncio.Semaphore(AT_A_TIME)

    async def one(row: Recording) -> None:
        async with limit:
            await _recover_one(finaliser, row, recovery)

    await asyncio.gather(*(one(row) for row in rows))
    recovery.orphans = await _orphans(finaliser, {row.id for row in rows})
    return recovery


async def _recover_one(finaliser: Finaliser, row: Recording, recovery: Recovery) -> None:
    try:
        done = await _bring_to_end(finaliser, row)
    except (OSError, ValueError, TapelineError) as error:
        recovery.postponed.append(row.id)
        _log.error("recording_not_recovered", recording=row.id, reason=str(error))
        return
    _list_for(done, recovery).append(done.id)
    _log.info(
        "recording_recovered",
        recording=done.id,
        state=done.state,
        health=done.health_words,
        duration_ms=done.duration_ms,
    )


async def _bring_to_end(finaliser: Finaliser, row: Recording) -> Recording:
    folder = finaliser.folder(row.id)
    if await asyncio.to_thread(is_concluded_but_for_its_row, row, folder):
        if await finaliser.files.size(row.storage_key) == row.byte_count:
            return await finaliser.conclude(row)
        return await finaliser.settle(row.id, NOT_FOUND)
    if not await asyncio.to_thread(folder.is_dir):
        return await finaliser.settle(row.id, NOT_FOUND)
    return await finaliser.settle(row.id, of_repair(await finaliser.repair(row.id)))


def _list_for(done: Recording, recovery: Recovery) -> list[RecordingId]:
    if done.state is RecordingState.ABSENT:
        return recovery.absent
    if done.state is not RecordingState.COMPLETED:
        return recovery.failed
    is_mended = any(note.flag is Health.RECOVERED for note in done.health)
    return recovery.recovered if is_mended else recovery.completed


async def _orphans(finaliser: Finaliser, known: set[RecordingId]) -> list[str]:
    """Also takes the last step of recordings for which it alone was missing."""
    orphans = []
    for name in await asyncio.to_thread(_folders, finaliser.spool):
        recording_id = RecordingId(name)
        if recording_id in known:
            continue
        folder = finaliser.folder(recording_id)
        row = await _row_of(finaliser, recording_id)
        has_audio = await asyncio.to_thread((folder / AUDIO).exists)
        if row is not None and not has_audio:
            if row.state is not RecordingState.DELETED:
                await finaliser.prover.lay_document(row)
            await asyncio.to_thread(clear_spool, folder)
        else:
            orphans.append(name)
            _log.warning("spool_folder_without_owner", folder=name)
    return orphans


async def _row_of(finaliser: Finaliser, recording_id: RecordingId) -> Recording | None:
    return await finaliser.store.read(lambda tx: tx.recordings.get(recording_id))


def _folders(spool: Path) -> Iterable[str]:
    return sorted(entry.name for entry in spool.iterdir() if entry.is_dir())
