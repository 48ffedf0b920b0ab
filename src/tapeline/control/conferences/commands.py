"""Use cases about conferences that are asked for from outside."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from tapeline.control.calls.legs import hang_up
from tapeline.control.calls.rows import merge_extras
from tapeline.control.conferences.members import (
    Founding,
    Seating,
    apply_seat,
    end_conference,
    found_conference,
    join_live,
    leave_conference,
    take_over,
)
from tapeline.control.conferences.views import view_of
from tapeline.control.live import End, LiveCall, LiveConference, Seat
from tapeline.control.lookup import answered_call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.command import (
    ConferenceView,
    CreateConference,
    Done,
    EndConference,
    EndConferences,
    JoinCall,
    LeaveCall,
    Members,
    RemoveParticipants,
    SetParticipants,
)
from tapeline.domain.conference import ConferenceEnd, Participant
from tapeline.domain.error import (
    AlreadyInConference,
    Invalid,
    NotInConference,
    ParticipantNotFound,
)
from tapeline.domain.id import EpochMs
from tapeline.domain.port import Transaction

HUNG_UP = End(cause=EndCause.NORMAL, source=EndSource.API)


async def create_conference(parts: Parts, command: CreateConference) -> ConferenceView:
    if not command.name:
        raise Invalid(field="name", value=command.name, expected="a name")
    live_call = await answered_call_of(parts, command.account_id, command.call_id)
    now_ms = parts.clock.now_ms()
    limit_ms = command.duration_limit_ms
    founding = Founding(
        name=command.name,
        dialect=command.dialect,
        max_participants=command.max_participants,
        expires_at_ms=None if limit_ms is None else EpochMs(now_ms + limit_ms),
        extras=command.extras,
    )
    seating = Seating(start_on_enter=command.starts_on_create)
    async with parts.live.locks.hold(_moves(live_call)):
        if live_call.seat is not None:
            raise AlreadyInConference(command.call_id)
        # First, so that the very first event of the conference tells them.
        await merge_extras(parts, live_call, command.extras)
        await take_over(parts, live_call)
        seat = await found_conference(parts, live_call, founding, seating)
    return await view_of(parts, seat.conference.conference.id)


async def join_call(parts: Parts, command: JoinCall) -> Done:
    conference = await conference_of(parts, command.conference)
    live_call = await answered_call_of(parts, command.conference.account_id, command.call_id)
    seating = Seating(
        muted=command.muted,
        on_hold=command.on_hold,
        start_on_enter=command.starts_conference,
        end_on_exit=command.end_on_exit,
        hangs_up_on_exit=command.hangs_up_on_exit,
    )
    async with parts.live.locks.hold(_moves(live_call)):
        if live_call.seat is not None and live_call.seat.conference is conference:
            raise AlreadyInConference(command.call_id)
        await merge_extras(parts, live_call, command.extras)
        await take_over(parts, live_call)
        await join_live(parts, live_call, conference, seating)
    return Done()


def _moves(live_call: LiveCall) -> tuple[str, str]:
    """The lock under which commands take a call from room to room, one after another."""
    return (live_call.call.id, "moves")


async def leave_call(parts: Parts, command: LeaveCall) -> Done:
    conference = await conference_of(parts, command.conference)
    seat = conference.seats.get(command.call_id)
    if seat is None:
        raise NotInConference(command.call_id)
    await leave_conference(parts, seat)
    await seat.left.wait()
    return Done()


async def set_participants(parts: Parts, command: SetParticipants) -> tuple[Participant, ...]:
    conference = await conference_of(parts, command.conference)
    seats = chosen(conference, command.members)
    async with AsyncExitStack() as locks:
        for seat in seats:  # always in the order of their ids: two commands never wait in a circle
            await locks.enter_async_context(seat.lock)
        seats = [seat for seat in seats if not seat.left.is_set()]
        changed = [_changed(seat.participant, command) for seat in seats]

        def work(tx: Transaction) -> None:
            for participant in changed:
                tx.participants.update(participant)

        await parts.store.write(work)
        for seat, participant in zip(seats, changed, strict=True):
            seat.participant = participant
        await _apply(parts, [seat for seat in seats if seat.is_in_room])
    return tuple(changed)


def _changed(participant: Participant, command: SetParticipants) -> Participant:
    return replace(
        participant,
        muted=participant.muted if command.muted is None else command.muted,
        deaf=participant.deaf if command.deaf is None else command.deaf,
        on_hold=participant.on_hold if command.on_hold is None else command.on_hold,
    )


async def _apply(parts: Parts, seats: list[Seat]) -> None:
    """Those that are not in the room yet are changed when they have come."""
    await asyncio.gather(*(apply_seat(parts, seat) for seat in seats))


async def remove_participants(parts: Parts, command: RemoveParticipants) -> tuple[Participant, ...]:
    conference = await conference_of(parts, command.conference)
    seats = chosen(conference, command.members)
    if command.hang_up:
        await asyncio.gather(*(hang_up(parts, seat.live_call, HUNG_UP) for seat in seats))
    else:
        await asyncio.gather(*(leave_conference(parts, seat) for seat in seats))
    return tuple(seat.participant for seat in seats)


async def end_by_command(parts: Parts, command: EndConference) -> Done:
    conference = await conference_of(parts, command.conference)
    await end_conference(parts, conference, ConferenceEnd.API, hangs_up=command.hang_up)
    return Done()


async def end_all_by_command(parts: Parts, command: EndConferences) -> Done:
    for conference in tuple(parts.live.conferences.values()):
        if conference.conference.account_id == command.account_id and not conference.is_closing:
            await end_conference(parts, conference, ConferenceEnd.API, hangs_up=command.hang_up)
    return Done()


def chosen(conference: LiveConference, members: Members) -> list[Seat]:
    """In the order of their member ids. Raises ParticipantNotFound when none of those named is
    there.
    """
    named = (*members.member_ids, *members.call_ids)
    found = [
        seat
        for seat in conference.seats.values()
        if not named
        or seat.participant.member_id in members.member_ids
        or seat.live_call.call.id in members.call_ids
    ]
    if named and not found:
        raise ParticipantNotFound(", ".join(named))
    return sorted(found, key=lambda seat: int(seat.participant.member_id))
