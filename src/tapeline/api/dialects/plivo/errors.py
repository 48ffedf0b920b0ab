"""Every error of the domain's tree as Plivo says it: `{"api_id": …, "error": "…"}` and a status."""

import json
from typing import NamedTuple

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.rawpath import Template
from tapeline.domain import error as fault


class Row(NamedTuple):
    status: int
    text: str | None = None
    """None: what the error itself says."""


# Looked up along an error's ancestors, so the root's row makes the table total.
TABLE: dict[type[fault.TapelineError], Row] = {
    fault.TapelineError: Row(500, "internal error"),
    fault.InternalFault: Row(500),
    fault.Unauthenticated: Row(401),
    fault.Forbidden: Row(403),
    fault.NotFound: Row(404),
    fault.ApplicationNotFound: Row(404, "application not found"),
    fault.CallNotFound: Row(404, "call not found"),
    fault.ConferenceNotFound: Row(404, "conference not found"),
    fault.ParticipantNotFound: Row(404, "member not found"),
    fault.RecordingNotFound: Row(404, "recording not found"),
    fault.TranscriptNotFound: Row(404, "transcription not found"),
    fault.Invalid: Row(400),
    # The room is there, a recording of it is not (contract §13.7).
    fault.NotRecording: Row(404, "recording not found"),
    fault.AlreadyRecording: Row(400, "conference is already being recorded"),
    fault.Conflict: Row(409),
    fault.CallHasEnded: Row(404, "call not found"),
    # Only a call in progress can be recorded (contract §3).
    fault.CallNotAnswered: Row(404, "call not found: it has not been answered"),
    fault.ConferenceHasEnded: Row(404, "conference not found"),
    fault.TooManyRecordings: Row(400),
    fault.TooLarge: Row(400),
    fault.DestinationFault: Row(400),
    fault.Unavailable: Row(503),
    # The SDK shows the text of a 500 and hides that of a 503.
    fault.DiskFull: Row(500),
}
# The SDK asks the answers of these paths for their truth, which is their `objects`' length, before
# it looks for an error: a JSON object without `objects` ends in an AttributeError (contract §0.5).
_LISTS = tuple(
    Template.parse(f"/Account/{{auth_id}}/{name}/")
    for name in ("Application", "Call", "Conference", "Recording")
)
TEXT_ON_LISTS = (401, 403, 404, 409, 500, 503)
"""All but 400, which the SDK handles otherwise."""


def row_of(error: fault.TapelineError) -> Row:
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def render_error(error: fault.TapelineError, request: WireRequest) -> WireResponse:
    row = row_of(error)
    text = row.text or str(error)
    if row.status in TEXT_ON_LISTS and _is_list(request):
        return WireResponse(
            status=row.status, body=text.encode(), content_type="text/plain; charset=utf-8"
        )
    return _answer(row.status, text, request)


def _is_list(request: WireRequest) -> bool:
    return request.method == "GET" and any(
        template.match(request.segments) is not None for template in _LISTS
    )


def render_unknown(request: WireRequest) -> WireResponse:
    """405 for a path that is asked in another way, 404 for what there is not."""
    if request.allowed_methods:
        text = f"method not allowed; the path knows {', '.join(request.allowed_methods)}"
        return _answer(405, text, request)
    return _answer(404, "not found", request)


def _answer(status: int, text: str, request: WireRequest) -> WireResponse:
    body = {"api_id": request.request_id, "error": text}
    return WireResponse(status=status, body=json.dumps(body, ensure_ascii=False).encode())
