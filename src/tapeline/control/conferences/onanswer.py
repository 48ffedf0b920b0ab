"""A dialled call joins its conference, or makes it, when it is answered."""

import asyncio
from dataclasses import replace

from tapeline.control.conferences.commands import found, join_call, seating_of
from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.domain.command import ConferenceRef, CreateConference, JoinCall, JoinOnAnswer
from tapeline.domain.error import AlreadyExists, ConferenceNotFound, TapelineError
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def join_when_answered(parts: Parts, live_call: LiveCall, wanted: JoinOnAnswer) -> None:
    """Whoever dialled has his answer already: what goes wrong is logged."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (live_call.answered, live_call.ended)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    if not live_call.answered.is_set() or live_call.is_over:
        return
    try:
        await _join(parts, live_call, wanted)
    except TapelineError as error:
        _log.warning("conference_not_joined", call=live_call.call.id, reason=str(error))
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("join on answer", error)


async def _join(parts: Parts, live_call: LiveCall, wanted: JoinOnAnswer) -> None:
    call = live_call.call
    join = JoinCall(
        conference=ConferenceRef(
            account_id=call.account_id, name=wanted.conference, may_be_id=wanted.is_id
        ),
        call_id=call.id,
        muted=wanted.muted,
        on_hold=wanted.on_hold,
        hold_sound=wanted.hold_sound,
        role=wanted.role,
        whispers_to=wanted.whispers_to,
        end_on_exit=wanted.end_on_exit,
        hangs_up_on_exit=wanted.hangs_up_on_exit,
        starts_conference=wanted.starts_conference,
    )
    try:
        await join_call(parts, join)
    except ConferenceNotFound:
        if wanted.is_id:
            raise
        await _found(parts, live_call, wanted, join)


async def _found(parts: Parts, live_call: LiveCall, wanted: JoinOnAnswer, join: JoinCall) -> None:
    call = live_call.call
    create = CreateConference(
        account_id=call.account_id,
        name=wanted.conference,
        call_id=call.id,
        dialect=call.dialect,
        hold_sound=wanted.hold_sound,
    )
    seating = replace(seating_of(wanted), start_on_enter=wanted.starts_on_create)
    try:
        await found(parts, live_call, create, seating)
    except AlreadyExists:  # another call of that name was answered in this moment
        await join_call(parts, join)
