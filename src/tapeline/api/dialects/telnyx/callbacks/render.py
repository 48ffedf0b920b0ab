"""Events as webhooks, version 2 (contract §4)."""

from collections.abc import Mapping

from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.callbacks import sounds
from tapeline.api.dialects.telnyx.callbacks.where import where
from tapeline.domain import event as events
from tapeline.domain.account import LinkPolicy
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallQuality, Direction
from tapeline.domain.delivery import CallbackMessage, Encoding
from tapeline.domain.event import CallEvent, ConferenceEvent, Event, RecordingEvent
from tapeline.domain.id import EpochMs
from tapeline.domain.recording import Recording, RecordingState, TargetKind
from tapeline.domain.transcript import TranscriptState

LINK_LIFE_S = 600
_URLS = "recording_urls"


def render_event(event: Event) -> CallbackMessage | None:
    match event:
        case RecordingEvent():
            return _recording_event(event)
        case events.SoundEvent():
            return _sound_event(event)
        case CallEvent():
            return _call_event(event)
        case ConferenceEvent():
            return _conference_event(event)
        case _:
            return None


def _message(
    event: Event,
    event_type: str,
    payload: Mapping[str, object],
    *,
    call: Call | None,
    application: Application | None,
    recording: Recording | None = None,
) -> CallbackMessage | None:
    """`call` is whose webhooks these are; of a recording the last word may be hours away."""
    place = where(event_type, event.account, call, application)
    if place is None:
        return None
    return CallbackMessage(
        url=place.url,
        failover_url=place.failover_url,
        method="POST",
        encoding=Encoding.JSON,
        fields={
            "data": {
                "record_type": "event",
                "event_type": event_type,
                "id": event.id,
                "occurred_at": words.iso(event.at_ms),
                "payload": dict(payload),
            }
        },
        link_fields=(_URLS,) if _URLS in payload else (),
        link_life_s=LINK_LIFE_S,
        retry=place.retry,
        announces_finished=recording is not None,
        order_key=None if recording is None else recording.id,
    )


def _client_state(call: Call | None) -> str | None:
    if call is None or call.dialect != words.NAME:
        return None
    return call.extras.get(words.CLIENT_STATE) or None


def _common(call: Call, client_state: str | None) -> dict[str, object]:
    return {
        "call_control_id": words.call_control_id(call.id),
        "call_leg_id": call.id,
        "call_session_id": call.session_id,
        "connection_id": call.application_id,
        "client_state": client_state,
    }


# calls


def _call_event(event: CallEvent) -> CallbackMessage | None:
    described = _describe_call(event)
    if described is None or event.call.dialect != words.NAME:
        return None
    event_type, more = described
    call = event.call
    payload = {
        **_common(call, _client_state(call)),
        "from": call.caller,
        "to": call.called,
        **more,
    }
    return _message(event, event_type, payload, call=call, application=event.application)


def _describe_call(event: CallEvent) -> tuple[str, dict[str, object]] | None:
    match event:
        case events.CallArrived() | events.CallDialled():
            return "call.initiated", _initiated(event.call)
        case events.CallAnswered():
            return "call.answered", {"state": "answered", **_signalling(event.call)}
        case events.CallEnded():
            return "call.hangup", _ended(event.call, event.quality)
        case events.CallsBridged():
            return "call.bridged", {}
        case _:
            return _describe_digits(event)


def _describe_digits(event: CallEvent) -> tuple[str, dict[str, object]] | None:
    match event:
        case events.DigitsGathered(digits=digits, outcome=outcome):
            return "call.gather.ended", {"digits": digits, "status": words.GATHERED[outcome]}
        case events.DigitReceived(digit=digit):
            return "call.dtmf.received", {"digit": digit}
        case _:
            return None


def _signalling(call: Call) -> dict[str, object]:
    headers = [{"name": name, "value": value} for name, value in call.headers.items()]
    return {
        "start_time": words.iso(call.created_at_ms),
        "custom_headers": headers,
        "sip_headers": [],
        "tags": [],
    }


def _initiated(call: Call) -> dict[str, object]:
    is_inbound = call.direction is Direction.INBOUND
    return {
        "direction": "incoming" if is_inbound else "outgoing",
        "state": "parked" if is_inbound else "bridging",
        "caller_id_name": call.caller_name or call.caller,
        **_signalling(call),
    }


def _ended(call: Call, quality: CallQuality | None) -> dict[str, object]:
    ended_ms = call.created_at_ms if call.ended_at_ms is None else call.ended_at_ms
    return {
        "state": "hangup",
        "hangup_cause": words.hangup_cause(call),
        "hangup_source": words.hangup_source(call),
        "sip_hangup_cause": words.sip_hangup_cause(call),
        "end_time": words.iso(ended_ms),
        "call_quality_stats": None if quality is None else _quality(quality),
        **_signalling(call),
    }


def _quality(quality: CallQuality) -> dict[str, dict[str, str | None]]:
    """Numbers are strings (contract §4.3)."""
    return {
        "inbound": {
            "mos": None if quality.mos is None else f"{quality.mos:.2f}",
            "packet_count": str(quality.packets_received),
            "skip_packet_count": str(quality.packets_lost),
            "jitter_packet_count": str(quality.packets_late),
            "jitter_max_variance": f"{quality.jitter_max_ms:.2f}",
        },
        "outbound": {
            "packet_count": str(quality.packets_sent),
            "skip_packet_count": str(quality.remote_lost),
        },
    }


def _sound_event(event: events.SoundEvent) -> CallbackMessage | None:
    """A participant's own, and the room's, go where the conference's events go."""
    conference, call = event.conference, event.call
    owner = event.creator if conference is not None else call
    steered = conference.dialect if conference is not None else (call.dialect if call else "")
    if steered != words.NAME:
        return None
    state = _client_state(owner)
    if conference is not None:
        state = state or conference.extras.get(words.CLIENT_STATE) or None
    common = {} if call is None else _common(call, state)
    return _message(
        event,
        sounds.event_type(event),
        {**common, **sounds.payload(event)},
        call=owner,
        application=event.application,
    )


# conferences


def _conference_event(event: ConferenceEvent) -> CallbackMessage | None:
    """Told to whoever the creator's events go to, with the creator's state (contract §4.3)."""
    creator, conference = event.creator, event.conference
    if conference.dialect != words.NAME:
        return None
    state = _client_state(creator) or conference.extras.get(words.CLIENT_STATE) or None
    payload: dict[str, object] = {"conference_id": conference.id}
    match event:
        case events.ConferenceCreated():
            event_type, call = "conference.created", creator
            payload["occurred_at"] = words.iso(event.at_ms)
        case events.ConferenceEnded():
            event_type, call = "conference.ended", creator
            payload["occurred_at"] = words.iso(event.at_ms)
            reason = conference.end_reason
            payload["reason"] = None if reason is None else words.CONFERENCE_ENDS[reason]
        case events.ParticipantJoined():
            event_type, call = "conference.participant.joined", event.call
        case events.ParticipantLeft():
            event_type, call = "conference.participant.left", event.call
        case _:
            return None
    common = {} if call is None else _common(call, state)
    return _message(
        event,
        event_type,
        {**common, **payload},
        call=creator,
        application=event.application,
    )


# recordings


def _recording_event(event: RecordingEvent) -> CallbackMessage | None:
    match event:
        case events.TranscriptFinished():
            return _transcript_finished(event)
        case events.RecordingFinished():
            return _recording_finished(event)
        case _:
            return None


def _recording_finished(event: events.RecordingFinished) -> CallbackMessage | None:
    """A conference's recording that came to nothing has no word here (contract §4.3)."""
    recording, call = event.recording, event.call
    if recording.starter.dialect != words.NAME:
        return None
    is_call = recording.target is TargetKind.CALL
    if recording.state is RecordingState.COMPLETED:
        event_type = "call.recording.saved" if is_call else "conference.recording.saved"
        more = _saved(event)
    elif is_call:
        event_type, more = "call.recording.error", {"reason": "Internal server error"}
    else:
        return None
    common = {} if call is None else _common(call, _recording_state(event))
    if not is_call:
        common.pop("call_leg_id", None)
        more["conference_id"] = recording.conference_id
    return _message(
        event,
        event_type,
        {**common, **more},
        call=call,
        application=event.application,
        recording=recording,
    )


def _recording_state(event: RecordingEvent) -> str | None:
    """A call's recording has its leg's state, whose every command may have replaced it; a
    conference's what the stop said, else its owner's. On another dialect's call the record
    command's own state is all there is.
    """
    given = event.recording.starter.extras.get(words.CLIENT_STATE)
    of_leg = _client_state(event.call)
    if event.recording.target is TargetKind.CALL:
        return of_leg or given or None
    conference = event.conference
    of_conference = None if conference is None else conference.extras.get(words.CLIENT_STATE)
    return given or of_leg or of_conference or None


def _saved(event: RecordingEvent) -> dict[str, object]:
    recording = event.recording
    started_ms = recording.started_at_ms
    ended_ms = recording.ended_at_ms or EpochMs(started_ms + recording.duration_ms)
    urls = {recording.format.value: event.link}
    is_public = event.account.settings.link_policy is LinkPolicy.PUBLIC
    return {
        "recording_id": recording.id,
        "channels": words.channels(recording),
        "format": recording.format.value,
        "from": recording.caller,
        "to": recording.called,
        "recording_started_at": words.iso(started_ms),
        "recording_ended_at": words.iso(ended_ms),
        "start_time": words.iso(started_ms),
        "end_time": words.iso(ended_ms),
        "occurred_at": words.iso(event.at_ms),
        "webhook_id": event.id,
        "duration_millis": recording.duration_ms,
        "recording_health": recording.health_words,
        "file_name": words.file_name(recording),
        _URLS: urls,
        "public_recording_urls": urls if is_public else {},
    }


def _transcript_finished(event: events.TranscriptFinished) -> CallbackMessage | None:
    """Of calls only, and only when there is a text: there is no other word (contract §4.3)."""
    recording, transcript, call = event.recording, event.transcript, event.call
    is_told = (
        recording.starter.dialect == words.NAME
        and recording.target is TargetKind.CALL
        and transcript.state is TranscriptState.DONE
    )
    if not is_told:
        return None
    common = {} if call is None else _common(call, _recording_state(event))
    payload = {
        **common,
        "calling_party_type": "sip",
        "recording_id": recording.id,
        "recording_transcription_id": transcript.id,
        "status": "completed",
        "transcription_text": transcript.text,
    }
    return _message(
        event,
        "call.recording.transcription.saved",
        payload,
        call=call,
        application=event.application,
        recording=recording,
    )
