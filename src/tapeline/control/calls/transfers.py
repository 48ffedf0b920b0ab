"""Transfers that a phone asks for: REFER, with and without Replaces, and INVITE with Replaces.

Who asks is the giver. Its other party, or the conference that it sits in, gets somebody else: a
target that is called (blind), or whom the giver talks to on another call of ours (attended). Until
that has worked the giver keeps its call.
"""

import asyncio
import re
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from tapeline.control.bridges import bridge
from tapeline.control.calls.dialling import dial
from tapeline.control.calls.legs import answer, hang_up
from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.conferences.commands import join_call
from tapeline.control.conferences.members import take_over
from tapeline.control.live import Bridge, End, LiveCall
from tapeline.control.parts import Parts
from tapeline.control.policy import inherit
from tapeline.domain import signal
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.command import ConferenceRef, JoinCall
from tapeline.domain.error import CallHasEnded, EngineFailed, TapelineError
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

RING_LIMIT_MS = 60_000
_RINGING, _OK = 180, 200
_DECLINE, _NOT_FOUND, _UNAVAILABLE = 603, 404, 503
_STATUSES = {
    EndCause.BUSY: 486,
    EndCause.NO_ANSWER: 480,
    EndCause.CANCELED: 487,
    EndCause.REJECTED: _DECLINE,
    EndCause.UNKNOWN_NUMBER: _NOT_FOUND,
}
PARTED = End(cause=EndCause.NORMAL, source=EndSource.SYSTEM, detail="the other call has ended")
_TRANSFERRED = End(
    cause=EndCause.NORMAL, source=EndSource.SYSTEM, detail="its other party was transferred"
)
_ABANDONED = End(
    cause=EndCause.NORMAL, source=EndSource.SYSTEM, detail="the transfer did not work out"
)
_TARGET = re.compile(r"(?P<scheme>sips?|tel):(?P<rest>[^;?]+)", re.IGNORECASE)


async def note_transfer_asked(parts: Parts, asked: signal.TransferAsked) -> None:
    """Answered at once; what becomes of it is told to the giver as it happens."""
    giver = await parts.live.call_of(asked.leg)
    way = None if giver is None or not parts.accepts_transfers else _way_of(parts, giver, asked)
    if giver is None or way is None or giver.is_transferring:
        await _answer(parts, giver, parts.engine.refuse_transfer(asked.leg, status=_DECLINE))
        return
    if not await _answer(parts, giver, parts.engine.accept_transfer(asked.leg)):
        return
    giver.is_transferring = True
    parts.tasks.start(_transfer(parts, giver, way), name=f"transfer by call {giver.call.id}")


class _Way:
    """What the giver has to give, and to whom: exactly one of `target` and `other` is set."""

    def __init__(self, *, target: str | None, other: LiveCall | None) -> None:
        self.target = target
        self.other = other


def _way_of(parts: Parts, giver: LiveCall, asked: signal.TransferAsked) -> _Way | None:
    """None for what is not to be: nobody is there to be given, or nobody to be given to."""
    if giver.bridge is None and giver.seat is None:
        return None
    if asked.replaces is not None:
        other = parts.live.calls.get(asked.replaces)
        is_own = other is not None and other.call.account_id == giver.call.account_id
        return _Way(target=None, other=other) if is_own and other is not giver else None
    if asked.replaces_header:
        return None  # a call of another house, whose place only its own phones can take
    target = target_of(parts, giver, asked.target)
    return _Way(target=target, other=None) if target is not None else None


def target_of(parts: Parts, giver: LiveCall, uri: str) -> str | None:
    """As `Outgoing.target`: what is addressed to this house is a name or a number of it."""
    found = _TARGET.match(uri)
    if found is None:
        return None
    if found["scheme"].lower() == "tel":
        return found["rest"]
    user, _, host = found["rest"].rpartition("@")
    if not user:
        return None
    ours = {parts.realm.lower(), giver.passage.host.lower()} - {""}
    return unquote(user) if host.lower() in ours else f"sip:{user}@{host}"


async def _transfer(parts: Parts, giver: LiveCall, way: _Way) -> None:
    """Whoever asked has been answered already: what goes wrong is told to it and logged."""
    try:
        if way.other is not None:
            await _give_to_other(parts, giver, way.other)
        elif giver.seat is not None:
            await _call_in(parts, giver, way.target or "")
        else:
            await _give_to_target(parts, giver, way.target or "")
    except TapelineError as error:
        _log.warning("transfer_not_done", call=giver.call.id, reason=str(error))
        await _report(parts, giver, _UNAVAILABLE)
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("transfer", error)
        await _report(parts, giver, _UNAVAILABLE)
    finally:
        giver.is_transferring = False


async def _give_to_target(parts: Parts, giver: LiveCall, target: str) -> None:
    """Blind. Its party stays with the giver until the target answers; a giver that leaves before
    leaves the party waiting, not hung up.
    """
    bridged = giver.bridge
    if bridged is None:
        raise CallHasEnded(giver.call.id)
    party = _other(bridged, giver)
    with _kept(giver, party):
        reached = await _reach(parts, giver, party, target)
        if reached is None or party.is_over:
            await _let_go(parts, party, reached)
            return
        await inherit(parts, giver, party, reached)
        await _connect(parts, party, reached)
        await _report(parts, giver, _OK)
    await hang_up(parts, giver, _TRANSFERRED)


async def _let_go(parts: Parts, party: LiveCall, reached: LiveCall | None) -> None:
    """Nobody is left on a line: the party whose giver has gone meanwhile neither."""
    if reached is not None:
        await hang_up(parts, reached, _ABANDONED)
    if party.bridge is None and party.seat is None:
        await hang_up(parts, party, _ABANDONED)


async def _reach(parts: Parts, giver: LiveCall, party: LiveCall, target: str) -> LiveCall | None:
    """The target once it has answered; None when it has not, which the giver was told."""
    try:
        called = await dial(
            parts,
            Outgoing(
                account_id=giver.call.account_id,
                application=None,
                dialect=giver.call.dialect,
                target=target,
                caller=party.call.caller,
                ring_limit_ms=RING_LIMIT_MS,
                session_id=giver.call.session_id,
                parent_id=party.call.id,
            ),
        )
    except TapelineError as error:
        _log.warning("transfer_not_dialled", call=giver.call.id, reason=str(error))
        await _report(parts, giver, _NOT_FOUND)
        return None
    await _report(parts, giver, _RINGING)
    await _first_of(called.answered, called.ended, party.ended)
    if called.answered.is_set() and not called.is_over:
        return called
    if party.is_over:
        await hang_up(parts, called, _ABANDONED)
    cause = called.call.end_cause or EndCause.CANCELED
    await _report(parts, giver, _STATUSES.get(cause, _UNAVAILABLE))
    return None


async def _give_to_other(parts: Parts, giver: LiveCall, own: LiveCall) -> None:
    """Attended: `own` is the giver's other call; what it is connected to there gets the party."""
    if giver.bridge is not None and own.bridge is not None:
        party, other = _other(giver.bridge, giver), _other(own.bridge, own)
        await inherit(parts, giver, party, other)
        await inherit(parts, own, other, party)
        with _kept(giver, own, party, other):
            await _connect(parts, party, other)
            await _report(parts, giver, _OK)
    elif own.seat is not None and giver.bridge is not None:
        party = _other(giver.bridge, giver)
        await inherit(parts, giver, party)
        with _kept(giver, party):
            await _join(parts, party, own.seat.conference.conference.name)
            await _report(parts, giver, _OK)
    else:
        raise CallHasEnded(own.call.id)
    await hang_up(parts, giver, _TRANSFERRED)
    await hang_up(parts, own, _TRANSFERRED)


async def _call_in(parts: Parts, giver: LiveCall, target: str) -> None:
    """A conference calls somebody in who is named by one of its participants (RFC 4579 §5.5)."""
    seat = giver.seat
    if seat is None:
        raise CallHasEnded(giver.call.id)
    reached = await _reach(parts, giver, giver, target)
    if reached is None:
        return
    try:
        await _join(parts, reached, seat.conference.conference.name)
    except TapelineError:
        await hang_up(parts, reached, _ABANDONED)
        raise
    await _report(parts, giver, _OK)


async def take_place(parts: Parts, newcomer: LiveCall, replaced: LiveCall) -> None:
    """INVITE with Replaces (RFC 3891): the call that came in is answered in place of one of ours,
    which ends. Whoever is not connected to anybody can be replaced by nobody.
    """
    try:
        if replaced.bridge is None and replaced.seat is None:
            raise CallHasEnded(replaced.call.id)  # noqa: TRY301
        await answer(parts, newcomer)
        if replaced.bridge is not None:
            party = _other(replaced.bridge, replaced)
            await inherit(parts, replaced, party, newcomer)
            with _kept(replaced, party):
                await _connect(parts, party, newcomer)
        elif replaced.seat is not None:
            await _join(parts, newcomer, replaced.seat.conference.conference.name)
        await hang_up(parts, replaced, _TRANSFERRED)
    except TapelineError as error:
        _log.warning("place_not_taken", call=newcomer.call.id, reason=str(error))
        await hang_up(parts, newcomer, _ABANDONED, reject_status=_UNAVAILABLE)
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("replaces", error)
        await hang_up(parts, newcomer, _ABANDONED, reject_status=_UNAVAILABLE)


async def _connect(parts: Parts, first: LiveCall, second: LiveCall) -> None:
    """From wherever they are; they end together."""
    one, other = sorted((first, second), key=lambda each: each.call.id)
    async with (
        parts.live.locks.hold((one.call.id, "moves")),
        parts.live.locks.hold((other.call.id, "moves")),
    ):
        for each in (first, second):
            await take_over(parts, each)
            if each.is_over:
                raise CallHasEnded(each.call.id)
        made = await bridge(parts, first, second)
    parts.tasks.start(end_together(parts, made), name="bridge by transfer")


async def end_together(parts: Parts, made: Bridge) -> None:
    """When one hangs up, so does the other, unless it was taken elsewhere or is about to be."""
    await made.ended.wait()
    for each, other in (made.calls, made.calls[::-1]):
        is_free = each.bridge is None and each.seat is None and not each.is_kept
        if (other.is_over or other.end is not None) and is_free:
            await hang_up(parts, each, PARTED)


@contextmanager
def _kept(*live_calls: LiveCall) -> Iterator[None]:
    """Losing whom they had does not end them, nor lets their documents go on, until it is decided
    whom they get.
    """
    for each in live_calls:
        each.decided.clear()
    try:
        yield
    finally:
        for each in live_calls:
            each.decided.set()


async def _join(parts: Parts, live_call: LiveCall, name: str) -> None:
    ref = ConferenceRef(account_id=live_call.call.account_id, name=name)
    await join_call(
        parts, JoinCall(conference=ref, call_id=live_call.call.id, starts_conference=True)
    )


def _other(bridged: Bridge, live_call: LiveCall) -> LiveCall:
    first, second = bridged.calls
    return second if first is live_call else first


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(each.wait()) for each in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


async def _report(parts: Parts, giver: LiveCall, status: int) -> None:
    """A giver that has hung up meanwhile wants to hear nothing."""
    if not giver.is_over:
        await _answer(parts, giver, parts.engine.report_transfer(giver.leg, status=status))


async def _answer(parts: Parts, giver: LiveCall | None, work: Coroutine[None, None, None]) -> bool:
    """False when the core would not: the giver has gone, or the core has answered by itself."""
    try:
        await work
    except EngineFailed as error:
        parts.counts.add("transfers_unanswered")
        _log.info(
            "transfer_not_answered", call=giver.call.id if giver else None, reason=error.reason
        )
        return False
    return True
