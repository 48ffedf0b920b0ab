"""What becomes of a seat and of its conference in the rows: who hears whom, leaving, the end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tapeline.control.live import LiveConference, Seat, Voice
from tapeline.control.parts import Parts
from tapeline.domain import event
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call
from tapeline.domain.conference import (
    Conference,
    ConferenceEnd,
    ConferenceState,
    Participant,
    ParticipantState,
    Role,
)
from tapeline.domain.error import EngineFailed
from tapeline.domain.id import EpochMs, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.signal import HeardBy
from tapeline.domain.sound import SoundUse
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


def voice_of(seat: Seat) -> Voice:
    """Who waits for the conference to start is as on hold."""
    participant = seat.participant
    return Voice(
        muted=participant.muted,
        deaf=participant.deaf,
        on_hold=participant.on_hold or waits(seat),
        heard_by=_heard_by(seat),
    )


def waits(seat: Seat) -> bool:
    """For the conference to start."""
    return not seat.start_on_enter and seat.conference.conference.state is ConferenceState.INIT


def _heard_by(seat: Seat) -> HeardBy:
    match seat.participant.role:
        case Role.MONITOR:
            return ()
        case Role.WHISPER:
            there = seat.conference.seats
            listeners = [call_id for call_id in seat.participant.whispers_to if call_id in there]
            return tuple(there[call_id].live_call.leg for call_id in listeners)
        case _:
            return "everyone"


def whisperers_to(seat: Seat) -> list[Seat]:
    """Who whispers to this participant: they are heard by it once it is there."""
    call_id = seat.live_call.call.id
    return [
        other
        for other in seat.conference.seats.values()
        if other.participant.role is Role.WHISPER and call_id in other.participant.whispers_to
    ]


def stop_hold_music(seat: Seat) -> None:
    for playing in seat.live_call.playlist.chosen(frozenset({SoundUse.HOLD})):
        playing.stop()


def context_of(conference: LiveConference) -> Mapping[str, Any]:
    """The fields of a ConferenceEvent that say whose conference it is."""
    return {"creator": conference.creator, "application": conference.founder.application}


async def empty_seat(parts: Parts, seat: Seat, at_ms: EpochMs) -> bool:
    """The participant has left: its row, its event. False when it had left before."""
    conference = seat.conference
    if conference.seats.pop(seat.live_call.call.id, None) is None:
        return False
    seat.live_call.seat = None
    stop_hold_music(seat)
    is_last = not conference.seats
    account = await parts.accounts.get(conference.conference.account_id)
    async with seat.lock:
        participant = replace(seat.participant, state=ParticipantState.LEFT, left_at_ms=at_ms)
        # One that never got in is nobody's event.
        left = _left(account, seat, participant, is_last=is_last) if seat.has_joined else None

        def work(tx: Transaction) -> None:
            tx.participants.update(participant)
            if left is not None:
                tx.emit(left)

        try:
            await parts.store.write(work)
        finally:
            seat.participant = participant
            seat.left.set()
    _log.info("participant_left", conference=conference.conference.id, call=participant.call_id)
    return True


def _left(
    account: Account, seat: Seat, participant: Participant, *, is_last: bool
) -> event.ParticipantLeft:
    return event.ParticipantLeft(
        id=EventId(new_uuid()),
        at_ms=participant.left_at_ms or participant.joined_at_ms,
        account=account,
        conference=seat.conference.conference,
        participant=participant,
        call=seat.live_call.call,
        is_last=is_last,
        callback_url=seat.callback_url,
        callback_method=seat.callback_method,
        **context_of(seat.conference),
    )


async def complete_if_empty(parts: Parts, conference: LiveConference) -> None:
    """Under the name's lock. The room closes first, so its recordings finish with it."""
    if conference.seats or conference.is_closing:
        return
    conference.is_closing = conference.is_ending = True
    try:
        await parts.engine.close_room(conference.room)
    except EngineFailed as error:
        parts.bugs.add("close_room", error)
    account = await parts.accounts.get(conference.conference.account_id)
    context = context_of(conference)
    completed = completed_conference(
        conference.conference, conference.end_reason, parts.clock.now_ms()
    )
    try:
        await parts.store.write(lambda tx: close_conference(tx, completed, account, **context))
        conference.conference = completed
    finally:
        parts.live.remove_conference(conference)
        conference.gone.set()
    _log.info("conference_ended", conference=completed.id, reason=completed.end_reason)


def completed_conference(
    conference: Conference, reason: ConferenceEnd, now_ms: EpochMs
) -> Conference:
    return replace(
        conference, state=ConferenceState.COMPLETED, end_reason=reason, ended_at_ms=now_ms
    )


def close_conference(
    tx: Transaction,
    completed: Conference,
    account: Account,
    *,
    creator: Call | None,
    application: Application | None,
) -> None:
    """The row and its event."""
    was = tx.conferences.get(completed.id)
    tx.conferences.update(completed)
    if was is not None and was.state is not ConferenceState.COMPLETED:
        tx.emit(
            event.ConferenceEnded(
                id=EventId(new_uuid()),
                at_ms=completed.ended_at_ms or completed.created_at_ms,
                account=account,
                conference=completed,
                creator=creator,
                application=application,
            )
        )
