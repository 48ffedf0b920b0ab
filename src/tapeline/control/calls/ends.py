"""Why calls end, by what the wire said and by what was asked. Pure."""

from dataclasses import replace

from tapeline.control.live import End, LiveCall
from tapeline.domain import signal
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.id import EpochMs

FORBIDDEN = 403
NOT_FOUND = 404
UNAVAILABLE = 503
REASONS = {
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    603: "Decline",
}

CAUSES = {
    404: EndCause.UNKNOWN_NUMBER,
    408: EndCause.NO_ANSWER,
    410: EndCause.UNKNOWN_NUMBER,
    480: EndCause.NO_ANSWER,
    484: EndCause.UNKNOWN_NUMBER,
    486: EndCause.BUSY,
    487: EndCause.NO_ANSWER,  # unasked: the far end gave up by itself
    500: EndCause.NETWORK,
    502: EndCause.NETWORK,
    503: EndCause.NETWORK,
    504: EndCause.NETWORK,
    600: EndCause.BUSY,
    604: EndCause.UNKNOWN_NUMBER,
}
"""By a final response's status (RFC 3261 §21); every other one rejects, 403 and 603 above all."""

_ENDS = {
    "remote_bye": End(cause=EndCause.NORMAL, source=EndSource.CALLER),
    "remote_cancel": End(cause=EndCause.CANCELED, source=EndSource.CALLER),
    "no_ack": End(
        cause=EndCause.NOT_ACKNOWLEDGED,
        source=EndSource.ERROR,
        detail="the caller never acknowledged our answer",
    ),
    "unreachable": End(
        cause=EndCause.NETWORK, source=EndSource.ERROR, detail="the far end could not be reached"
    ),
    "unanswered": End(
        cause=EndCause.NO_ANSWER, source=EndSource.SYSTEM, detail="it rang for as long as it may"
    ),
    "expired": End(
        cause=EndCause.NETWORK,
        source=EndSource.ERROR,
        detail="the far end did not show that the call lives",
    ),
    "fault": End(cause=EndCause.FAULT, source=EndSource.ERROR, detail="a fault inside the core"),
    "command": End(
        cause=EndCause.FAULT, source=EndSource.SYSTEM, detail="the core ended it unasked"
    ),
}
"""By `signal.CallEnded.by`, for calls whose end the control plane did not choose."""


def cause_of_status(sip_status: int) -> EndCause:
    return CAUSES.get(sip_status, EndCause.REJECTED)


def end_of(live_call: LiveCall, ended: signal.CallEnded) -> End:
    """The end that was meant, unless somebody else was faster: a caller's BYE empties its seat, and
    its program may be about to hang up when the core tells of the end.

    Whom we dialled is the callee.
    """
    if live_call.end is not None and ended.by == "command":
        return live_call.end
    if ended.by == "rejected":
        return End(
            cause=cause_of_status(ended.sip_status),
            source=EndSource.CALLEE,
            detail=f"the far end answered {ended.sip_status}",
        )
    end = _ENDS.get(ended.by, _ENDS["fault"])
    if live_call.call.direction is Direction.OUTBOUND and end.source is EndSource.CALLER:
        return replace(end, source=EndSource.CALLEE)
    return end


def ended_call(call: Call, end: End, now_ms: EpochMs) -> Call:
    return replace(
        call,
        state=CallState.ENDED,
        ended_at_ms=now_ms,
        end_cause=end.cause,
        end_source=end.source,
        end_detail=end.detail,
    )
