"""What may be done with a call's leg: by its program, and by commands on its behalf."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tapeline.control.calls.ends import REASONS, ended_call
from tapeline.control.calls.rows import change_call
from tapeline.control.digits import DigitInbox
from tapeline.control.live import End, LiveCall, Voice, unbroken
from tapeline.control.parts import Parts
from tapeline.control.playing.play import play as play_file
from tapeline.domain import event
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.command import RecordOnAnswer
from tapeline.domain.error import CallHasEnded, Draining, EngineFailed, TapelineError
from tapeline.domain.id import AccountId, CallId, new_uuid
from tapeline.domain.signal import DialSpec, PlayedTone, PlayFinished, PlaySpec, RoomHandle
from tapeline.domain.sound import Keys
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_END_LIMIT_S = 1.0


async def ring(parts: Parts, live_call: LiveCall) -> None:
    """180 Ringing, to who called us and has not been answered."""
    if live_call.call.direction is Direction.INBOUND and not live_call.is_answered:
        await unbroken(parts.engine.ring(live_call.leg))


async def answer(parts: Parts, live_call: LiveCall) -> None:
    """200 OK, once; the row follows when the core reports it. Raises EngineFailed."""
    async with parts.live.locks.hold((live_call.call.id, "answer")):
        if live_call.is_answered:
            return
        await unbroken(parts.engine.answer(live_call.leg))
        live_call.is_answered = True


async def enter(parts: Parts, live_call: LiveCall, room: RoomHandle, voice: Voice) -> None:
    """Into the room. A call that rings is answered by it, so that the room misses nothing of what
    its phone says. Raises EngineFailed.
    """
    async with parts.live.locks.hold((live_call.call.id, "answer")):
        answers = live_call.call.direction is Direction.INBOUND and not live_call.is_answered
        await parts.engine.join(live_call.leg, room, **voice, answers=answers)
        live_call.is_answered = True


async def hang_up(
    parts: Parts, live_call: LiveCall, end: End, *, reject_status: int | None = None
) -> None:
    """BYE, or before the answer a final response or CANCEL. The first end that was meant is
    kept.
    """
    if live_call.is_over:
        return
    live_call.end = live_call.end or end
    can_reject = not live_call.is_answered and live_call.call.direction is Direction.INBOUND
    if reject_status is not None and can_reject and await _reject(parts, live_call, reject_status):
        return
    try:
        await unbroken(parts.engine.hang_up(live_call.leg))
    except EngineFailed as error:  # it ended by itself in this moment
        _log.info("call_gone_before_hang_up", call=live_call.call.id, reason=error.reason)


async def _reject(parts: Parts, live_call: LiveCall, status: int) -> bool:
    """False when the core would not: it was answered, or ended, in this moment."""
    reason = REASONS.get(status, "Rejected")
    try:
        await unbroken(parts.engine.reject(live_call.leg, status=status, reason=reason))
    except EngineFailed as error:
        _log.info("call_not_rejected", call=live_call.call.id, reason=error.reason)
        return False
    return True


async def what_failed(live_call: LiveCall, error: EngineFailed) -> TapelineError:
    """What to say of something that the core refused: most often the call ended in this moment,
    and its end is on the way to us.
    """
    try:
        async with asyncio.timeout(_END_LIMIT_S):
            await live_call.ended.wait()
    except TimeoutError:
        return error
    return CallHasEnded(live_call.call.id)


async def play(parts: Parts, live_call: LiveCall, path: Path, *, loops: int = 1) -> PlayFinished:
    """Returns when this call alone has heard the file to its end; `loops` 0: never by
    itself. Cancelled, it stops the file. Raises EngineFailed for a file that cannot be read.
    """
    return await play_file(parts, PlaySpec(path=str(path), leg=live_call.leg, loops=loops))


async def play_tones(
    parts: Parts, live_call: LiveCall, tones: tuple[PlayedTone, ...], *, loops: int = 1
) -> PlayFinished:
    """As `play`, of what the core makes by itself."""
    return await play_file(parts, PlaySpec(tones=tones, leg=live_call.leg, loops=loops))


@contextmanager
def listening(live_call: LiveCall) -> Iterator[DigitInbox]:
    """Every digit that the call's phone presses meanwhile, to each of those who listen."""
    inbox = DigitInbox()
    live_call.inboxes.append(inbox)
    try:
        yield inbox
    finally:
        live_call.inboxes.remove(inbox)


# Outgoing calls.

GIVEN_UP = End(
    cause=EndCause.CANCELED, source=EndSource.SYSTEM, detail="nobody waited for it any more"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A call to be made. `target` is a `sip:` URI (`checks.check_sip_uri`)."""

    account_id: AccountId
    application: Application | None
    dialect: str
    target: str
    caller: str
    caller_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ring_limit_ms: int = 120_000
    time_limit_ms: int | None = None
    """From the answer."""
    session_id: str | None = None
    """None: a conversation of its own."""
    parent_id: CallId | None = None
    extras: Mapping[str, str] = field(default_factory=dict)
    record: RecordOnAnswer | None = None
    keys: Keys | None = None
    starts_program: bool = False
    """Once answered it is steered as its application says; else whoever dialled it does."""


async def dial(parts: Parts, wanted: Outgoing) -> LiveCall:
    """Returns when the INVITE is on its way; `answered` and `ended` of what is returned tell the
    rest. Cancelled, it hangs up again. Raises EngineFailed, Draining.
    """
    made: list[LiveCall] = []
    try:
        return await unbroken(_dial(parts, wanted, made))
    except asyncio.CancelledError:
        for live_call in made:
            await hang_up(parts, live_call, GIVEN_UP)
        raise


async def _dial(parts: Parts, wanted: Outgoing, made: list[LiveCall]) -> LiveCall:
    if parts.live.is_draining:
        raise Draining
    queued = _queued(parts, wanted)
    await parts.store.write(lambda tx: tx.calls.add(queued))
    with parts.live.dialling():
        try:
            leg = await parts.engine.dial(_spec(wanted))
        except BaseException as error:
            await _never_dialled(parts, queued, str(error))
            raise
        live_call = LiveCall(
            leg=leg,
            call=queued,
            application=wanted.application,
            record_on_answer=wanted.record,
            keys_on_answer=wanted.keys,
            starts_program=wanted.starts_program,
            time_limit_ms=wanted.time_limit_ms,
        )
        await _note_dialled(parts, live_call)
        parts.live.add_call(live_call)
    made.append(live_call)
    _log.info("call_dialled", call=queued.id, parent=queued.parent_id)
    if parts.live.is_draining:  # which has hung up what it knew
        await hang_up(parts, live_call, GIVEN_UP)
        raise Draining
    return live_call


def _queued(parts: Parts, wanted: Outgoing) -> Call:
    return Call(
        id=CallId(new_uuid()),
        account_id=wanted.account_id,
        application_id=wanted.application.id if wanted.application is not None else None,
        dialect=wanted.dialect,
        node_id=parts.ownership.node_id,
        direction=Direction.OUTBOUND,
        caller=wanted.caller,
        caller_name=wanted.caller_name,
        called=wanted.target,
        session_id=wanted.session_id or new_uuid(),
        state=CallState.QUEUED,
        parent_id=wanted.parent_id,
        headers=wanted.headers,
        extras=wanted.extras,
        created_at_ms=parts.clock.now_ms(),
    )


def _spec(wanted: Outgoing) -> DialSpec:
    return DialSpec(
        uri=wanted.target,
        caller=wanted.caller,
        caller_name=wanted.caller_name,
        headers=tuple(wanted.headers.items()),
        ring_limit_ms=wanted.ring_limit_ms,
    )


async def _never_dialled(parts: Parts, queued: Call, reason: str) -> None:
    """Who asked is told by an exception; the row says why for people."""
    end = End(cause=EndCause.FAULT, source=EndSource.ERROR, detail=reason)
    row = ended_call(queued, end, parts.clock.now_ms())
    await parts.store.write(lambda tx: tx.calls.update(row))


async def _note_dialled(parts: Parts, live_call: LiveCall) -> None:
    """Before anybody can find the call: what the core says of it comes after this."""
    try:
        await change_call(
            parts,
            live_call,
            lambda call: replace(call, state=CallState.DIALING),
            event.CallDialled,
        )
    except BaseException:
        parts.live.refused.add(live_call.leg)
        await hang_up(parts, live_call, GIVEN_UP)
        raise
