"""Use cases about conferences that are asked for from outside."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from tapeline.control.calls.legs import hang_up
from tapeline.control.calls.rows import merge_extras
from tapeline.control.checks import check_range
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
from tapeline.control.conferences.seats import stop_hold_music, waits
from tapeline.control.conferences.views import view_of
from tapeline.control.live import End, LiveCall, LiveConference, Seat
from tapeline.control.lookup import answered_call_of, call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.control.playing.places import of_seat
from tapeline.control.playing.players import let_hear
from tapeline.control.playlist import stop
from tapeline.control.sounds import NOT_HEARD
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.command import (
    ConferenceRef,
    ConferenceView,
    CreateConference,
    Done,
    EndConference,
    EndConferences,
    Hearing,
    JoinCall,
    JoinOnAnswer,
    LeaveCall,
    Members,
    RemoveParticipants,
    SetCallRole,
    SetParticipants,
)
from tapeline.domain.conference import MOST_WHISPERED_TO, ConferenceEnd, Participant, Role
from tapeline.domain.error import (
    AlreadyInConference,
    Invalid,
    NotInConference,
    ParticipantNotFound,
)
from tapeline.domain.id import CallId, EpochMs
from tapeline.domain.port import Transaction
from tapeline.domain.sound import Sound, SoundUse
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

HUNG_UP = End(cause=EndCause.NORMAL, source=EndSource.API)


async def create_conference(parts: Parts, command: CreateConference) -> ConferenceView:
    if not command.name:
        raise Invalid(field="name", value=command.name, expected="a name")
    live_call = await answered_call_of(parts, command.account_id, command.call_id)
    seat = await found(parts, live_call, command, Seating(start_on_enter=command.starts_on_create))
    return await view_of(parts, seat.conference.conference.id)


async def found(
    parts: Parts, live_call: LiveCall, command: CreateConference, seating: Seating
) -> Seat:
    """As CreateConference, with the creator seated as is said."""
    now_ms = parts.clock.now_ms()
    limit_ms = command.duration_limit_ms
    founding = Founding(
        name=command.name,
        dialect=command.dialect,
        max_participants=command.max_participants,
        expires_at_ms=None if limit_ms is None else EpochMs(now_ms + limit_ms),
        extras=command.extras,
    )
    async with parts.live.locks.hold(_moves(live_call)):
        if live_call.seat is not None:
            raise AlreadyInConference(command.call_id)
        # First, so that the very first event of the conference tells them.
        await merge_extras(parts, live_call, command.extras)
        await take_over(parts, live_call)
        seat = await found_conference(parts, live_call, founding, seating)
        seat.conference.waiting_sound = command.hold_sound
    await _let_wait(parts, seat)
    return seat


async def join_call(parts: Parts, command: JoinCall) -> Done:
    conference = await conference_of(parts, command.conference)
    live_call = await answered_call_of(parts, command.conference.account_id, command.call_id)
    seating = seating_of(command)
    async with parts.live.locks.hold(_moves(live_call)):
        if live_call.seat is not None and live_call.seat.conference is conference:
            raise AlreadyInConference(command.call_id)
        await merge_extras(parts, live_call, command.extras)
        await take_over(parts, live_call)
        seat = await join_live(parts, live_call, conference, seating)
    await _let_wait(parts, seat, command.hold_sound if command.on_hold else None)
    return Done()


def seating_of(command: JoinCall | JoinOnAnswer) -> Seating:
    """Raises Invalid."""
    return Seating(
        muted=command.muted,
        on_hold=command.on_hold,
        role=command.role,
        whispers_to=checked_listeners(command.whispers_to),
        start_on_enter=command.starts_conference,
        end_on_exit=command.end_on_exit,
        hangs_up_on_exit=command.hangs_up_on_exit,
    )


async def _let_wait(parts: Parts, seat: Seat, sound: Sound | None = None) -> None:
    """Who waits for the start hears what the conference has for that. One that cannot be had keeps
    nobody out.
    """
    if sound is None and waits(seat):
        sound = seat.conference.waiting_sound
    if sound is not None:
        try:
            await _let_hear_on_hold(parts, [seat], sound)
        except NOT_HEARD as error:
            _log.warning("hold_music_not_heard", reason=str(error))


async def _let_hear_on_hold(parts: Parts, seats: list[Seat], sound: Sound) -> None:
    """Instead of what they had; raises what the sound may fail with."""
    for seat in seats:
        await stop(seat.live_call.playlist.chosen(frozenset({SoundUse.HOLD})))
    hearing = Hearing(sounds=(sound,), use=SoundUse.HOLD, loops=0, instead=True)
    await let_hear(parts, [of_seat(seat) for seat in seats], hearing)


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
    checked_listeners(command.whispers_to)
    conference = await conference_of(parts, command.conference)
    seats = chosen(conference, command.members)
    if command.on_hold and command.hold_sound is not None:
        await _let_hear_on_hold(parts, seats, command.hold_sound)
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
    if command.on_hold is False:
        for seat in seats:
            stop_hold_music(seat)
    return tuple(changed)


def checked_listeners(whispers_to: tuple[CallId, ...]) -> tuple[CallId, ...]:
    """Raises OutOfRange for more than the core can tell apart."""
    check_range("whispers_to", len(whispers_to), 0, MOST_WHISPERED_TO)
    return whispers_to


def _changed(participant: Participant, command: SetParticipants) -> Participant:
    asked = {
        "muted": command.muted,
        "deaf": command.deaf,
        "on_hold": command.on_hold,
        "role": command.role,
        "whispers_to": None if command.role is None else command.whispers_to,
        "end_conference_on_exit": command.end_on_exit,
        "hangs_up_on_exit": command.hangs_up_on_exit,
    }
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    return replace(participant, **changes)


async def set_call_role(parts: Parts, command: SetCallRole) -> Done:
    live_call = await call_of(parts, command.account_id, command.call_id)
    seat = live_call.seat
    if seat is None:
        raise NotInConference(command.call_id)
    whispers_to = seat.participant.whispers_to
    if command.role is Role.WHISPER and not whispers_to:
        raise Invalid(field="role", value=command.role.value, expected="somebody to whisper to")
    await merge_extras(parts, live_call, command.extras)
    await set_participants(
        parts,
        SetParticipants(
            conference=ConferenceRef(
                account_id=command.account_id,
                name=seat.conference.conference.id,
                may_be_id=True,
            ),
            members=Members(call_ids=(command.call_id,)),
            role=command.role,
            whispers_to=whispers_to,
        ),
    )
    return Done()


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
    named = members.named
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
