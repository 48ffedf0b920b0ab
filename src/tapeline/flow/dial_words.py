"""What a `Dial` says of itself, in tapeline's words (`api.dialect.CallMoment`). Pure."""

from collections.abc import Mapping, Sequence

from tapeline.domain.call import Call, EndCause, EndSource
from tapeline.domain.id import EpochMs

_STATUSES: Mapping[tuple[EndCause, bool], str] = {
    (EndCause.BUSY, False): "busy",
    (EndCause.NO_ANSWER, False): "no-answer",
    (EndCause.NO_ANSWER, True): "timeout",
    (EndCause.CANCELED, False): "cancel",
    (EndCause.CANCELED, True): "cancel",
}
"""By why a call was not answered, and whether that was our own doing; all others have failed."""
_FAILED = "failed"
_BEST_FIRST = ("busy", "no-answer", "timeout", "cancel", _FAILED)


def outcome(
    mine: Call, reached: Call | None, tried: Sequence[Call], *, is_over: bool, has_rung: bool
) -> Mapping[str, str]:
    """What the action is told. `is_over`: the call that dialled has ended; `has_rung`: a phone
    somewhere did.
    """
    status, cause = _status(reached, tried, is_over=is_over)
    return {
        "verb": "dial",
        "dial_status": status,
        "dial_ring_status": "true" if has_rung else "false",
        "dial_hangup_cause": cause,
        "dial_aleg_id": mine.id,
        "dial_bleg_id": reached.id if reached is not None else "",
    }


def _status(reached: Call | None, tried: Sequence[Call], *, is_over: bool) -> tuple[str, str]:
    """The word for it and the `EndCause`; of several whom nobody reached, what says most."""
    if reached is not None:
        return "completed", reached.end_cause or ""
    if is_over:
        return "cancel", EndCause.CANCELED
    found = [
        (_STATUSES.get((call.end_cause, call.end_source is EndSource.SYSTEM), _FAILED), call)
        for call in tried
        if call.end_cause is not None
    ]
    if not found:
        return _FAILED, EndCause.FAULT
    status, call = min(found, key=lambda pair: _BEST_FIRST.index(pair[0]))
    return status, call.end_cause or ""


def progress(mine: Call, other: Call, position: int) -> Mapping[str, str]:
    """What a callback is told of a dialled call."""
    return {
        "dial_aleg_id": mine.id,
        "dial_bleg_id": other.id,
        "dial_bleg_status": other.state.value,
        "dial_bleg_from": other.caller,
        "dial_bleg_to": other.called,
        "dial_bleg_position": str(position),
    }


def end(other: Call, now_ms: EpochMs) -> Mapping[str, str]:
    """What its last callback is told beside that; `now_ms` counts while its row has no end."""
    ended_at_ms = other.ended_at_ms or now_ms
    talked_from_ms = other.answered_at_ms or ended_at_ms
    return {
        "dial_bleg_duration": _seconds(ended_at_ms - other.created_at_ms),
        "dial_bleg_bill_duration": _seconds(ended_at_ms - talked_from_ms),
        "dial_hangup_cause": other.end_cause or "",
        "dial_hangup_source": other.end_source or "",
    }


def _seconds(span_ms: int) -> str:
    """Begun seconds count, as they are billed."""
    return str(-(-max(0, span_ms) // 1_000))
