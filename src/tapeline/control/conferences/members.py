"""Conferences and who is in them: what call programs and use cases may do.

A conference lives from the seat of its first leg until its last seat is empty. Seats are memory;
the room in the core follows them. Whether a conference exists is decided under the lock of its
account and name; once it `is_ending` nobody new gets a seat, and its name is free when it has gone.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tapeline.control.bridges import end_bridge
from tapeline.control.calls.legs import enter, hang_up, what_failed
from tapeline.control.conferences.seats import (
    complete_if_empty,
    context_of,
    empty_seat,
    voice_of,
    whisperers_to,
)
from tapeline.control.live import End, LiveCall, LiveConference, Seat, unbroken
from tapeline.control.parts import ROOM_RATE_HZ, Parts
from tapeline.domain import event
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.conference import (
    Conference,
    ConferenceEnd,
    ConferenceState,
    Participant,
    ParticipantState,
    Role,
)
from tapeline.domain.error import (
    AlreadyExists,
    AlreadyInConference,
    CallHasEnded,
    ConferenceFull,
    ConferenceHasEnded,
    EngineFailed,
)
from tapeline.domain.id import CallId, ConferenceId, EpochMs, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.verb import JoinConference
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_SOURCES = {ConferenceEnd.API: EndSource.API}
"""Who ends the calls of a conference that ends with them; the system if not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What a conference is to be, if it is not there yet."""

    name: str
    dialect: str
    max_participants: int | None = None
    expires_at_ms: EpochMs | None = None
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """How a call is to sit in a conference."""

    muted: bool = False
    deaf: bool = False
    on_hold: bool = False
    role: Role = Role.NONE
    whispers_to: tuple[CallId, ...] = ()
    start_on_enter: bool = True
    end_on_exit: bool = False
    hangs_up_on_exit: bool = False
    max_members: int | None = None
    callback_url: str | None = None
    callback_method: str = "POST"


# What a call program may do.


async def join_conference(parts: Parts, live_call: LiveCall, verb: JoinConference) -> Seat | None:
    """Takes a seat in the live conference of that name, which the first leg makes, and answers the
    call if it rings.

    None when it is full. Raises EngineFailed.
    """
    founding = Founding(name=verb.name, dialect=live_call.call.dialect)
    seating = Seating(
        muted=verb.muted,
        deaf=verb.deaf,
        start_on_enter=verb.start_on_enter,
        end_on_exit=verb.end_on_exit,
        max_members=verb.max_members,
        callback_url=verb.callback_url,
        callback_method=verb.callback_method,
    )
    while True:
        key = (live_call.call.account_id, verb.name)
        there = parts.live.conferences.get(key)
        if there is not None and there.is_ending:
            await there.gone.wait()
        try:
            return await unbroken(_join_or_make(parts, live_call, founding, seating))
        except ConferenceHasEnded:
            continue
        except ConferenceFull:
            _log.info("conference_full", call=live_call.call.id)
            return None
        except CallHasEnded as error:
            raise EngineFailed("join", "the call has ended") from error


async def leave_conference(parts: Parts, seat: Seat) -> None:
    """The leg goes back to its private room; `seat.left` is set when the core has said so."""
    seat.is_leaving = True
    try:
        await unbroken(parts.engine.leave(seat.live_call.leg))
    except EngineFailed as error:  # the call ended in this moment
        _log.info("leg_gone_before_leave", call=seat.live_call.call.id, reason=error.reason)


# What use cases may do.


async def found_conference(
    parts: Parts, live_call: LiveCall, founding: Founding, seating: Seating
) -> Seat:
    """Makes it and seats its creator. Raises AlreadyExists, CallHasEnded, EngineFailed."""
    account_id = live_call.call.account_id
    async with parts.live.locks.hold((account_id, founding.name)):
        if (account_id, founding.name) in parts.live.conferences:
            raise AlreadyExists(f"a live conference {founding.name!r}")
        seat = await _seat_in_new(parts, live_call, founding, seating)
    try:
        await _enter(parts, seat)
    except EngineFailed as error:
        raise await what_failed(live_call, error) from error
    return seat


async def join_live(
    parts: Parts, live_call: LiveCall, conference: LiveConference, seating: Seating
) -> Seat:
    """Raises ConferenceHasEnded, ConferenceFull, AlreadyInConference, CallHasEnded,
    EngineFailed.
    """
    async with parts.live.locks.hold(conference.key):
        seat = await _take_seat(parts, live_call, conference, seating)
    try:
        await _enter(parts, seat)
    except EngineFailed as error:
        if not conference.is_ending:
            raise await what_failed(live_call, error) from error
    if conference.is_ending:
        raise ConferenceHasEnded(conference.conference.name)
    return seat


async def end_conference(
    parts: Parts, conference: LiveConference, reason: ConferenceEnd, *, hangs_up: bool = False
) -> None:
    """Sends everyone out of it, or home; the last to leave completes it. The first reason stays."""
    if not conference.is_ending:
        conference.is_ending, conference.end_reason = True, reason
    conference.hangs_up = conference.hangs_up or hangs_up
    await asyncio.gather(*(_send_out(parts, seat) for seat in conference.seats.values()))


async def take_over(parts: Parts, live_call: LiveCall) -> None:
    """What steered it does not any more: a document that it followed would take it elsewhere. It
    is in its private room then, or over.
    """
    live_call.starts_program = False
    await parts.programs.end(live_call)
    await set_free(parts, live_call)


async def set_free(parts: Parts, live_call: LiveCall) -> None:
    """Out of its conference or bridge, into its private room. Returns when that is so, or the
    call is over.
    """
    if live_call.bridge is not None:
        await end_bridge(parts, live_call.bridge)
    if live_call.seat is not None:
        seat = live_call.seat
        await leave_conference(parts, seat)
        await seat.left.wait()


# Seats.


async def _join_or_make(
    parts: Parts, live_call: LiveCall, founding: Founding, seating: Seating
) -> Seat:
    key = (live_call.call.account_id, founding.name)
    async with parts.live.locks.hold(key):
        there = parts.live.conferences.get(key)
        if there is not None:
            seat = await _take_seat(parts, live_call, there, seating)
        else:
            seat = await _seat_in_new(parts, live_call, founding, seating)
    await _enter(parts, seat)
    return seat


async def _seat_in_new(
    parts: Parts, live_call: LiveCall, founding: Founding, seating: Seating
) -> Seat:
    """Under the name's lock."""
    conference = await _open(parts, live_call, founding)
    try:
        return await _take_seat(parts, live_call, conference, seating)
    except BaseException:
        await complete_if_empty(parts, conference)
        raise


async def _open(parts: Parts, live_call: LiveCall, founding: Founding) -> LiveConference:
    conference = Conference(
        id=ConferenceId(new_uuid()),
        account_id=live_call.call.account_id,
        name=founding.name,
        node_id=parts.ownership.node_id,
        state=ConferenceState.INIT,
        dialect=founding.dialect,
        creator_call_id=live_call.call.id,
        max_participants=founding.max_participants,
        created_at_ms=parts.clock.now_ms(),
        expires_at_ms=founding.expires_at_ms,
        extras=founding.extras,
    )
    account = await parts.accounts.get(conference.account_id)
    room = await parts.engine.create_room(rate_hz=ROOM_RATE_HZ)
    live = LiveConference(conference=conference, room=room, founder=live_call)
    created = event.ConferenceCreated(
        id=EventId(new_uuid()),
        at_ms=conference.created_at_ms,
        account=account,
        conference=conference,
        **context_of(live),
    )

    def work(tx: Transaction) -> None:
        tx.conferences.add(conference)
        tx.emit(created)

    try:
        await parts.store.write(work)
    except BaseException:
        await parts.engine.close_room(room)
        raise
    parts.live.add_conference(live)
    return live


def _check_room_for(live_call: LiveCall, conference: LiveConference, seating: Seating) -> None:
    name = conference.conference.name
    if conference.is_ending or conference.is_closing:
        raise ConferenceHasEnded(name)
    if live_call.call.id in conference.seats:
        raise AlreadyInConference(live_call.call.id)
    for limit in (seating.max_members, conference.conference.max_participants):
        if limit is not None and len(conference.seats) >= limit:
            raise ConferenceFull(name, limit)


async def _take_seat(
    parts: Parts, live_call: LiveCall, conference: LiveConference, seating: Seating
) -> Seat:
    """Under the name's lock."""
    _check_room_for(live_call, conference, seating)
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> Participant:
        participant = Participant(
            member_id=tx.participants.next_member_id(live_call.call.account_id),
            conference_id=conference.conference.id,
            call_id=live_call.call.id,
            state=ParticipantState.JOINING,
            muted=seating.muted,
            deaf=seating.deaf,
            on_hold=seating.on_hold,
            role=seating.role,
            whispers_to=seating.whispers_to,
            end_conference_on_exit=seating.end_on_exit,
            hangs_up_on_exit=seating.hangs_up_on_exit,
            leg=live_call.leg,
            joined_at_ms=now_ms,
        )
        tx.participants.add(participant)
        return participant

    seat = Seat(
        live_call=live_call,
        conference=conference,
        participant=await parts.store.write(work),
        start_on_enter=seating.start_on_enter,
        callback_url=seating.callback_url,
        callback_method=seating.callback_method,
    )
    if live_call.is_over or live_call.seat is not None:
        # It ended, or sat down elsewhere, while the row was written: nobody would empty this seat.
        gone = replace(seat.participant, state=ParticipantState.LEFT, left_at_ms=now_ms)
        await parts.store.write(lambda tx: tx.participants.update(gone))
        if live_call.is_over:
            raise CallHasEnded(live_call.call.id)
        raise AlreadyInConference(live_call.call.id)
    conference.seats[live_call.call.id] = seat
    live_call.seat = seat
    return seat


async def _enter(parts: Parts, seat: Seat) -> None:
    voice = voice_of(seat)
    conference = seat.conference
    try:
        await enter(parts, seat.live_call, conference.room, voice)
    except EngineFailed:
        await leave_seat(parts, seat, parts.clock.now_ms())
        raise
    seat.is_in_room = True
    if conference.is_ending:
        await _send_out(parts, seat)
    elif seat.is_leaving:
        await leave_conference(parts, seat)
    elif voice_of(seat) != voice:  # it was changed meanwhile
        await apply_seat(parts, seat)
    for whisperer in whisperers_to(seat):
        if whisperer.is_in_room:
            await apply_seat(parts, whisperer)


async def apply_seat(parts: Parts, seat: Seat) -> None:
    """Makes who hears whom in the core what the participant's row says."""
    try:
        await parts.engine.set_participant(seat.live_call.leg, **voice_of(seat))
    except EngineFailed as error:
        _log.info("leg_gone_from_seat", call=seat.live_call.call.id, reason=error.reason)


async def _send_out(parts: Parts, seat: Seat) -> None:
    if seat.conference.hangs_up:
        source = _SOURCES.get(seat.conference.end_reason, EndSource.SYSTEM)
        await hang_up(parts, seat.live_call, End(cause=EndCause.NORMAL, source=source))
    else:
        await leave_conference(parts, seat)


async def leave_seat(parts: Parts, seat: Seat, at_ms: EpochMs) -> None:
    """The leg is not in the room any more; what follows from that follows. Twice is once."""
    if not await empty_seat(parts, seat, at_ms):
        return
    conference = seat.conference
    if seat.participant.end_conference_on_exit and conference.seats:
        await end_conference(
            parts, conference, ConferenceEnd.HOST_LEFT, hangs_up=seat.participant.hangs_up_on_exit
        )
    if not conference.seats:
        async with parts.live.locks.hold(conference.key):
            await complete_if_empty(parts, conference)
