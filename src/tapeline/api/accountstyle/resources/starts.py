"""Starting and stopping recordings: what a request may ask, and which recording it means."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import HttpUrl, Lower, RequestBody, ResponseBody, Upper
from tapeline.domain.command import RecordingView
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import (
    Layout,
    RecordingFormat,
    RecordingOptions,
    TranscriptionRequest,
)

Method = Annotated[Literal["GET", "POST"], Upper]
CALL_LIMIT_S = 60
"""How long a call is recorded unless the request says otherwise (contract §3)."""
_LONGEST_S = 2_592_000


class StartRecordingBody(RequestBody):
    file_format: Annotated[Literal["mp3", "wav"], Lower] = "mp3"
    callback_url: HttpUrl | None = None
    callback_method: Method | None = None
    transcription_type: Annotated[Literal["auto", "hybrid", "manual"], Lower] | None = None
    """Transcription is automatic whichever it is; without it there is none."""
    transcription_url: HttpUrl | None = None
    """Always told by POST, whatever `transcription_method` says (contract §2)."""
    time_limit: Annotated[int, Field(ge=1, le=_LONGEST_S)] | None = None
    """Seconds; without it a conference is recorded until it ends, a call for 60 s."""


class StartCallRecordingBody(StartRecordingBody):
    record_channel_type: Annotated[Literal["mono", "stereo"], Lower] = "mono"
    """Stereo: who called left, who was called right."""


class StopRecordingBody(RequestBody):
    """Which recording is meant, of several; without any of them all are."""

    URL: str | None = None
    url: str | None = None
    recording_id: str | None = None


class StartedBody(ResponseBody):
    api_id: str
    message: str
    recording_id: str
    url: str


def conference_options(body: StartRecordingBody) -> RecordingOptions:
    return RecordingOptions(
        format=RecordingFormat(body.file_format),
        limit_ms=(body.time_limit or 0) * 1_000,
        transcription=_transcription(body),
    )


def call_options(body: StartCallRecordingBody) -> RecordingOptions:
    is_stereo = body.record_channel_type == "stereo"
    return RecordingOptions(
        format=RecordingFormat(body.file_format),
        layout=Layout.CALLER_CALLEE if is_stereo else Layout.MIX,
        limit_ms=(body.time_limit or CALL_LIMIT_S) * 1_000,
        transcription=_transcription(body),
    )


def _transcription(body: StartRecordingBody) -> TranscriptionRequest | None:
    if body.transcription_type is None:
        return None
    return TranscriptionRequest(callback_url=body.transcription_url)


def write_started(
    view: RecordingView, request: WireRequest, *, status: int, message: str
) -> WireResponse:
    return answer(
        status,
        StartedBody(
            api_id=request.request_id,
            message=message,
            recording_id=view.recording.id,
            url=view.link,
        ),
    )


def named_recording(request: WireRequest) -> RecordingId | None:
    """The one that a stop names by the start's `url` (`URL` to some clients) or by its id."""
    fields = read_fields(request)
    for key in ("URL", "url"):
        link = fields.get(key)
        if link:
            return RecordingId(_file_name(str(link)).partition(".")[0])
    named = fields.get("recording_id")
    return RecordingId(str(named)) if named else None


def _file_name(link: str) -> str:
    """What is no link names no recording: it is then not found under this name."""
    try:
        return urlsplit(link).path.rpartition("/")[2] or link
    except ValueError:
        return link
