"""What the core reports about rooms: each becomes a participant's or conference's next state."""

from dataclasses import replace

from tapeline.control.conferences.members import apply_seat, leave_seat
from tapeline.control.conferences.seats import complete_if_empty, context_of, stop_hold_music
from tapeline.control.live import LiveConference, Seat, epoch_ms
from tapeline.control.parts import Parts
from tapeline.control.policy import record_from
from tapeline.domain import event, signal
from tapeline.domain.conference import Conference, ConferenceState, Participant, ParticipantState
from tapeline.domain.id import EventId, new_uuid
from tapeline.domain.policy import RecordFrom
from tapeline.domain.port import Transaction
from tapeline.telemetry import get_logger

_log = get_logger(__name__)


async def note_joined(parts: Parts, joined: signal.ParticipantJoined) -> None:
    seat = parts.live.seat(joined.leg, joined.room)
    if seat is None:
        return
    await record_from(parts, seat.live_call, RecordFrom.BRIDGE)
    conference = seat.conference
    starts = seat.start_on_enter and conference.conference.state is ConferenceState.INIT
    row = conference.conference
    if starts:
        row = replace(row, state=ConferenceState.IN_PROGRESS)
    async with seat.lock:
        participant = replace(
            seat.participant, state=ParticipantState.JOINED, joined_at_ms=epoch_ms(joined.unix_us)
        )
        await _store_joined(parts, seat, participant, row, starts=starts)
        seat.participant, seat.has_joined, conference.conference = participant, True, row
    _log.info("participant_joined", conference=row.id, call=seat.live_call.call.id)
    if starts:
        await _end_waiting(parts, conference)


async def _store_joined(
    parts: Parts, seat: Seat, participant: Participant, row: Conference, *, starts: bool
) -> None:
    is_first = not any(other.has_joined for other in seat.conference.seats.values())
    account = await parts.accounts.get(row.account_id)
    now_ms, context = parts.clock.now_ms(), context_of(seat.conference)

    def work(tx: Transaction) -> None:
        tx.participants.update(participant)
        if starts:
            tx.conferences.update(row)
            tx.emit(
                event.ConferenceStarted(
                    id=EventId(new_uuid()), at_ms=now_ms, account=account, conference=row, **context
                )
            )
        tx.emit(
            event.ParticipantJoined(
                id=EventId(new_uuid()),
                at_ms=now_ms,
                account=account,
                conference=row,
                participant=participant,
                call=seat.live_call.call,
                is_first=is_first,
                callback_url=seat.callback_url,
                callback_method=seat.callback_method,
                **context,
            )
        )

    await parts.store.write(work)


async def _end_waiting(parts: Parts, conference: LiveConference) -> None:
    """Who came before the conference started was kept in silence until now."""
    for seat in list(conference.seats.values()):
        if not seat.start_on_enter and seat.is_in_room:
            if not seat.participant.on_hold:
                stop_hold_music(seat)
            await apply_seat(parts, seat)


async def note_left(parts: Parts, left: signal.ParticipantLeft) -> None:
    seat = parts.live.seat(left.leg, left.room)
    if seat is not None:
        await leave_seat(parts, seat, epoch_ms(left.unix_us))


async def note_room_empty(parts: Parts, empty: signal.RoomEmpty) -> None:
    conference = parts.live.rooms.get(empty.room)
    if conference is None:
        return
    async with parts.live.locks.hold(conference.key):
        await complete_if_empty(parts, conference)


async def left_because_call_ended(parts: Parts, seat: Seat) -> None:
    """The SIP side tells the end of a call before the room's tick tells that its leg left."""
    await leave_seat(parts, seat, parts.clock.now_ms())
