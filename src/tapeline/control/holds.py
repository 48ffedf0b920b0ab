"""What forbids a recording's deletion, and its own due date."""

from collections.abc import Callable
from dataclasses import replace

from tapeline.control.parts import Parts
from tapeline.control.recordings.kept import own_recording
from tapeline.domain.command import GetKeeping, HoldRecording, KeepRecording, ReleaseRecording
from tapeline.domain.error import Conflict, MissingValue
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.keeping import Keeping, Word
from tapeline.domain.port import Transaction


async def hold_recording(parts: Parts, command: HoldRecording) -> Keeping:
    if not command.because.strip():
        raise MissingValue("because")
    by = command.by or command.account_id or "operator"
    word = Word(by=by, because=command.because, at_ms=parts.clock.now_ms())

    def change(kept: Keeping) -> Keeping:
        if kept.deletion is not None:
            raise Conflict(f"recording {kept.recording_id} is being deleted already")
        return replace(kept, hold=word)

    return await _change(parts, command.account_id, command.recording_id, change)


async def release_recording(parts: Parts, command: ReleaseRecording) -> Keeping:
    return await _change(
        parts, command.account_id, command.recording_id, lambda kept: replace(kept, hold=None)
    )


async def keep_recording(parts: Parts, command: KeepRecording) -> Keeping:
    return await _change(
        parts,
        command.account_id,
        command.recording_id,
        lambda kept: replace(kept, delete_at_ms=command.until_ms),
    )


async def get_keeping(parts: Parts, command: GetKeeping) -> Keeping:
    def work(tx: Transaction) -> Keeping:
        own_recording(tx, command.account_id, command.recording_id)
        return tx.keeping.get(command.recording_id)

    return await parts.store.read(work)


async def _change(
    parts: Parts,
    account_id: AccountId | None,
    recording_id: RecordingId,
    change: Callable[[Keeping], Keeping],
) -> Keeping:
    def work(tx: Transaction) -> Keeping:
        own_recording(tx, account_id, recording_id)
        changed = change(tx.keeping.get(recording_id))
        tx.keeping.put(changed)
        return changed

    return await parts.store.write(work)
