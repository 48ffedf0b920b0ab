"""What the core reports about calls: each becomes a row's next state and its event."""

from dataclasses import replace

from tapeline.control.conferences import left_because_call_ended
from tapeline.control.ends import end_of, ended_call
from tapeline.control.parts import Parts
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState
from tapeline.domain.id import EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


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


async def note_ended(parts: Parts, ended: signal.CallEnded) -> None:
    """The program is stopped first; then the call leaves its conference and its row closes."""
    live_call = parts.live.calls.get(ended.leg)
    if live_call is None:  # refused before it had a row
        return
    live_call.is_over = True
    await parts.programs.end(live_call)
    if live_call.seat is not None:
        await left_because_call_ended(parts, live_call.seat)
    end = end_of(live_call, ended)
    account = await parts.accounts.get(live_call.call.account_id)
    now_ms = parts.clock.now_ms()
    call = ended_call(live_call.call, end, now_ms)
    try:
        await parts.store.write(lambda tx: close_call(tx, call, account, live_call.application))
        live_call.call = call
    finally:
        parts.live.remove_call(live_call)
    _log.info("call_ended", call=call.id, cause=end.cause, source=end.source, detail=end.detail)


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


def hear_digit(parts: Parts, pressed: signal.Digit) -> None:
    """Goes to whoever listens, at once and in memory only."""
    live_call = parts.live.calls.get(pressed.leg)
    if live_call is None:
        return
    for inbox in live_call.inboxes:
        if not inbox.put(pressed.digit):
            parts.counts.add("digits_dropped")
