"""Every error of the domain's tree as Vobiz says it: `{"error": "…"}` and a status."""

import json
from typing import NamedTuple

from tapeline.api.accountstyle.access import is_wrong_case
from tapeline.api.dialect import Operation, WireRequest, WireResponse
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


def row_of(error: fault.TapelineError) -> Row:
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def render_error(error: fault.TapelineError, _request: WireRequest) -> WireResponse:
    row = row_of(error)
    return _answer(row.status, {"error": row.text or str(error)})


def render_unknown(request: WireRequest, operations: tuple[Operation, ...]) -> WireResponse:
    """A voice path in the wrong case is 401, anything else unknown 404 (contract §13.13)."""
    if is_wrong_case(request, operations):
        text = "authentication failed: voice paths are PascalCase (/Account/…/Conference/…)"
        return _answer(401, {"error": text})
    return _answer(404, {"message": "Not Found"})


def _answer(status: int, body: dict[str, str]) -> WireResponse:
    return WireResponse(status=status, body=json.dumps(body, ensure_ascii=False).encode())
