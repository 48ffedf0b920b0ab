"""What Vobiz tells the customer: rendered with the event, signed at each attempt."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tapeline.api.accountstyle.callfields import call_fields, hangup_fields
from tapeline.api.accountstyle.messages import make_message, nonce_of, signed_request
from tapeline.api.accountstyle.outgoing import with_fresh_links
from tapeline.api.accountstyle.signature import v3_message, v3_plain_message
from tapeline.api.accountstyle.told import (
    VERB,
    beside,
    finished_fields,
    member_fields,
    party_fields,
    question_fields,
    transcript_fields,
    verb_recording_call,
    verb_recording_fields,
)
from tapeline.api.accountstyle.toldcall import told_fields
from tapeline.api.dialect import CallMoment
from tapeline.api.dialects.vobiz.wire import PROFILE, V3_WITH_PARAMETERS
from tapeline.domain.account import Account
from tapeline.domain.delivery import (
    CallbackMessage,
    Encoding,
    OutgoingRequest,
    RetryPolicy,
    Secrets,
)
from tapeline.domain.event import (
    CallEnded,
    CallRinging,
    Event,
    ParticipantEvent,
    ParticipantJoined,
    ParticipantLeft,
    ProgramToldCall,
    RecordingFinished,
    RecordingStarted,
    TranscriptFinished,
)
from tapeline.domain.id import EpochMs
from tapeline.domain.recording import Recording, TargetKind

MAIN = "MA"
_LINKS = ("record_url", "recording_url", "RecordUrl", "RecordFile")


def render_event(event: Event) -> CallbackMessage | None:
    """None for what nobody is told of, or nobody asked to be told."""
    render = _RENDERERS.get(type(event))
    return None if render is None else render(event)


def _message(account: Account, **parts: Any) -> CallbackMessage:
    """`make_message`, and which V3 signature the account chose."""
    return make_message(
        PROFILE, account, extras={"v3": PROFILE.chosen(account, "vobiz_v3")}, **parts
    )


def _recording_started(event: RecordingStarted) -> CallbackMessage | None:
    """Told only of a conference that its document has recorded (contract §6)."""
    starter = event.recording.starter
    url = starter.callback_url
    if starter.dialect != PROFILE.name or url is None or starter.extras.get(VERB) != "conference":
        return None
    return _message(
        event.account,
        url=url,
        method=starter.callback_method,
        fields=_conference_record_fields(event, is_over=False),
        link_fields=_LINKS,
        order_key=event.recording.id,
    )


def _conference_record_fields(
    event: RecordingStarted | RecordingFinished, *, is_over: bool
) -> dict[str, object]:
    name = "ConferenceRecordStop" if is_over else "ConferenceRecord"
    recording = event.recording
    return {
        **verb_recording_call(PROFILE, event.call, event=name),
        "ConferenceAction": "record",
        "ConferenceName": recording.conference_name or "",
        "ConferenceUUID": recording.conference_id or "",
        **verb_recording_fields(recording, event.link, is_over=is_over),
    }


def _recording_finished(event: RecordingFinished) -> CallbackMessage | None:
    recording = event.recording
    starter = recording.starter
    if starter.dialect != PROFILE.name or starter.callback_url is None:
        return None
    documented = Encoding.FORM
    match starter.extras.get(VERB):
        case "record":
            fields = {
                **verb_recording_call(PROFILE, event.call, event="RecordStop"),
                **verb_recording_fields(recording, event.link, is_over=True),
            }
        case "conference":
            fields = _conference_record_fields(event, is_over=True)
        case _:
            fields = _request_fields(recording, event.link)
            if recording.target is TargetKind.CONFERENCE:
                documented = Encoding.JSON
    return _message(
        event.account,
        url=starter.callback_url,
        method=starter.callback_method,
        documented=documented,
        fields=fields,
        link_fields=_LINKS,
        announces_finished=True,
        order_key=recording.id,
    )


def _request_fields(recording: Recording, link: str) -> dict[str, object]:
    """A conference's has the link by both names, and its format (contract §13.4, .5)."""
    fields = finished_fields(recording, link)
    if recording.target is TargetKind.CONFERENCE:
        fields["recording_url"] = fields["record_url"]
        fields["file_format"] = recording.format.value
    return fields


def _transcript_finished(event: TranscriptFinished) -> CallbackMessage | None:
    recording = event.recording
    wanted = recording.options.transcription
    if recording.starter.dialect != PROFILE.name or wanted is None or wanted.callback_url is None:
        return None
    return _message(
        event.account,
        url=wanted.callback_url,
        method=wanted.callback_method,
        fields={**transcript_fields(event), **_transcript_ids(event)},
        announces_finished=True,
        order_key=recording.id,
    )


def _transcript_ids(event: TranscriptFinished) -> dict[str, object]:
    """What `<Record>` names beside the request's fields (contract §5)."""
    path = PROFILE.uri(event.account, "Transcription", event.recording.id)
    return {
        "transcription_id": event.transcript.id,
        "transcription_url": beside(event.link, path),
    }


def _participant_moved(event: ParticipantEvent) -> CallbackMessage | None:
    """Leaving is told without the call's own fields (contract §6)."""
    if event.call.dialect != PROFILE.name or event.callback_url is None:
        return None
    party = party_fields(event.call) if isinstance(event, ParticipantJoined) else {}
    return _message(
        event.account,
        url=event.callback_url,
        method=event.callback_method,
        fields={**member_fields(event), **party},
    )


def _program_told(event: ProgramToldCall) -> CallbackMessage | None:
    fields = told_fields(PROFILE, event) if event.call.dialect == PROFILE.name else None
    if fields is None:
        return None
    return _message(
        event.account,
        url=event.url,
        method=event.method,
        fields=fields,
        order_key=event.call.id,
    )


def _call_rings(event: CallRinging) -> CallbackMessage | None:
    application = event.application
    if event.call.dialect != PROFILE.name or application is None or application.ring_url is None:
        return None
    return _message(
        event.account,
        url=application.ring_url,
        method=application.ring_method,
        fields={**call_fields(event.call, event="Ring", header_prefix=PROFILE.header_prefix)},
    )


def _call_ended(event: CallEnded) -> CallbackMessage | None:
    application = event.application
    if event.call.dialect != PROFILE.name or application is None or application.hangup_url is None:
        return None
    fields = call_fields(event.call, event="Hangup", header_prefix=PROFILE.header_prefix)
    return _message(
        event.account,
        url=application.hangup_url,
        method=application.hangup_method,
        fields={**fields, **hangup_fields(event.call, platform=PROFILE.platform)},
    )


def seal(
    message: CallbackMessage,
    attempt: int,
    now_ms: EpochMs,
    secrets: Secrets,
    sign_link: Callable[[str], str],
) -> OutgoingRequest:
    fields = with_fresh_links(message, sign_link)
    return _signed(message, fields, secrets, unique=f"{now_ms}/{attempt}")


def _signed(
    message: CallbackMessage, fields: Mapping[str, object], secrets: Secrets, *, unique: str
) -> OutgoingRequest:
    token = secrets.auth_token
    nonce = nonce_of(message, fields, token, unique)
    if message.extras.get("v3") == V3_WITH_PARAMETERS:
        third = v3_message(message.method, message.url, fields, nonce)
    else:
        third = v3_plain_message(message.url, nonce)
    return signed_request(PROFILE, message, fields, token, main=MAIN, nonce=nonce, v3=third)


def ask(
    url: str,
    method: str,
    moment: CallMoment,
    account: Account,
    now_ms: EpochMs,
    secrets: Secrets,
) -> tuple[OutgoingRequest, RetryPolicy]:
    """A question is a form whatever the account chose: only its answer is a document."""
    fields = question_fields(PROFILE, moment)
    message = _message(account, url=url, method=method, fields=fields)
    form = replace(message, encoding=Encoding.QUERY if method == "GET" else Encoding.FORM)
    return _signed(form, fields, secrets, unique=f"{now_ms}/{moment.event}"), message.retry


_RENDERERS: Mapping[type[Event], Callable[[Any], CallbackMessage | None]] = {
    RecordingStarted: _recording_started,
    RecordingFinished: _recording_finished,
    TranscriptFinished: _transcript_finished,
    ParticipantJoined: _participant_moved,
    ParticipantLeft: _participant_moved,
    ProgramToldCall: _program_told,
    CallRinging: _call_rings,
    CallEnded: _call_ended,
}
