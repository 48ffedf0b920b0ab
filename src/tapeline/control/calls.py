"""Use cases about calls: their arrival, what a call program may do with a leg, their end."""

from dataclasses import replace

from tapeline.control.conferences import left_because_call_ended
from tapeline.control.live import End, LiveCall, unbroken
from tapeline.control.parts import Parts, Programs
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command import ListCalls
from tapeline.domain.error import EngineFailed
from tapeline.domain.id import CallId, EpochMs, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

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

ENDS = {
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
    "fault": End(cause=EndCause.FAULT, source=EndSource.ERROR, detail="a fault inside the core"),
    "command": End(
        cause=EndCause.FAULT, source=EndSource.SYSTEM, detail="the core ended it unasked"
    ),
}
"""By `signal.CallEnded.by`, for calls whose end the control plane did not choose."""


async def arrive(parts: Parts, programs: Programs, arrived: signal.CallArrived) -> None:
    """Finds number, application and account; adds the row; hands the call to its program."""
    if parts.live.is_draining:
        await _refuse(parts, arrived, UNAVAILABLE)
        return
    found = await parts.store.read(lambda tx: _destination(tx, arrived.called))
    if found is None:
        parts.counts.add("calls_to_unknown_numbers")
        _log.info("call_refused", reason="unknown number", source=arrived.source)
        await _refuse(parts, arrived, NOT_FOUND)
        return
    number, application, account = found
    call = _new_call(parts, arrived, number, application)

    def work(tx: Transaction) -> None:
        tx.calls.add(call)
        tx.emit(
            event.CallArrived(
                id=EventId(new_uuid()),
                at_ms=call.created_at_ms,
                account=account,
                call=call,
                application=application,
            )
        )

    try:
        await parts.store.write(work)
    except BaseException:
        await _refuse(parts, arrived, UNAVAILABLE)
        raise
    live_call = LiveCall(leg=arrived.leg, call=call, application=application)
    parts.live.add_call(live_call)
    _log.info("call_arrived", call=call.id, application=application.id, source=arrived.source)
    programs.start(live_call)


def _destination(tx: Transaction, called: str) -> tuple[Number, Application, Account] | None:
    number = tx.numbers.match(called)
    if number is None:
        return None
    application = tx.applications.get(number.application_id)
    account = tx.accounts.get(number.account_id)
    if application is None or account is None:
        return None
    return number, application, account


def _new_call(
    parts: Parts, arrived: signal.CallArrived, number: Number, application: Application
) -> Call:
    return Call(
        id=CallId(new_uuid()),
        account_id=number.account_id,
        application_id=application.id,
        dialect=application.dialect,
        node_id=parts.ownership.node_id,
        direction=Direction.INBOUND,
        caller=arrived.caller,
        caller_name=arrived.caller_name,
        called=arrived.called,
        matched=number.match(arrived.called) or "",
        session_id=new_uuid(),
        state=CallState.RINGING,
        headers=dict(arrived.extra_headers),
        created_at_ms=parts.clock.now_ms(),
    )


async def _refuse(parts: Parts, arrived: signal.CallArrived, status: int) -> None:
    try:
        await parts.engine.reject(arrived.leg, status=status, reason=REASONS[status])
    except EngineFailed as error:  # the caller gave up first
        _log.info("call_gone_before_refusal", reason=error.reason)


# What a call program may do.


async def ring(parts: Parts, live_call: LiveCall) -> None:
    """180 Ringing."""
    await unbroken(parts.engine.ring(live_call.leg))


async def answer(parts: Parts, live_call: LiveCall) -> None:
    """200 OK, once; the row follows when the core reports it. Raises EngineFailed."""
    if live_call.is_answered:
        return
    await unbroken(parts.engine.answer(live_call.leg))
    live_call.is_answered = True


async def hang_up(
    parts: Parts, live_call: LiveCall, end: End, *, reject_status: int | None = None
) -> None:
    """BYE, or before the answer a final response. The first end that was meant is kept."""
    if live_call.is_over:
        return
    live_call.end = live_call.end or end
    try:
        if reject_status is not None and not live_call.is_answered:
            reason = REASONS.get(reject_status, "Rejected")
            await unbroken(parts.engine.reject(live_call.leg, status=reject_status, reason=reason))
        else:
            await unbroken(parts.engine.hang_up(live_call.leg))
    except EngineFailed as error:  # it ended by itself in this moment
        _log.info("call_gone_before_hang_up", call=live_call.call.id, reason=error.reason)


# What the core reports.


async def note_answered(parts: Parts, answered: signal.CallAnswered) -> None:
    live_call = parts.live.calls.get(answered.leg)
    if live_call is None:
        return
    live_call.is_answered = True
    account = await parts.accounts.get(live_call.call.account_id)
    now_ms = parts.clock.now_ms()
    call = replace(live_call.call, state=CallState.ANSWERED, answered_at_ms=now_ms)

    def work(tx: Transaction) -> None:
        tx.calls.update(call)
        tx.emit(
            event.CallAnswered(
                id=EventId(new_uuid()),
                at_ms=now_ms,
                account=account,
                call=call,
                application=live_call.application,
            )
        )

    await parts.store.write(work)
    live_call.call = call
    _log.info("call_answered", call=call.id)


async def note_ended(parts: Parts, programs: Programs, ended: signal.CallEnded) -> None:
    """The program is stopped first; then the call leaves its conference and its row closes."""
    live_call = parts.live.calls.get(ended.leg)
    if live_call is None:  # refused before it had a row
        return
    live_call.is_over = True
    await programs.end(live_call)
    if live_call.seat is not None:
        await left_because_call_ended(parts, live_call.seat)
    end = _end_of(live_call, ended.by)
    account = await parts.accounts.get(live_call.call.account_id)
    now_ms = parts.clock.now_ms()
    call = ended_call(live_call.call, end, now_ms)
    try:
        await parts.store.write(lambda tx: close_call(tx, call, account, live_call.application))
        live_call.call = call
    finally:
        parts.live.remove_call(live_call)
    _log.info("call_ended", call=call.id, cause=end.cause, source=end.source, detail=end.detail)


def _end_of(live_call: LiveCall, by: str) -> End:
    """The end that was meant, unless somebody else was faster: a caller's BYE empties its seat, and
    its program may be about to hang up when the core tells of the end.
    """
    if live_call.end is not None and by == "command":
        return live_call.end
    return ENDS.get(by, ENDS["fault"])


def ended_call(call: Call, end: End, now_ms: EpochMs) -> Call:
    return replace(
        call,
        state=CallState.ENDED,
        ended_at_ms=now_ms,
        end_cause=end.cause,
        end_source=end.source,
        end_detail=end.detail,
    )


def close_call(
    tx: Transaction, call: Call, account: Account, application: Application | None
) -> None:
    """The row and its event."""
    tx.calls.update(call)
    tx.emit(
        event.CallEnded(
            id=EventId(new_uuid()),
            at_ms=call.ended_at_ms or call.created_at_ms,
            account=account,
            call=call,
            application=application,
        )
    )


async def list_calls(parts: Parts, command: ListCalls) -> tuple[Call, ...]:
    return tuple(
        await parts.store.read(
            lambda tx: tx.calls.list(
                command.account_id, only_live=command.only_live, limit=command.limit
            )
        )
    )
