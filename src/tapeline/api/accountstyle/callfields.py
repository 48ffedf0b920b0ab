"""The standard parameters of call webhooks, and the codes of a call's end."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HangupCode(NamedTuple):
    code: int
    name: str
    status: str
    """What `CallStatus` says."""
    cause: str
    """The Q.850 word."""


_FAILED = "failed"
_NORMAL = "NORMAL_CLEARING"
HANGUP_CODES: dict[EndCause, HangupCode] = {
    EndCause.NORMAL: HangupCode(4000, "Normal Hangup", "completed", _NORMAL),
    EndCause.CANCELED: HangupCode(1000, "Canceled", "canceled", "ORIGINATOR_CANCEL"),
    EndCause.BUSY: HangupCode(3010, "Busy Line", "busy", "USER_BUSY"),
    EndCause.REJECTED: HangupCode(3020, "Rejected", "busy", "CALL_REJECTED"),
    EndCause.NO_ANSWER: HangupCode(6010, "Ring Timeout Reached", "no-answer", "NO_ANSWER"),
    EndCause.UNKNOWN_NUMBER: HangupCode(
        2000, "Invalid Destination Address", _FAILED, "UNALLOCATED_NUMBER"
    ),
    EndCause.END_OF_DOCUMENT: HangupCode(4010, "End Of XML Instructions", "completed", _NORMAL),
    EndCause.HANG_UP_VERB: HangupCode(4000, "Normal Hangup", "completed", _NORMAL),
    EndCause.ANSWER_UNREACHABLE: HangupCode(7011, "Error Reaching Answer URL", _FAILED, _NORMAL),
    EndCause.ACTION_UNREACHABLE: HangupCode(7012, "Error Reaching Action URL", _FAILED, _NORMAL),
    EndCause.TRANSFER_UNREACHABLE: HangupCode(
        7013, "Error Reaching Transfer URL", _FAILED, _NORMAL
    ),
    EndCause.REDIRECT_UNREACHABLE: HangupCode(
        7014, "Error Reaching Redirect URL", _FAILED, _NORMAL
    ),
    EndCause.ANSWER_INVALID: HangupCode(8011, "Invalid Answer XML", _FAILED, _NORMAL),
    EndCause.ACTION_INVALID: HangupCode(8012, "Invalid Action XML", _FAILED, _NORMAL),
    EndCause.TRANSFER_INVALID: HangupCode(8013, "Invalid Transfer XML", _FAILED, _NORMAL),
    EndCause.REDIRECT_INVALID: HangupCode(8014, "Invalid Redirect XML", _FAILED, _NORMAL),
    EndCause.TIME_LIMIT: HangupCode(6000, "Scheduled Hangup", "completed", "ALLOTTED_TIMEOUT"),
    EndCause.NOT_ACKNOWLEDGED: HangupCode(
        5000, "Network Error", _FAILED, "RECOVERY_ON_TIMER_EXPIRE"
    ),
    EndCause.NETWORK: HangupCode(5000, "Network Error", _FAILED, "NETWORK_OUT_OF_ORDER"),
    EndCause.NODE_LOST: HangupCode(5010, "Internal Error", _FAILED, "SYSTEM_SHUTDOWN"),
    EndCause.NODE_STOPPED: HangupCode(5010, "Internal Error", "completed", "SYSTEM_SHUTDOWN"),
    EndCause.FAULT: HangupCode(5010, "Internal Error", _FAILED, "NORMAL_TEMPORARY_FAILURE"),
}
UNKNOWN_HANGUP = HangupCode(0, "Unknown", _FAILED, "NORMAL_UNSPECIFIED")

_SOURCES = {
    EndSource.CALLER: "Caller",
    EndSource.CALLEE: "Callee",
    EndSource.API: "API Request",
    EndSource.DOCUMENT: "Answer XML",
    EndSource.ERROR: "Error",
}


def hangup_code(call: Call) -> HangupCode:
    if call.end_cause is None:
        return UNKNOWN_HANGUP
    return HANGUP_CODES[call.end_cause]


def hangup_source(call: Call, *, platform: str) -> str:
    return source_word(call.end_source, platform=platform)


def source_word(source: EndSource | None, *, platform: str) -> str:
    """`platform` is what the dialect calls the system itself."""
    if source is EndSource.SYSTEM:
        return platform
    return _SOURCES[source] if source else "Unknown"


def read_hangup_source(word: str, *, platform: str) -> EndSource | None:
    """`hangup_source` back; None for what is no source. Letter case does not matter."""
    words = {text.lower(): source for source, text in _SOURCES.items()}
    words[platform.lower()] = EndSource.SYSTEM
    return words.get(word.strip().lower())


def billed_seconds(call: Call) -> int:
    """Begun seconds from the answer to the end; 0 for what was never answered or still runs."""
    if call.answered_at_ms is None or call.ended_at_ms is None:
        return 0
    return max(-(-(call.ended_at_ms - call.answered_at_ms) // 1_000), 0)


def webhook_number(number: str) -> str:
    """Webhooks have numbers without the leading plus."""
    return number.removeprefix("+")


def call_status(call: Call) -> str:
    if call.state is CallState.ENDED:
        return hangup_code(call).status
    return "in-progress" if call.state is CallState.ANSWERED else "ringing"


def call_fields(call: Call, *, event: str, header_prefix: str) -> dict[str, str]:
    """What every webhook about a call holds; SIP headers that begin with `header_prefix` too."""
    fields = {
        "CallUUID": call.id,
        "From": webhook_number(call.caller),
        "To": webhook_number(call.called),
        "CallStatus": call_status(call),
        "Direction": call.direction.value,
        "Event": event,
        "CallerName": call.caller_name or webhook_number(call.caller),
        "RequestUUID": call.id,
        "SessionStart": utc_micros(call.created_at_ms),
        "ParentAuthID": call.account_id,
        "BillRate": "0.0",
    }
    if call.direction is Direction.OUTBOUND:
        fields["ALegUUID"] = fields["ALegRequestUUID"] = call.id
    wanted = header_prefix.lower()
    fields.update(
        {name: value for name, value in call.headers.items() if name.lower().startswith(wanted)}
    )
    return fields


def hangup_fields(call: Call, *, platform: str) -> dict[str, str]:
    """What a hangup webhook holds beside the standard parameters."""
    code = hangup_code(call)
    ended_ms = call.ended_at_ms if call.ended_at_ms is not None else call.created_at_ms
    seconds = str(billed_seconds(call))
    return {
        "StartTime": utc_seconds(call.created_at_ms),
        "AnswerTime": "" if call.answered_at_ms is None else utc_seconds(call.answered_at_ms),
        "EndTime": utc_seconds(ended_ms),
        "Duration": seconds,
        "BillDuration": seconds,
        "TotalCost": "0.00000",
        "HangupCause": code.cause,
        "HangupCauseCode": str(code.code),
        "HangupCauseName": code.name,
        "HangupSource": hangup_source(call, platform=platform),
        "ALegUUID": call.id,
        "ALegRequestUUID": call.id,
        "STIRAttestation": "",
        "STIRVerification": "Not Applicable",
    }


def utc_seconds(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M:%S")


def utc_micros(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M:%S.%f")
