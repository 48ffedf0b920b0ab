"""Calls that come in: whose they are, their row, their program."""

from tapeline.control.calls.ends import NOT_FOUND, REASONS, UNAVAILABLE
from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.call import Call, CallState, Direction
from tapeline.domain.error import EngineFailed
from tapeline.domain.id import CallId, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def arrive(parts: Parts, arrived: signal.CallArrived) -> None:
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
    parts.programs.start(live_call)


def _destination(tx: Transaction, called: str) -> tuple[Number, Application, Account] | None:
    number = tx.numbers.match(called)
    if number is None:
        return None
    application = tx.applications.get(number.application_id)
    account = tx.accounts.get(number.account_id)
    if application is None or application.deleted_at_ms is not None or account is None:
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
    parts.live.refused.add(arrived.leg)
    try:
        await parts.engine.reject(arrived.leg, status=status, reason=REASONS[status])
    except EngineFailed as error:  # the caller gave up first
        _log.info("call_gone_before_refusal", reason=error.reason)
