"""Use cases about transcripts; `pipeline` makes their words."""

from dataclasses import replace
from functools import partial

from tapeline.control.parts import Parts
from tapeline.control.recordings.kept import own_recording, refuse_when_held
from tapeline.domain.command import (
    DeleteTranscript,
    GetTranscript,
    ListTranscripts,
    TranscribeRecording,
    TranscriptView,
    ViewTranscript,
)
from tapeline.domain.error import Conflict, TranscriptNotFound
from tapeline.domain.id import AccountId, RecordingId, TranscriptId
from tapeline.domain.port import Transaction
from tapeline.domain.recording import TERMINAL_STATES, RecordingState
from tapeline.domain.transcript import Transcript, TranscriptState
from tapeline.pipeline import begin_work, new_transcript


async def transcribe_recording(parts: Parts, command: TranscribeRecording) -> Transcript:
    """What failed may be asked again; who is told is kept with the recording."""

    def work(tx: Transaction) -> Transcript:
        account, recording = own_recording(tx, command.account_id, command.recording_id)
        if recording.state not in TERMINAL_STATES:
            raise Conflict(f"recording {recording.id} is not finished yet; try again when it is")
        made = tx.transcripts.of_recording(recording.id)
        if made is not None and made.state is not TranscriptState.FAILED:
            return made
        options = replace(recording.options, transcription=command.request)
        tx.recordings.update(replace(recording, options=options))
        transcript = new_transcript(recording, account, parts.clock.now_ms())
        tx.transcripts.add(transcript)
        begin_work(tx, recording.id, parts.clock.now_ms())
        tx.on_commit(partial(parts.wake_work, recording.id))
        return transcript

    return await parts.store.write(work)


async def get_transcript(parts: Parts, command: GetTranscript) -> Transcript:
    def work(tx: Transaction) -> Transcript:
        found = None
        if command.transcript_id is not None:
            found = tx.transcripts.get(command.transcript_id)
        elif command.recording_id is not None:
            found = tx.transcripts.of_recording(command.recording_id)
        if (
            found is None
            or found.account_id != command.account_id
            or _is_of_a_deleted_one(tx, found)
        ):
            raise TranscriptNotFound(command.transcript_id or command.recording_id or "")
        return found

    return await parts.store.read(work)


async def view_transcript(parts: Parts, command: ViewTranscript) -> TranscriptView:
    return await parts.store.read(lambda tx: _view(tx, command.account_id, command.name))


async def delete_transcript(parts: Parts, command: DeleteTranscript) -> Transcript:
    def work(tx: Transaction) -> Transcript:
        found = _view(tx, command.account_id, command.name)
        refuse_when_held(tx, found.recording.id)
        tx.transcripts.delete_of(found.recording.id)
        return found.transcript

    return await parts.store.write(work)


def _view(tx: Transaction, account_id: AccountId, name: str) -> TranscriptView:
    found = tx.transcripts.of_recording(RecordingId(name))
    found = found or tx.transcripts.get(TranscriptId(name))
    recording = None if found is None else tx.recordings.get(found.recording_id)
    if (
        found is None
        or recording is None
        or recording.state is RecordingState.DELETED
        or found.account_id != account_id
    ):
        raise TranscriptNotFound(name)
    return TranscriptView(transcript=found, recording=recording)


async def list_transcripts(parts: Parts, command: ListTranscripts) -> tuple[Transcript, ...]:
    """Without those of deleted recordings."""

    def work(tx: Transaction) -> tuple[Transcript, ...]:
        found = tx.transcripts.list(command.account_id, command.recording_id, limit=command.limit)
        return tuple(each for each in found if not _is_of_a_deleted_one(tx, each))

    return await parts.store.read(work)


def _is_of_a_deleted_one(tx: Transaction, transcript: Transcript) -> bool:
    recording = tx.recordings.get(transcript.recording_id)
    return recording is None or recording.state is RecordingState.DELETED
