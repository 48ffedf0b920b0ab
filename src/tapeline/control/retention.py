"""Recordings whose time has come are deleted, and deletions that were cut off go on."""

import asyncio

from tapeline.control.parts import Parts
from tapeline.control.recordings.deletion import delete_recording, go_on_deleting
from tapeline.domain.command import DeleteRecording
from tapeline.domain.error import RecordingHeld, RecordingNotFound, TapelineError
from tapeline.domain.id import EpochMs, RecordingId
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

PAUSE_S = 60.0
"""Between two looks: as late as this a recording goes."""
AT_ONCE = 100
"""Recordings of one look, so that a large backlog leaves room for calls."""
DAY_MS = 86_400_000
BY = "retention"


async def watch_retention(parts: Parts) -> None:
    """Until it is cancelled."""
    while True:
        try:
            await delete_what_is_due(parts)
        except TapelineError as error:
            _log.warning("retention_not_looked_at", reason=str(error))
        await asyncio.sleep(PAUSE_S)


async def delete_what_is_due(parts: Parts) -> list[RecordingId]:
    """One look; returns what was deleted. Raises StoreFailed when the rows cannot be read."""
    for kept in await parts.store.read(lambda tx: tx.keeping.begun(limit=AT_ONCE)):
        try:
            await go_on_deleting(parts, kept.recording_id)
        except (TapelineError, OSError) as error:
            _log.warning("deletion_put_off", recording=kept.recording_id, reason=str(error))
    now_ms = parts.clock.now_ms()
    due = await parts.store.read(lambda tx: _due(tx, now_ms))
    return [
        recording_id for recording_id, because in due if await _delete(parts, recording_id, because)
    ]


def _due(tx: Transaction, now_ms: EpochMs) -> list[tuple[RecordingId, str]]:
    found = [(each, "its own date has come") for each in tx.keeping.due(now_ms, limit=AT_ONCE)]
    for account in tx.accounts.all():
        days = account.settings.keep_days
        if days > 0:
            ended_by_ms = EpochMs(now_ms - days * DAY_MS)
            because = f"the account keeps recordings for {days} days"
            left = AT_ONCE - len(found)
            due = tx.keeping.due_of(account.id, ended_by_ms, limit=max(0, left))
            found += [(each, because) for each in due]
    return found


async def _delete(parts: Parts, recording_id: RecordingId, because: str) -> bool:
    command = DeleteRecording(account_id=None, recording_id=recording_id, because=because, by=BY)
    try:
        await delete_recording(parts, command)
    except (RecordingHeld, RecordingNotFound):
        return False  # held or deleted since the look
    except (TapelineError, OSError) as error:
        _log.warning("deletion_put_off", recording=recording_id, reason=str(error))
        return False
    _log.info("recording_deleted", recording=recording_id, because=because)
    return True
