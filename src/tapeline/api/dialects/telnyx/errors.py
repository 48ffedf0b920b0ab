"""Every error of the domain's tree as Telnyx says it: a status, a code, a title (contract §6).

No business error is a 409 or a 5xx: the SDKs would send the command again.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.domain import error as fault

ABOUT = "https://developers.telnyx.com/docs/overview/errors/"


class InvalidJson(fault.InvalidBody):
    """The body is not the JSON object that it should be."""


class NotAvailable(fault.Invalid):
    """A documented parameter that asks for what this server does not have."""

    def __init__(self, field: str) -> None:
        super().__init__(field=field, value="", expected="not available on this server")


class NotE164(fault.Invalid):
    def __init__(self, field: str, value: str) -> None:
        super().__init__(field=field, value=value, expected="a sip: URI or a number in E164 format")


class NoMediaEncryption(fault.Invalid):
    def __init__(self, field: str, value: str) -> None:
        super().__init__(field=field, value=value, expected="disabled")


class Row(NamedTuple):
    status: int
    code: str
    title: str
    detail: Callable[[Any], str] = str
    pointer: str | None = None
    """None: the error's own field, if it has one."""


def _unable(detail: Callable[[Any], str] = str) -> Row:
    return Row(422, "90033", "Unable to execute command", detail)


def _said(text: str) -> Callable[[Any], str]:
    return lambda _error: text


def _not_recorded(error: fault.NotRecording) -> str:
    return f"The {error.target} is not being recorded."


def _exists(error: fault.AlreadyExists) -> str:
    if "conference" in str(error):
        return "Conference with given name already exists and it's active."
    return str(error)


NOT_FOUND = Row(404, "10007", "Resource not found", _said("Resource not found"))
_BAD = "Bad Request"
_CALL = Row(
    422,
    "90015",
    "Invalid Call Control ID",
    _said("The call_control_id provided was not valid."),
    "/call_control_id",
)
_CONNECTION = Row(
    422,
    "10015",
    "Invalid value for connection_id (Call Control App ID)",
    _said(
        "The requested connection_id (Call Control App ID) is either invalid or does not exist. "
        "Only Call Control Apps with valid webhook URL are accepted."
    ),
    "/connection_id",
)
_BUSY = Row(503, "10000", "Service unavailable")

# Looked up along an error's ancestors, so the root's row makes the table total.
TABLE: dict[type[fault.TapelineError], Row] = {
    fault.TapelineError: Row(500, "10000", "Internal error", _said("internal error")),
    fault.InternalFault: Row(500, "10000", "Internal error"),
    fault.Unauthenticated: Row(
        401,
        "10009",
        "Authentication failed",
        _said(
            "The required authentication headers were either invalid or not included in the "
            "request."
        ),
    ),
    fault.Forbidden: Row(403, "10010", "Authorization failed"),
    fault.NotFound: NOT_FOUND,
    fault.ConferenceNotFound: Row(
        404, "90058", "Invalid conference_id", _said("The conference does not exist.")
    ),
    fault.RecordingNotFound: Row(
        404,
        "10005",
        "Recording not found",
        _said("The recording could not be found. Please check the recording_id and try again."),
        "/recording_id",
    ),
    fault.Invalid: Row(422, "10015", _BAD),
    fault.MissingValue: Row(
        422,
        "10004",
        "Missing required parameter",
        lambda error: f"The '{error.field}' parameter is required and cannot be blank.",
    ),
    fault.InvalidChoice: Row(
        422,
        "10032",
        "Invalid enumerated value",
        lambda error: f"The value must be one of: {', '.join(sorted(error.choices))}.",
    ),
    fault.OutOfRange: Row(
        422,
        "10033",
        "Value outside of range",
        lambda error: f"The value is outside of allowed range {error.low} to {error.high}",
    ),
    fault.InvalidUrl: Row(422, "10003", "Invalid URL"),
    fault.InvalidBody: Row(400, "10015", _BAD),
    InvalidJson: Row(400, "10023", "Invalid JSON"),
    NotAvailable: _unable(
        lambda error: f"The '{error.field}' parameter asks for what is not available on this server"
    ),
    NotE164: Row(
        422,
        "10016",
        "Phone number must be in +E164 format",
        lambda error: f"The '{error.field}' parameter must be in E164 format.",
    ),
    NoMediaEncryption: Row(
        422,
        "10011",
        "Media encryption not supported for PSTN calls",
        _said("Media encryption is not available on this server."),
    ),
    fault.Conflict: _unable(),
    fault.NotRecording: _unable(_not_recorded),
    fault.AlreadyExists: _unable(_exists),
    fault.CallHasEnded: Row(
        422,
        "90018",
        "Call has already ended",
        _said("This call is no longer active and can't receive commands."),
    ),
    fault.CallNotAnswered: Row(
        422,
        "90034",
        "Call not answered yet",
        _said("This call can't receive this command because it has not been answered yet."),
    ),
    fault.ConferenceHasEnded: Row(
        422,
        "90019",
        "Conference has already ended",
        _said("This conference is no longer active and can't receive commands."),
    ),
    fault.ConferenceFull: Row(
        422,
        "90032",
        "Maximum number of participants reached",
        lambda error: (
            f"The maximum allowed value of `max_participants` has been reached at {error.limit}."
        ),
    ),
    fault.AlreadyInConference: Row(
        422,
        "90044",
        "Conference join not allowed",
        _said("Participant must not join the same conference twice."),
    ),
    fault.TooLarge: Row(400, "10015", _BAD),
    # Only what is to be played is fetched for a request.
    fault.DestinationFault: Row(
        404,
        "10005",
        "Audio file not found",
        lambda error: f"The audio file could not be had: {error.reason}.",
    ),
    fault.Unavailable: _BUSY,
    # It may have begun to happen, and a 5xx would make the SDK do it again.
    fault.EngineFailed: _unable(),
    fault.DiskFull: _unable(),
    fault.SynthesiserFailed: _unable(),
}


def row_of(error: fault.TapelineError, request: WireRequest) -> Row:
    """Of calls and applications it depends on where they were named."""
    in_command = request.method != "GET"
    if isinstance(error, fault.CallNotFound) and in_command:
        return _CALL
    if isinstance(error, fault.ParticipantNotFound) and in_command:
        return _CALL._replace(pointer="/call_control_ids")
    if isinstance(error, fault.ApplicationNotFound) and request.segments == ("calls",):
        return _CONNECTION
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def render_error(error: fault.TapelineError, request: WireRequest) -> WireResponse:
    row = row_of(error, request)
    body: dict[str, Any] = {
        "code": row.code,
        "title": row.title,
        "detail": row.detail(error),
        "meta": {"url": ABOUT + row.code},
    }
    source = _source(error, row, request)
    if source:
        body["source"] = source
    return answer_errors(row.status, body)


# The domain's own names of what is called otherwise here.
_NAMES = {
    "caller_name": "from_display_name",
    "headers": "custom_headers",
    "answer_url": "webhook_event_url",
    "fallback_url": "webhook_event_failover_url",
    "text": "payload",
    "whispers_to": "whisper_call_control_ids",
}


def _source(error: fault.TapelineError, row: Row, request: WireRequest) -> dict[str, str]:
    if row.pointer is not None:
        return {"pointer": row.pointer}
    field = error.field if isinstance(error, fault.Invalid) else ""
    if not field:
        return {}
    if request.method == "GET":
        return {"parameter": field}
    return {"pointer": "/" + _NAMES.get(field, field).replace(".", "/")}


def render_unknown(request: WireRequest) -> WireResponse:
    """A path or method that is none: who it is comes first (contract §6)."""
    known = request.headers.get("authorization", "").lower().startswith("bearer ")
    return render_error(fault.NotFound(request.path) if known else fault.Unauthenticated(), request)


def answer_errors(status: int, *errors: dict[str, Any]) -> WireResponse:
    body = json.dumps({"errors": errors}, ensure_ascii=False)
    return WireResponse(status=status, body=body.encode())
