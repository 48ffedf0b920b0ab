"""Recordings as rows and files: read, listed, deleted."""

from dataclasses import replace

from tapeline.control.parts import Parts
from tapeline.control.recordings.finish import has_finished
from tapeline.control.recordings.stop import stop_recorder
from tapeline.domain import event
from tapeline.domain.account import Account, LinkPolicy
from tapeline.domain.call import Call
from tapeline.domain.command import (
    DeleteRecording,
    DeleteRecordings,
    GetRecording,
    ListRecordings,
    RecordingPage,
    RecordingView,
    TrackView,
)
from tapeline.domain.error import AccountNotFound, RecordingNotFound, Unavailable
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import TERMINAL_STATES, Recording, RecordingState, Track
from tapeline.recording import companion_keys, recording_event, side_of


def view(parts: Parts, account: Account, recording: Recording, call: Call | None) -> RecordingView:
    link = parts.link_of(recording)
    if account.settings.link_policy is LinkPolicy.SIGNED:
        link = parts.sign_link(link, account, parts.clock.now_ms())
    return RecordingView(recording=recording, link=link, call=call)


def _call_of(tx: Transaction, recording: Recording) -> Call | None:
    return None if recording.call_id is None else tx.calls.get(recording.call_id)


async def list_recordings(parts: Parts, command: ListRecordings) -> RecordingPage:
    def work(tx: Transaction) -> RecordingPage:
        found, total = tx.recordings.list(
            command.account_id, command.filter, limit=command.limit, offset=command.offset
        )
        accounts = {row.account_id: tx.accounts.get(row.account_id) for row in found}
        return RecordingPage(
            views=tuple(
                view(parts, account, row, _call_of(tx, row))
                for row in found
                if (account := accounts[row.account_id]) is not None
            ),
            total=total,
            limit=command.limit,
            offset=command.offset,
        )

    return await parts.store.read(work)


async def get_recording(parts: Parts, command: GetRecording) -> RecordingView:
    def work(tx: Transaction) -> RecordingView:
        account, recording = own_recording(tx, command.account_id, command.recording_id)
        found = view(parts, account, recording, _call_of(tx, recording))
        tracks = tuple(
            _track_view(parts, account, found, track)
            for track in tx.tracks.of_recording(recording.id)
        )
        return replace(found, tracks=tracks)

    return await parts.store.read(work)


def _track_view(parts: Parts, account: Account, of: RecordingView, track: Track) -> TrackView:
    link = parts.track_link_of(of.recording, track)
    if account.settings.link_policy is LinkPolicy.SIGNED:
        link = parts.sign_link(link, account, parts.clock.now_ms())
    return TrackView(track=track, link=link, side=side_of(of.recording, track.number))


def own_recording(
    tx: Transaction, account_id: AccountId | None, recording_id: RecordingId
) -> tuple[Account, Recording]:
    """Another account's (None: nobody's) and deleted ones are not found."""
    recording = tx.recordings.get(recording_id)
    if (
        recording is None
        or (account_id is not None and recording.account_id != account_id)
        or recording.state is RecordingState.DELETED
    ):
        raise RecordingNotFound(recording_id)
    account = tx.accounts.get(recording.account_id)
    if account is None:
        raise AccountNotFound(recording.account_id)
    return account, recording


async def delete_recordings(parts: Parts, command: DeleteRecordings) -> tuple[RecordingId, ...]:
    deleted = []
    for recording_id in dict.fromkeys(command.recording_ids):
        one = DeleteRecording(
            account_id=command.account_id, recording_id=recording_id, because=command.because
        )
        try:
            await delete_recording(parts, one)
        except RecordingNotFound:
            continue
        deleted.append(recording_id)
    return tuple(deleted)


async def delete_recording(parts: Parts, command: DeleteRecording) -> RecordingView:
    """The bytes go first: whoever gets no answer finds the row and asks again."""
    key = (command.account_id, command.recording_id)
    await parts.store.read(lambda tx: own_recording(tx, *key))
    live = parts.live.recordings.get(command.recording_id)
    if live is not None:
        async with live.target.recording_lock:
            await stop_recorder(parts, live)
        await has_finished(live)
    _account, recording = await parts.store.read(lambda tx: own_recording(tx, *key))
    if recording.state not in TERMINAL_STATES:
        raise Unavailable(f"recording {recording.id} is still being finished; try again")
    tracks = await parts.store.read(lambda tx: tx.tracks.of_recording(recording.id))
    for audio in (recording.storage_key, *(track.storage_key for track in tracks)):
        for storage_key in (audio, *companion_keys(audio).values()):
            await parts.files.delete(storage_key)
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> RecordingView:
        account, row = own_recording(tx, *key)
        deleted = replace(
            row,
            state=RecordingState.DELETED,
            deleted_at_ms=now_ms,
            deleted_because=command.because,
        )
        tx.recordings.update(deleted)
        tx.tracks.replace(deleted.id, ())
        link = parts.link_of(deleted)
        tx.emit(recording_event(tx, event.RecordingDeleted, deleted, now_ms, link))
        return view(parts, account, deleted, _call_of(tx, deleted))

    return await parts.store.write(work)
