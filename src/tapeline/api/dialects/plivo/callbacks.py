"""What Plivo tells the customer: rendered with the event, signed at each attempt."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tapeline.api.accountstyle.callfields import call_fields, hangup_fields
from tapeline.api.accountstyle.messages import make_message, nonce_of, signed_request
from tapeline.api.accountstyle.outgoing import with_fresh_links
from tapeline.api.accountstyle.signature import v3_message
from tapeline.api.accountstyle.told import (
    VERB,
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
from tapeline.api.dialects.plivo.wire import PROFILE
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

MAIN = "Ma"
WITH_RESPONSE = "response_field"
_LINKS = ("record_url", "RecordUrl", "RecordFile")


def render_event(event: Event) -> CallbackMessage | None:
    """None for what nobody is told of, or nobody asked to be told."""
    render = _RENDERERS.get(type(event))
    return None if render is None else render(event)


def _recording_started(event: RecordingStarted) -> CallbackMessage | None:
    """Told only of a conference that its document has recorded (contract §6)."""
    starter = event.recording.starter
    url = starter.callback_url
    if starter.dialect != PROFILE.name or url is None or starter.extras.get(VERB) != "conference":
        return None
    return make_message(
        PROFILE,
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
    match starter.extras.get(VERB):
        case "record":
            fields = {
                **verb_recording_call(PROFILE, event.call, event="RecordStop"),
                **verb_recording_fields(recording, event.link, is_over=True),
            }
        case "conference":
            fields = _conference_record_fields(event, is_over=True)
        case _:
            fields = finished_fields(recording, event.link)
    return make_message(
        PROFILE,
        event.account,
        url=starter.callback_url,
        method=starter.callback_method,
        fields=fields,
        link_fields=_LINKS,
        announces_finished=True,
        order_key=recording.id,
        extras={WITH_RESPONSE: PROFILE.chosen(event.account, WITH_RESPONSE)},
    )


def _transcript_finished(event: TranscriptFinished) -> CallbackMessage | None:
    recording = event.recording
    wanted = recording.options.transcription
    if recording.starter.dialect != PROFILE.name or wanted is None or wanted.callback_url is None:
        return None
    return make_message(
        PROFILE,
        event.account,
        url=wanted.callback_url,
        method=wanted.callback_method,
        fields=transcript_fields(event),
        announces_finished=True,
        order_key=recording.id,
    )


def _participant_moved(event: ParticipantEvent) -> CallbackMessage | None:
    if event.call.dialect != PROFILE.name or event.callback_url is None:
        return None
    return make_message(
        PROFILE,
        event.account,
        url=event.callback_url,
        method=event.callback_method,
        fields={**member_fields(event), **party_fields(event.call)},
    )


def _program_told(event: ProgramToldCall) -> CallbackMessage | None:
    fields = told_fields(PROFILE, event) if event.call.dialect == PROFILE.name else None
    if fields is None:
        return None
    return make_message(
        PROFILE,
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
    return make_message(
        PROFILE,
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
    return make_message(
        PROFILE,
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
    if message.extras.get(WITH_RESPONSE) == "true":
        fields["response"] = json.dumps(fields, ensure_ascii=False)
    return _signed(message, fields, secrets, unique=f"{now_ms}/{attempt}")


def _signed(
    message: CallbackMessage, fields: Mapping[str, object], secrets: Secrets, *, unique: str
) -> OutgoingRequest:
    token = secrets.auth_token
    nonce = nonce_of(message, fields, token, unique)
    third = v3_message(message.method, message.url, fields, nonce)
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
    message = make_message(PROFILE, account, url=url, method=method, fields=fields)
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
