"""What Vobiz tells the customer: rendered with the event, signed at each attempt."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tapeline.api.accountstyle.callfields import call_fields, hangup_fields, webhook_number
from tapeline.api.accountstyle.outgoing import make_request, with_fresh_links
from tapeline.api.accountstyle.retry import split_retry
from tapeline.api.accountstyle.signature import (
    make_nonce,
    signature_headers,
    v2_message,
    v3_message,
    v3_plain_message,
)
from tapeline.api.dialect import CallMoment, chosen
from tapeline.api.dialects.vobiz.wire import NAME, SETTINGS, V3_WITH_PARAMETERS
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
    Event,
    ParticipantEvent,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFinished,
)
from tapeline.domain.id import EpochMs
from tapeline.domain.recording import Recording, RecordingState

PLATFORM = "Vobiz"
USER_AGENT = "Vobiz"
HEADER_PREFIX = "X-VH-"
_EVENTS = {"start": "StartApp", "redirect": "Redirect", "hangup": "Hangup", "action": "Conference"}
# Facts of a moment in tapeline's words to the parameters' names.
_EXTRA_NAMES = {
    "conference_name": "ConferenceName",
    "conference_id": "ConferenceUUID",
    "member_id": "ConferenceMemberID",
    "recording_id": "RecordingID",
    "record_url": "RecordUrl",
}


def render_event(event: Event) -> CallbackMessage | None:
    match event:
        case RecordingFinished():
            return _recording_finished(event)
        case ParticipantJoined() | ParticipantLeft():
            return _participant_moved(event)
        case CallEnded():
            return _call_ended(event)
        case _:
            return None


def _message(  # noqa: PLR0913 - one place that knows how a message is made
    account: Account,
    *,
    url: str,
    method: str,
    documented: Encoding,
    fields: Mapping[str, object],
    link_fields: tuple[str, ...] = (),
    announces_finished: bool = False,
    order_key: str | None = None,
) -> CallbackMessage:
    bare, retry = split_retry(url)
    choice = chosen(account, NAME, SETTINGS, "callback_encoding")
    encoding = documented if choice == "documented" else Encoding(choice)
    return CallbackMessage(
        url=bare,
        method=method,
        encoding=Encoding.QUERY if method == "GET" else encoding,
        fields=fields,
        link_fields=link_fields,
        retry=retry,
        announces_finished=announces_finished,
        order_key=order_key,
        extras={"v3": chosen(account, NAME, SETTINGS, "vobiz_v3")},
    )


def _recording_finished(event: RecordingFinished) -> CallbackMessage | None:
    recording = event.recording
    starter = recording.starter
    if starter.dialect != NAME or starter.callback_url is None:
        return None
    return _message(
        event.account,
        url=starter.callback_url,
        method=starter.callback_method,
        documented=Encoding.JSON,
        fields=_finished_fields(recording, event.link),
        link_fields=("recording_url", "record_url"),
        announces_finished=True,
        order_key=recording.id,
    )


def _finished_fields(recording: Recording, link: str) -> dict[str, object]:
    """The union of what the documents name (contract §13.4, .5), and `recording_health`.

    A recording that came to nothing has no link; `recording_health` is then `failed` or `absent`,
    and `error` says why.
    """
    is_complete = recording.state is RecordingState.COMPLETED
    link = link if is_complete else ""
    duration_ms = recording.duration_ms
    ended_ms = recording.ended_at_ms
    fields: dict[str, object] = {
        "conference_name": recording.conference_name or "",
        "recording_id": recording.id,
        "recording_url": link,
        "record_url": link,
        "recording_duration": (duration_ms + 500) // 1_000,
        "recording_duration_ms": duration_ms,
        "recording_start_ms": recording.started_at_ms,
        "recording_end_ms": recording.started_at_ms + duration_ms if ended_ms is None else ended_ms,
        "file_format": recording.format.value,
        "api_id": recording.starter.request_id,
        "recording_health": recording.health_words if is_complete else recording.state.value,
    }
    if not is_complete:
        fields["error"] = recording.reason or recording.state.value
    return fields


def _participant_moved(event: ParticipantEvent) -> CallbackMessage | None:
    """Leaving is told without the call's own fields (contract §6)."""
    if event.call.dialect != NAME or event.callback_url is None:
        return None
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
        fields["From"] = webhook_number(event.call.caller)
        fields["To"] = webhook_number(event.call.called)
        fields["Direction"] = event.call.direction.value
        fields["CallStatus"] = "in-progress"
    else:
        fields["ConferenceLastMember"] = "true" if event.is_last else "false"
    return _message(
        event.account,
        url=event.callback_url,
        method=event.callback_method,
        documented=Encoding.FORM,
        fields=fields,
    )


def _call_ended(event: CallEnded) -> CallbackMessage | None:
    application = event.application
    if event.call.dialect != NAME or application is None or application.hangup_url is None:
        return None
    fields = call_fields(event.call, event="Hangup", header_prefix=HEADER_PREFIX)
    return _message(
        event.account,
        url=application.hangup_url,
        method=application.hangup_method,
        documented=Encoding.FORM,
        fields={**fields, **hangup_fields(event.call, platform=PLATFORM)},
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
    """`unique` tells apart what would else be the same request."""
    url, token = message.url, secrets.auth_token
    nonce = make_nonce(token, unique, url, repr(sorted(fields.items())))
    if message.extras.get("v3") == V3_WITH_PARAMETERS:
        third = v3_message(message.method, url, fields, nonce)
    else:
        third = v3_plain_message(url, nonce)
    headers = signature_headers(
        PLATFORM, "MA", token, nonce=nonce, v2=v2_message(url, nonce), v3=third
    )
    return make_request(
        url,
        method=message.method,
        encoding=message.encoding,
        fields=fields,
        headers={"User-Agent": USER_AGENT, **headers},
    )


def ask(
    url: str,
    method: str,
    moment: CallMoment,
    account: Account,
    now_ms: EpochMs,
    secrets: Secrets,
) -> tuple[OutgoingRequest, RetryPolicy]:
    """A question is a form whatever the account chose: only its answer is a document."""
    fields: dict[str, object] = {
        **call_fields(moment.call, event=_EVENTS[moment.event], header_prefix=HEADER_PREFIX)
    }
    for key, value in moment.extra.items():
        if key in _EXTRA_NAMES:
            fields[_EXTRA_NAMES[key]] = value
    message = _message(account, url=url, method=method, documented=Encoding.FORM, fields=fields)
    form = replace(message, encoding=Encoding.QUERY if method == "GET" else Encoding.FORM)
    return _signed(form, fields, secrets, unique=f"{now_ms}/{moment.event}"), message.retry
