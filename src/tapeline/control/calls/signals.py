"""What the core reports about calls: each becomes a row's next state and its event."""

from dataclasses import replace
from functools import partial

from tapeline.control import recordings
from tapeline.control.bridges import end_bridge
from tapeline.control.calls.dialling import note_loser, note_winner
from tapeline.control.calls.ends import end_of, ended_call
from tapeline.control.calls.rows import change_call
from tapeline.control.conferences.signals import left_because_call_ended
from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.control.playing.press import press_beside
from tapeline.control.policy import record_from
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState
from tapeline.domain.command import RecordOnAnswer, StartCallRecording
from tapeline.domain.error import Conflict, NotFound, Unavailable
from tapeline.domain.id import EventId, new_uuid
from tapeline.domain.policy import RecordFrom
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def note_ringing(parts: Parts, ringing: signal.CallRinging) -> None:
    """A dialled phone rings; it may say so several times."""
    live_call = await parts.live.call_of(ringing.leg)
    if live_call is not None:
        live_call.has_rung = True
        await change_call(parts, live_call, _ringing, event.CallRinging)


def _ringing(call: Call) -> Call:
    return replace(call, state=CallState.RINGING) if call.state is CallState.DIALING else call


async def note_answered(parts: Parts, answered: signal.CallAnswered) -> None:
    """A call that we dialled is recorded, and gets its program, from here on."""
    live_call = await parts.live.call_of(answered.leg)
    if live_call is None:
        return
    if live_call.branches is not None:
        await note_winner(parts, live_call, answered.leg)
    live_call.is_answered = True
    now_ms = parts.clock.now_ms()
    call = await change_call(
        parts,
        live_call,
        lambda call: replace(call, state=CallState.ANSWERED, answered_at_ms=now_ms),
        event.CallAnswered,
    )
    live_call.answered.set()
    _log.info("call_answered", call=call.id)
    if live_call.keys_on_answer is not None:
        press_beside(parts, [live_call], live_call.keys_on_answer)
    await record_from(parts, live_call, RecordFrom.ANSWER)
    wanted, live_call.record_on_answer = live_call.record_on_answer, None
    if wanted is not None:
        await _record(parts, live_call, wanted)
    if live_call.starts_program and live_call.end is None:
        live_call.starts_program = False
        parts.programs.start(live_call)


async def _record(parts: Parts, live_call: LiveCall, wanted: RecordOnAnswer) -> None:
    """A recording that cannot start harms no call."""
    call = live_call.call
    command = StartCallRecording(
        account_id=call.account_id,
        call_id=call.id,
        starter=wanted.starter,
        options=wanted.options,
    )
    try:
        await recordings.start_call_recording(parts, command)
    except (Conflict, NotFound, Unavailable) as fault:
        parts.counts.add("recordings_not_started")
        _log.warning("recording_not_started", call=call.id, reason=str(fault))


async def note_ended(parts: Parts, ended: signal.CallEnded) -> None:
    """The program is stopped first; then the call leaves where it is and its row closes."""
    live_call = await parts.live.call_of(ended.leg)
    if live_call is None:  # refused before it had a row
        parts.live.refused.discard(ended.leg)
        return
    outcome = await note_loser(parts, live_call, ended)
    if outcome is None:
        return
    live_call.is_over = True
    await parts.programs.end(live_call)
    if live_call.bridge is not None:
        await end_bridge(parts, live_call.bridge)
    if live_call.seat is not None:
        await left_because_call_ended(parts, live_call.seat)
    end = end_of(live_call, outcome)
    now_ms = parts.clock.now_ms()
    try:
        call = await change_call(
            parts,
            live_call,
            lambda call: ended_call(call, end, now_ms),
            partial(event.CallEnded, quality=ended.quality),
        )
    finally:
        parts.live.remove_call(live_call)
        if live_call.passage.trunk_id is not None:
            parts.trunks.free_channel(live_call.passage.trunk_id)
        live_call.ended.set()
    _log.info("call_ended", call=call.id, cause=end.cause, source=end.source, detail=end.detail)


def close_call(
    tx: Transaction, call: Call, account: Account, application: Application | None
) -> None:
    """The row and its event, of a call that lives no more."""
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


def hear_digit(parts: Parts, pressed: signal.Digit) -> bool:
    """Goes to whoever listens, at once and in memory only. Whether it is an event too: commands
    steer the call, and no recording that hears it is paused (design.md §5.10).
    """
    live_call = parts.live.calls.get(pressed.leg)
    if live_call is None:
        return False
    for inbox in live_call.inboxes:
        if not inbox.put(pressed.digit):
            parts.counts.add("digits_dropped")
    is_commanded = parts.dialects[live_call.call.dialect].parse_answer is None
    return is_commanded and not live_call.withholds_digits


async def note_digit(parts: Parts, pressed: signal.Digit) -> None:
    """After `hear_digit` said so."""
    live_call = parts.live.calls.get(pressed.leg)
    if live_call is None:
        return
    account = await parts.accounts.get(live_call.call.account_id)
    told = event.DigitReceived(
        id=EventId(new_uuid()),
        at_ms=parts.clock.now_ms(),
        account=account,
        call=live_call.call,
        application=live_call.application,
        digit=pressed.digit,
    )
    await parts.store.write(lambda tx: tx.emit(told))
