"""Transcripts of recordings."""

from dataclasses import dataclass, field

from tapeline.domain.command.base import Command
from tapeline.domain.id import AccountId, RecordingId, TranscriptId
from tapeline.domain.recording import Recording, TranscriptionRequest
from tapeline.domain.transcript import Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeRecording(Command[Transcript]):
    """Of a finished recording; the transcript that there is already, if one was made. Raises
    RecordingNotFound, Conflict while it is not finished.
    """

    account_id: AccountId
    recording_id: RecordingId
    request: TranscriptionRequest = field(default_factory=TranscriptionRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTranscript(Command[Transcript]):
    """The recording's, or the one of that id: one of the two is given. Raises
    TranscriptNotFound.
    """

    account_id: AccountId
    recording_id: RecordingId | None = None
    transcript_id: TranscriptId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptView:
    transcript: Transcript
    recording: Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewTranscript(Command[TranscriptView]):
    """`name` is a recording's id, or a transcript's. Raises TranscriptNotFound."""

    account_id: AccountId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTranscript(Command[Transcript]):
    """All of the recording's, of which `name` is the id, or a transcript's; one that is being made
    comes to nothing. The outcome is the one that was meant. Raises TranscriptNotFound.
    """

    account_id: AccountId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTranscripts(Command["tuple[Transcript, ...]"]):
    """Newest first."""

    account_id: AccountId | None = None
    recording_id: RecordingId | None = None
    limit: int = 100
