"""Transcripts, by the recording they are of or by their own id."""

from collections.abc import Mapping
from typing import Annotated, Literal

from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import HttpUrl, Lower, RequestBody, ResponseBody, read_model
from tapeline.domain.account import Account
from tapeline.domain.command import (
    DeleteTranscript,
    TranscribeRecording,
    TranscriptView,
    ViewTranscript,
)
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import TranscriptionRequest
from tapeline.domain.transcript import TranscriptState

Status = Literal["in-progress", "success", "failed"]
_STATUS: Mapping[TranscriptState, Status] = {
    TranscriptState.PENDING: "in-progress",
    TranscriptState.DONE: "success",
    TranscriptState.REFUSED: "failed",
    TranscriptState.FAILED: "failed",
}


class TranscribeBody(RequestBody):
    transcription_callback_url: HttpUrl | None = None


class TranscriptQuery(RequestBody):
    type: Annotated[Literal["transcription", "raw", "diarized"], Lower] = "transcription"
    """One text is known of a recording, whichever is asked for."""


class TranscriptBody(ResponseBody):
    api_id: str
    cost: float
    rate: float
    recording_duration_ms: int
    recording_start_ms: int
    status: Status
    transcription: str


def read_transcribe(request: WireRequest, account: Account) -> TranscribeRecording:
    body = read_model(TranscribeBody, read_fields(request))
    return TranscribeRecording(
        account_id=account.id,
        recording_id=RecordingId(request.params["recording_id"]),
        request=TranscriptionRequest(callback_url=body.transcription_callback_url),
    )


def read_get(request: WireRequest, account: Account) -> ViewTranscript:
    read_model(TranscriptQuery, dict(request.query))
    return ViewTranscript(account_id=account.id, name=request.params["recording_id"])


def write_transcript(view: TranscriptView, request: WireRequest, _account: Account) -> WireResponse:
    found = view.transcript
    return answer(
        200,
        TranscriptBody(
            api_id=request.request_id,
            cost=found.charge,
            rate=found.rate,
            recording_duration_ms=found.duration_ms,
            recording_start_ms=view.recording.started_at_ms,
            status=_STATUS[found.state],
            transcription=found.text,
        ),
    )


def read_delete(request: WireRequest, account: Account) -> DeleteTranscript:
    return DeleteTranscript(account_id=account.id, name=request.params["recording_id"])
