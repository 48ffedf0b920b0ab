from dataclasses import replace

import pytest
from tests.unit.control.support import NOW_MS, World, set_account

from tapeline.domain.command import (
    ConferenceRef,
    CreateAccount,
    DeleteRecording,
    DeleteTranscript,
    GetTranscript,
    ListTranscripts,
    StartConferenceRecording,
    StopConferenceRecording,
    TranscribeRecording,
    ViewTranscript,
)
from tapeline.domain.error import Conflict, NotFound, RecordingNotFound, TranscriptNotFound
from tapeline.domain.event import RecordingFinished
from tapeline.domain.id import AccountId, RecordingId, TranscriptId
from tapeline.domain.recording import Starter, TranscriptionRequest
from tapeline.domain.transcript import Transcript, TranscriptState

TOLD = TranscriptionRequest(callback_url="https://example.com/words")


async def recorded(node: World, room: str = "blue", *, is_finished: bool = True) -> RecordingId:
    """A recording of a conference with one participant."""
    await node.room_application()
    await node.join(room)
    conference = ConferenceRef(account_id=node.account.id, name=room)
    starter = Starter(dialect="plain", request_id="request-1")
    started = await node.control.execute(
        StartConferenceRecording(conference=conference, starter=starter)
    )
    if is_finished:
        await node.control.execute(StopConferenceRecording(conference=conference, dialect="plain"))
        await node.happened(RecordingFinished)
    return started.recording.id


async def transcribed(node: World, recording_id: RecordingId) -> Transcript:
    return await node.control.execute(
        TranscribeRecording(account_id=node.account.id, recording_id=recording_id, request=TOLD)
    )


async def test_a_finished_recording_can_be_transcribed_and_keeps_who_is_told(node: World) -> None:
    recording_id = await recorded(node)
    await set_account(node, transcription_rate=0.25)

    made = await transcribed(node, recording_id)

    recording = await node.recording(recording_id)
    assert recording.options.transcription == TOLD
    assert (made.state, made.rate, made.created_at_ms) == (TranscriptState.PENDING, 0.25, NOW_MS)
    assert made.duration_ms == recording.duration_ms
    assert await node.store.read(lambda tx: tx.transcripts.pending(9)) == [made]


@pytest.mark.parametrize("by_recording", [True, False])
async def test_a_transcript_is_seen_and_deleted_by_either_id(
    node: World, *, by_recording: bool
) -> None:
    recording_id = await recorded(node)
    made = await transcribed(node, recording_id)
    name = recording_id if by_recording else made.id
    its = {"account_id": node.account.id, "name": name}

    view = await node.control.execute(ViewTranscript(**its))
    with pytest.raises(TranscriptNotFound):
        await node.control.execute(
            DeleteTranscript(account_id=AccountId("MA" + "Z" * 18), name=name)
        )
    await node.control.execute(DeleteTranscript(**its))

    assert (view.transcript, view.recording.id) == (made, recording_id)
    for command in (ViewTranscript(**its), DeleteTranscript(**its)):
        with pytest.raises(TranscriptNotFound):
            await node.control.execute(command)
    assert await node.store.read(lambda tx: tx.transcripts.pending(9)) == []


async def test_a_deleted_recordings_transcript_is_not_seen(node: World) -> None:
    recording_id = await recorded(node)
    await transcribed(node, recording_id)
    its = {"account_id": node.account.id}

    await node.control.execute(DeleteRecording(recording_id=recording_id, **its))

    with pytest.raises(TranscriptNotFound):
        await node.control.execute(ViewTranscript(name=recording_id, **its))


async def test_asking_twice_is_once_until_it_failed(node: World) -> None:
    recording_id = await recorded(node)
    first = await transcribed(node, recording_id)

    assert await transcribed(node, recording_id) == first

    failed = replace(first, state=TranscriptState.FAILED, reason="the worker died")
    await node.store.write(lambda tx: tx.transcripts.update(failed))
    again = await transcribed(node, recording_id)
    assert again.id != first.id
    assert again.state is TranscriptState.PENDING


async def test_one_that_runs_cannot_be_transcribed_yet(node: World) -> None:
    recording_id = await recorded(node, is_finished=False)

    with pytest.raises(Conflict, match="not finished yet"):
        await transcribed(node, recording_id)


async def test_it_is_found_by_its_recording_and_by_its_id_and_listed(node: World) -> None:
    recording_id = await recorded(node)
    made = await transcribed(node, recording_id)
    account_id = node.account.id

    for wanted in (
        GetTranscript(account_id=account_id, recording_id=recording_id),
        GetTranscript(account_id=account_id, transcript_id=made.id),
    ):
        assert await node.control.execute(wanted) == made
    assert await node.control.execute(ListTranscripts(account_id=account_id)) == (made,)
    assert await node.control.execute(ListTranscripts()) == (made,)


async def test_another_account_s_and_unknown_ones_are_not_found(node: World) -> None:
    recording_id = await recorded(node)
    made = await transcribed(node, recording_id)
    stranger = (await node.control.execute(CreateAccount(name="Other"))).account.id
    unknown = RecordingId("unknown")
    asked: list[tuple[AccountId, RecordingId | None, TranscriptId | None]] = [
        (stranger, recording_id, None),
        (stranger, None, made.id),
        (node.account.id, unknown, None),
        (node.account.id, None, TranscriptId("unknown")),
        (node.account.id, None, None),
    ]

    for account_id, of, transcript_id in asked:
        wanted = GetTranscript(account_id=account_id, recording_id=of, transcript_id=transcript_id)
        with pytest.raises(TranscriptNotFound):
            await node.control.execute(wanted)
    for account_id, of in ((stranger, recording_id), (node.account.id, unknown)):
        with pytest.raises(RecordingNotFound):
            await node.control.execute(TranscribeRecording(account_id=account_id, recording_id=of))
    assert await node.control.execute(ListTranscripts(account_id=stranger)) == ()


async def test_a_deleted_recording_s_is_gone(node: World) -> None:
    recording_id = await recorded(node)
    made = await transcribed(node, recording_id)
    account_id = node.account.id

    await node.control.execute(DeleteRecording(account_id=account_id, recording_id=recording_id))

    with pytest.raises(NotFound):
        await node.control.execute(GetTranscript(account_id=account_id, transcript_id=made.id))
    with pytest.raises(NotFound):
        await transcribed(node, recording_id)
    assert await node.control.execute(ListTranscripts(account_id=account_id)) == ()
