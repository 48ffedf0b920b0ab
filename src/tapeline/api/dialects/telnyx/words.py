"""Telnyx's words for tapeline's things: names of ids, instants, reasons. No request, no answer."""

import base64
import binascii
from datetime import UTC, datetime, timedelta

from tapeline.domain.call import Call, EndCause, EndSource
from tapeline.domain.conference import ConferenceEnd
from tapeline.domain.error import CallNotFound
from tapeline.domain.gather import GatherOutcome
from tapeline.domain.id import CallId
from tapeline.domain.recording import Layout, Recording

NAME = "telnyx"
CLIENT_STATE = "client_state"
"""Key of `extras` of calls, conferences and starters; so are the following."""
WEBHOOK_URL = "webhook_url"
WEBHOOK_URLS = "webhook_urls"
WEBHOOK_RETRIES = "webhook_retries_policies"
INITIATED_BY = "initiated_by"
REGION = "region"
WEBHOOK_TIMEOUT = "webhook_timeout_secs"
"""Key of an application's `extras`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID_PREFIX = "v3:"

CONFERENCE_ENDS: dict[ConferenceEnd, str] = {
    ConferenceEnd.ALL_LEFT: "all_left",
    ConferenceEnd.API: "ended_via_api",
    ConferenceEnd.HOST_LEFT: "host_left",
    ConferenceEnd.TIME_LIMIT: "time_exceeded",
    # The service has no word for its own end: it ended the conference itself.
    ConferenceEnd.NODE_LOST: "ended_via_api",
    ConferenceEnd.NODE_STOPPED: "ended_via_api",
}

# What is not here is "unspecified".
_HANGUP_CAUSES: dict[EndCause, str] = {
    EndCause.NORMAL: "normal_clearing",
    EndCause.END_OF_DOCUMENT: "normal_clearing",
    EndCause.HANG_UP_VERB: "normal_clearing",
    EndCause.CANCELED: "originator_cancel",
    EndCause.BUSY: "user_busy",
    EndCause.REJECTED: "call_rejected",
    EndCause.NO_ANSWER: "no_answer",
    EndCause.UNKNOWN_NUMBER: "not_found",
    EndCause.TIME_LIMIT: "time_limit",
    EndCause.NOT_ACKNOWLEDGED: "timeout",
}
_SIP_CAUSES: dict[EndCause, str] = {
    EndCause.NORMAL: "200",
    EndCause.CANCELED: "487",
    EndCause.BUSY: "486",
    EndCause.REJECTED: "603",
    EndCause.NO_ANSWER: "480",
    EndCause.UNKNOWN_NUMBER: "404",
}
UNSPECIFIED = "unspecified"
GATHERED: dict[GatherOutcome, str] = {
    GatherOutcome.VALID: "valid",
    GatherOutcome.INVALID: "invalid",
    GatherOutcome.TIMEOUT: "timeout",
    GatherOutcome.CANCELLED: "cancelled",
    GatherOutcome.CALL_ENDED: "call_hangup",
}


def call_control_id(call_id: str) -> str:
    """Opaque to the customer, and safe as a path segment (contract §7)."""
    encoded = base64.urlsafe_b64encode(call_id.encode()).decode().rstrip("=")
    return _ID_PREFIX + encoded


def read_call_control_id(text: str) -> CallId:
    """What `call_control_id` made, or a call's own id. Raises CallNotFound."""
    if not text.startswith(_ID_PREFIX):
        return CallId(text)
    encoded = text.removeprefix(_ID_PREFIX)
    padded = encoded + "=" * (-len(encoded) % 4)
    try:
        return CallId(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError) as error:
        raise CallNotFound(text) from error


def iso(at_ms: int) -> str:
    """`2018-02-02T22:25:27.521000Z`."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def channels(recording: Recording) -> str:
    return "dual" if recording.channels > 1 else "single"


def file_name(recording: Recording) -> str:
    """`NAME-UNIXSECONDS.wav`; NAME is the custom one or the call leg's id (contract §8.6)."""
    name = recording.options.custom_name or recording.call_id or recording.id
    return f"{name}-{recording.started_at_ms // 1_000}.{recording.format.value}"


def hangup_cause(call: Call) -> str:
    return (
        UNSPECIFIED if call.end_cause is None else _HANGUP_CAUSES.get(call.end_cause, UNSPECIFIED)
    )


def sip_hangup_cause(call: Call) -> str:
    return UNSPECIFIED if call.end_cause is None else _SIP_CAUSES.get(call.end_cause, UNSPECIFIED)


def hangup_source(call: Call) -> str:
    if call.end_source in {EndSource.CALLER, EndSource.CALLEE}:
        return call.end_source.value
    return "unknown"


def layout_of(channel_word: str, track: str) -> Layout:
    """One track is mono whatever `channels` says; of two the first leg, or the conference's
    creator, is left (contract §8.1).
    """
    if track == "inbound":
        return Layout.INBOUND
    if track == "outbound":
        return Layout.OUTBOUND
    return Layout.OWN_REST if channel_word == "dual" else Layout.MIX
