"""Recordings as rows: read and listed."""

from dataclasses import replace
from functools import partial

from tapeline import pipeline
from tapeline.control.parts import Parts
from tapeline.domain.account import Account, LinkPolicy
from tapeline.domain.call import Call
from tapeline.domain.command import (
    GetRecording,
    ListRecordings,
    RecordingPage,
    RecordingView,
    RetryWork,
    TrackView,
)
from tapeline.domain.error import AccountNotFound, RecordingHeld, RecordingNotFound
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import Recording, RecordingState, Track
from tapeline.domain.work import Work
from tapeline.recording import side_of


def view(parts: Parts, account: Account, recording: Recording, call: Call | None) -> RecordingView:
    link = parts.link_of(recording)
    if account.settings.link_policy is LinkPolicy.SIGNED:
        link = parts.sign_link(link, account, parts.clock.now_ms())
    return RecordingView(recording=recording, link=link, call=call)


def call_of(tx: Transaction, recording: Recording) -> Call | None:
    return None if recording.call_id is None else tx.calls.get(recording.call_id)


async def list_recordings(parts: Parts, command: ListRecordings) -> RecordingPage:
    def work(tx: Transaction) -> RecordingPage:
        found, total = tx.recordings.list(
            command.account_id, command.filter, limit=command.limit, offset=command.offset
        )
        accounts = {row.account_id: tx.accounts.get(row.account_id) for row in found}
        return RecordingPage(
            views=tuple(
                view(parts, account, row, call_of(tx, row))
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
        found = view(parts, account, recording, call_of(tx, recording))
        tracks = tuple(
            _track_view(parts, account, found, track)
            for track in tx.tracks.of_recording(recording.id)
        )
        return replace(
            found,
            tracks=tracks,
            stored=tx.stored.get(recording.id),
            work=tx.works.get(recording.id),
        )

    return await parts.store.read(work)


async def retry_work(parts: Parts, command: RetryWork) -> Work:
    def work(tx: Transaction) -> Work:
        own_recording(tx, command.account_id, command.recording_id)
        again = pipeline.retry_work(tx, command.recording_id, parts.clock.now_ms())
        tx.on_commit(partial(parts.wake_work, command.recording_id))
        return again

    return await parts.store.write(work)


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


def refuse_when_held(tx: Transaction, recording_id: RecordingId) -> None:
    """Raises RecordingHeld."""
    hold = tx.keeping.get(recording_id).hold
    if hold is not None:
        raise RecordingHeld(recording_id, hold.because)
