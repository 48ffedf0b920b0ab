"""What the customer is told of an event or asked in a question, as parameters by name."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

from tapeline.api.accountstyle.callfields import HANGUP_CODES, call_fields, webhook_number
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.dialect import CallMoment
from tapeline.domain.call import Call, EndCause
from tapeline.domain.event import ParticipantEvent, ParticipantJoined, TranscriptFinished
from tapeline.domain.recording import Recording, RecordingEnd, RecordingState, TargetKind
from tapeline.domain.transcript import Transcript, TranscriptLimit, TranscriptState

VERB = "verb"
"""Key of `Starter.extras`: which element of an answer document started a recording."""
NOT_YET = -1
"""A duration that is not known yet."""
LIMIT_TEXTS = {
    TranscriptLimit.TOO_LONG: "Recording duration too long for transcription",
    TranscriptLimit.TOO_LARGE: "Recording file size too large for transcription",
    TranscriptLimit.TOO_SHORT: "Recording duration too short for transcription",
}
_EVENTS = {
    "start": "StartApp",
    "redirect": "Redirect",
    "transfer": "Transfer",
    "hangup": "Hangup",
    "dial_music": "DialMusic",
    "confirm_sound": "ConfirmSound",
}
_ACTION_EVENTS = {
    "conference": "Conference",
    "record": "Record",
    "dial": "Dial",
    "digits": "GetDigits",
}
# Facts in tapeline's words to the parameters' names.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "conference_name": ("ConferenceName",),
    "conference_id": ("ConferenceUUID",),
    "member_id": ("ConferenceMemberID",),
    "recording_id": ("RecordingID",),
    "record_url": ("RecordUrl", "RecordFile"),
    "recording_duration": ("RecordingDuration",),
    "recording_duration_ms": ("RecordingDurationMs",),
    "recording_start_ms": ("RecordingStartMs",),
    "recording_end_ms": ("RecordingEndMs",),
    "digits": ("Digits",),
    "end_reason": ("RecordingEndReason",),
    "dial_status": ("DialStatus",),
    "dial_ring_status": ("DialRingStatus",),
    "dial_hangup_cause": ("DialHangupCause",),
    "dial_aleg_id": ("DialALegUUID",),
    "dial_bleg_id": ("DialBLegUUID",),
}
# The first four are the documents' (contract §6).
_END_REASONS = {
    RecordingEnd.SILENCE_LIMIT: "RecordingTimeout",
    RecordingEnd.TIME_LIMIT: "maxLength",
    RecordingEnd.FINISH_KEY: "FinishedOnKey",
    RecordingEnd.LEG_GONE: "HungUp",
    RecordingEnd.ROOM_CLOSED: "HungUp",
    RecordingEnd.COMMAND: "Stopped",
    RecordingEnd.WRITER_FAILED: "Error",
    RecordingEnd.NODE_LOST: "Error",
}


def renamed(facts: Mapping[str, str]) -> dict[str, object]:
    """Facts by their parameters' names, in the documents' words; what has no name is left out."""
    found: dict[str, object] = {}
    for key, value in facts.items():
        found.update(dict.fromkeys(_NAMES.get(key, ()), _WORDS.get(key, str)(value)))
    return found


def _end_reason(word: str) -> str:
    return _END_REASONS[RecordingEnd(word)] if word else ""


def _hangup_cause(word: str) -> str:
    return HANGUP_CODES[EndCause(word)].cause if word else ""


_WORDS: Mapping[str, Callable[[str], str]] = {
    "end_reason": _end_reason,
    "dial_hangup_cause": _hangup_cause,
}


def question_fields(profile: Profile, moment: CallMoment) -> dict[str, object]:
    """What an answer or action URL is asked with."""
    verb = moment.extra.get("verb", "conference")
    event = _ACTION_EVENTS[verb] if moment.event == "action" else _EVENTS[moment.event]
    fields: dict[str, object] = {
        **call_fields(moment.call, event=event, header_prefix=profile.header_prefix)
    }
    fields.update(renamed(moment.extra))
    if moment.event == "action" and verb == "digits":
        fields.setdefault("Digits", "")
        fields["InputType"] = "dtmf"
    return fields


# recordings


def finished_fields(recording: Recording, link: str) -> dict[str, object]:
    """What the one who started a recording by a request is told of its end (contract §3).

    One that came to nothing has no link; `recording_health` is then `failed` or `absent`, and
    `error` says why.
    """
    of = (
        ("conference_name", recording.conference_name or "")
        if recording.target is TargetKind.CONFERENCE
        else ("call_uuid", recording.call_id or "")
    )
    duration_ms, started_ms, ended_ms = _span(recording)
    return {
        "api_id": recording.starter.request_id,
        "record_url": _link(recording, link),
        of[0]: of[1],
        "recording_id": recording.id,
        "recording_duration": (duration_ms + 500) // 1_000,
        "recording_duration_ms": duration_ms,
        "recording_start_ms": started_ms,
        "recording_end_ms": ended_ms,
        **_health(recording),
    }


def _is_complete(recording: Recording) -> bool:
    return recording.state is RecordingState.COMPLETED


def _link(recording: Recording, link: str) -> str:
    return link if _is_complete(recording) else ""


def _span(recording: Recording) -> tuple[int, int, int]:
    """Duration, start and end in milliseconds."""
    duration_ms, started_ms = recording.duration_ms, recording.started_at_ms
    ended_ms = recording.ended_at_ms
    return duration_ms, started_ms, started_ms + duration_ms if ended_ms is None else ended_ms


def _health(recording: Recording) -> dict[str, object]:
    if _is_complete(recording):
        return {"recording_health": recording.health_words}
    return {
        "recording_health": recording.state.value,
        "error": recording.reason or recording.state.value,
    }


def verb_recording_fields(recording: Recording, link: str, *, is_over: bool) -> dict[str, object]:
    """What a document's own recording is told with: a running one's durations are -1."""
    duration_ms, started_ms, ended_ms = _span(recording)
    if not is_over:
        duration_ms = ended_ms = NOT_YET
    url = _link(recording, link) if is_over else link
    fields: dict[str, object] = {
        "RecordUrl": url,
        "RecordFile": url,
        "RecordingID": recording.id,
        "RecordingDuration": (duration_ms + 500) // 1_000 if is_over else NOT_YET,
        "RecordingDurationMs": duration_ms,
        "RecordingStartMs": started_ms,
        "RecordingEndMs": ended_ms,
    }
    if not is_over:
        return fields
    if recording.end_reason is not None:
        fields["RecordingEndReason"] = _END_REASONS[recording.end_reason]
    return {**fields, **_health(recording)}


def verb_recording_call(profile: Profile, call: Call | None, *, event: str) -> dict[str, object]:
    if call is None:
        return {"Event": event}
    return {**call_fields(call, event=event, header_prefix=profile.header_prefix)}


# conferences


def member_fields(event: ParticipantEvent) -> dict[str, object]:
    """A member came or went."""
    joined = isinstance(event, ParticipantJoined)
    fields: dict[str, object] = {
        "ConferenceAction": "enter" if joined else "exit",
        "Event": "ConferenceEnter" if joined else "ConferenceExit",
        "ConferenceName": event.conference.name,
        "ConferenceUUID": event.conference.id,
        "ConferenceMemberID": event.participant.member_id,
        "CallUUID": event.call.id,
    }
    if joined:
        fields["ConferenceFirstMember"] = "true" if event.is_first else "false"
    else:
        fields["ConferenceLastMember"] = "true" if event.is_last else "false"
    return fields


def party_fields(call: Call) -> dict[str, object]:
    """Who is on a call that is in a conference."""
    return {
        "From": webhook_number(call.caller),
        "To": webhook_number(call.called),
        "Direction": call.direction.value,
        "CallStatus": "in-progress",
    }


# transcripts


def transcript_fields(event: TranscriptFinished) -> dict[str, object]:
    """A conference's has the uuid of its first member's call (contract §13.16)."""
    recording, transcript = event.recording, event.transcript
    return {
        "transcription_charge": transcript.charge,
        "transcription": transcript.text,
        "duration": (recording.duration_ms + 500) // 1_000,
        "call_uuid": recording.call_id or "",
        "transcription_rate": transcript.rate,
        "recording_id": recording.id,
        "error": transcript_error(transcript),
    }


def transcript_error(transcript: Transcript) -> str:
    """Empty when there is a text, even an empty one."""
    if transcript.limit is not None:
        return LIMIT_TEXTS[transcript.limit]
    if transcript.state is TranscriptState.DONE:
        return ""
    return transcript.reason or "Transcription failed"


def beside(link: str, path: str) -> str:
    """Another path at the address of a link."""
    parts = urlsplit(link)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
