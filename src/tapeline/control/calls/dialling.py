"""Calls that we make: one row, and as many legs as it takes until somebody answers.

A way (`control.live.Way`) is what rings at once: every place of an endpoint, or one target of a
trunk. The first leg that answers is the call; the others are hung up. When all legs of a way have
failed, and it was the way's fault rather than the callee's word, the next way is tried.
"""

import asyncio
from collections import deque
from dataclasses import replace

from tapeline.control.calls.ends import cause_of_status, ended_call
from tapeline.control.calls.legs import hang_up, hang_up_leg
from tapeline.control.calls.outgoing import Outgoing
from tapeline.control.calls.rows import change_call
from tapeline.control.calls.ways import find_ways
from tapeline.control.live import Branches, End, LiveCall, Way, unbroken
from tapeline.control.parts import Parts
from tapeline.domain import event, signal
from tapeline.domain.call import Call, CallState, Direction, EndCause, EndSource
from tapeline.domain.error import Draining, EngineFailed, Invalid, TapelineError, TrunksFull
from tapeline.domain.id import CallId, new_uuid
from tapeline.domain.signal import LegHandle
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

GIVEN_UP = End(
    cause=EndCause.CANCELED, source=EndSource.SYSTEM, detail="nobody waited for it any more"
)
_SHORTEST_RING_MS = 1_000
_SERVER_FAULTS = range(500, 600)
_FOR_ALL = range(600, 700)
"""What one place says for every other (RFC 3261 §16.7)."""
_TELLS_MOST = (EndCause.BUSY, EndCause.REJECTED, EndCause.NO_ANSWER, EndCause.UNKNOWN_NUMBER)


async def dial(parts: Parts, wanted: Outgoing) -> LiveCall:
    """Returns when an INVITE is on its way; `answered` and `ended` of what is returned tell the
    rest. Cancelled, it hangs up again. Raises EngineFailed, Draining, NotRegistered, TrunksFull,
    and Invalid for what can be called by no way.
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
    ways = await find_ways(parts, wanted)
    queued = _queued(parts, wanted)
    await parts.store.write(lambda tx: tx.calls.add(queued))
    branches = Branches(rest=deque(ways), since_ms=parts.clock.now_ms())
    with parts.live.dialling():
        try:
            way = await _try_next(parts, branches)
        except BaseException as error:
            await _never_dialled(parts, queued, error)
            raise
        live_call = LiveCall(
            leg=min(branches.legs),
            call=queued,
            application=wanted.application,
            branches=branches,
            passage=way.passage,
            policy=way.policy,
            record_on_answer=wanted.record,
            keys_on_answer=wanted.keys,
            starts_program=wanted.starts_program,
            time_limit_ms=wanted.time_limit_ms,
        )
        await _note_dialled(parts, live_call, branches)
        parts.live.add_call(live_call)
    made.append(live_call)
    _log.info("call_dialled", call=queued.id, parent=queued.parent_id, legs=len(branches.legs))
    if parts.live.is_draining:  # which has hung up what it knew
        await hang_up(parts, live_call, GIVEN_UP)
        raise Draining
    return live_call


async def _try_next(parts: Parts, branches: Branches) -> Way:
    """Its legs are in `branches` then. Raises what hindered the last way, when none is left."""
    hindrance: TapelineError | None = None
    while branches.rest:
        way = branches.rest.popleft()
        if way.trunk is not None and not parts.trunks.take_channel(way.trunk):
            parts.counts.add("calls_refused_by_full_trunks")
            hindrance = TrunksFull(way.trunk.name)
            continue
        spent_ms = parts.clock.now_ms() - branches.since_ms
        for spec in way.specs:
            ring_ms = max(_SHORTEST_RING_MS, spec.ring_limit_ms - spent_ms)
            try:
                leg = await parts.engine.dial(replace(spec, ring_limit_ms=ring_ms))
            except (EngineFailed, Invalid) as error:
                _log.warning("way_not_dialled", reason=str(error))
                hindrance = error
            else:
                branches.legs.add(leg)
        if branches.legs:
            return way
        _leave(parts, way)
    raise hindrance or EngineFailed("dial", "there is no way left")


def _leave(parts: Parts, way: Way) -> None:
    if way.trunk is not None:
        parts.trunks.free_channel(way.trunk.id)


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


async def _never_dialled(parts: Parts, queued: Call, error: BaseException) -> None:
    """Who asked is told by an exception; the row says why for people."""
    is_full = isinstance(error, TrunksFull)
    cause = EndCause.BUSY if is_full else EndCause.FAULT
    source = EndSource.SYSTEM if is_full else EndSource.ERROR
    end = End(cause=cause, source=source, detail=str(error))
    row = ended_call(queued, end, parts.clock.now_ms())
    await parts.store.write(lambda tx: tx.calls.update(row))


async def _note_dialled(parts: Parts, live_call: LiveCall, branches: Branches) -> None:
    """Before anybody can find the call: what the core says of it comes after this."""
    try:
        await change_call(
            parts,
            live_call,
            lambda call: replace(call, state=CallState.DIALING),
            event.CallDialled,
        )
    except BaseException:
        parts.live.refused.update(branches.legs)
        if live_call.passage.trunk_id is not None:
            parts.trunks.free_channel(live_call.passage.trunk_id)
        await hang_up(parts, live_call, GIVEN_UP)
        raise


# What becomes of the legs.


async def note_winner(parts: Parts, live_call: LiveCall, leg: LegHandle) -> None:
    """This leg is the call from now on; whoever else rings is hung up."""
    branches, live_call.branches = live_call.branches, None
    live_call.leg, live_call.is_answered = leg, True
    losers = branches.legs - {leg} if branches is not None else set()
    for loser in losers:
        parts.live.drop_leg(loser, has_ended=False)
    for loser in losers:
        await hang_up_leg(parts, live_call, loser)


async def note_loser(
    parts: Parts, live_call: LiveCall, ended: signal.CallEnded
) -> signal.CallEnded | None:
    """None when somebody else rings for the call still, or is tried now; else what its end is."""
    branches = live_call.branches
    if branches is None:
        return ended
    branches.legs.discard(ended.leg)
    branches.ends.append(ended)
    if live_call.end is None and ended.sip_status in _FOR_ALL:
        branches.rest.clear()
        for leg in tuple(branches.legs):
            branches.legs.discard(leg)
            parts.live.drop_leg(leg, has_ended=False)
            await hang_up_leg(parts, live_call, leg)
    if branches.legs:
        live_call.leg = min(branches.legs)
        parts.live.drop_leg(ended.leg, has_ended=True)
        return None
    live_call.leg = ended.leg
    if live_call.end is None and branches.rest and _is_fault_of_way(ended):
        return await _go_on(parts, live_call, branches, ended)
    return _tells_most(live_call, branches)


def _is_fault_of_way(ended: signal.CallEnded) -> bool:
    """The callee has not been asked: another way may reach it."""
    if ended.by == "rejected":
        return ended.sip_status in _SERVER_FAULTS
    return ended.by == "unreachable"


async def _go_on(
    parts: Parts, live_call: LiveCall, branches: Branches, ended: signal.CallEnded
) -> signal.CallEnded | None:
    _log.warning("way_failed", call=live_call.call.id, by=ended.by, sip_status=ended.sip_status)
    parts.counts.add("calls_tried_by_another_way")
    with parts.live.dialling():
        was = live_call.passage.trunk_id
        try:
            way = await _try_next(parts, branches)
        except TapelineError as error:
            _log.warning("no_way_left", call=live_call.call.id, reason=str(error))
            return _tells_most(live_call, branches)
        if was is not None:
            parts.trunks.free_channel(was)
        live_call.leg = min(branches.legs)
        live_call.passage, live_call.policy = way.passage, way.policy
        parts.live.add_call(live_call)
        parts.live.drop_leg(ended.leg, has_ended=True)
    if live_call.end is not None:  # it was hung up meanwhile
        await hang_up(parts, live_call, live_call.end)
    return None


def _tells_most(live_call: LiveCall, branches: Branches) -> signal.CallEnded:
    """Of several places the answer that says most of the callee; that it was hung up, when we did
    that.
    """
    if live_call.end is not None:
        return branches.ends[-1]

    def rank(ended: signal.CallEnded) -> int:
        if ended.by not in {"rejected", "unanswered"}:
            return len(_TELLS_MOST) + 1
        cause = EndCause.NO_ANSWER
        if ended.by == "rejected":
            cause = cause_of_status(ended.sip_status)
        return _TELLS_MOST.index(cause) if cause in _TELLS_MOST else len(_TELLS_MOST)

    return min(branches.ends, key=rank)
