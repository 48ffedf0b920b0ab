"""Two legs that hear each other: a room of two in the core, which is no conference.

A bridge lasts until one of its legs ends or is taken to another room. Then its room closes, and
the other leg goes on in its private one.
"""

from tapeline.control.live import Bridge, LiveCall, unbroken
from tapeline.control.parts import ROOM_RATE_HZ, Parts
from tapeline.control.policy import record_from
from tapeline.domain import event, signal
from tapeline.domain.error import EngineFailed
from tapeline.domain.id import EventId, new_uuid
from tapeline.domain.policy import RecordFrom
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def bridge(parts: Parts, first: LiveCall, second: LiveCall) -> Bridge:
    """Both must be answered; from wherever they are they come here. `ended` of what is returned is
    set when they no longer hear each other. Raises EngineFailed, also when one ends meanwhile.
    """
    return await unbroken(_bridge(parts, first, second))


async def end_bridge(parts: Parts, bridged: Bridge) -> None:
    """Both legs go to their private rooms. Ending twice is once."""
    if parts.live.bridges.pop(bridged.room, None) is None:
        return
    for live_call in bridged.calls:
        if live_call.bridge is bridged:
            live_call.bridge = None
    try:
        await unbroken(parts.engine.close_room(bridged.room))
    except EngineFailed as error:
        parts.bugs.add("close_room", error)
    finally:
        bridged.ended.set()
    _log.info("calls_parted", calls=[live_call.call.id for live_call in bridged.calls])


async def note_left(parts: Parts, left: signal.ParticipantLeft) -> None:
    bridged = parts.live.bridges.get(left.room)
    if bridged is not None:
        await end_bridge(parts, bridged)


async def _bridge(parts: Parts, first: LiveCall, second: LiveCall) -> Bridge:
    for live_call in (first, second):
        if live_call.bridge is not None:
            await end_bridge(parts, live_call.bridge)
    room = await parts.engine.create_room(rate_hz=ROOM_RATE_HZ)
    made = Bridge(room=room, calls=(first, second))
    parts.live.bridges[room] = made
    first.bridge = second.bridge = made
    try:
        for live_call in made.calls:
            await record_from(parts, live_call, RecordFrom.BRIDGE)
        for live_call in made.calls:
            await parts.engine.join(live_call.leg, room)
        await _tell(parts, made)
    except BaseException:
        await end_bridge(parts, made)
        raise
    _log.info("calls_bridged", calls=[live_call.call.id for live_call in made.calls])
    return made


async def _tell(parts: Parts, made: Bridge) -> None:
    first, second = made.calls
    account = await parts.accounts.get(first.call.account_id)
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> None:
        for each, other in ((first, second), (second, first)):
            tx.emit(
                event.CallsBridged(
                    id=EventId(new_uuid()),
                    at_ms=now_ms,
                    account=account,
                    call=each.call,
                    application=each.application,
                    other=other.call,
                )
            )

    await parts.store.write(work)
