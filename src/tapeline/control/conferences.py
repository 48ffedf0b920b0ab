"""Use cases about conferences and who is in them.

A conference lives from the seat of its first leg until its last seat is empty. Seats are memory;
the room in the core follows them. Everything that decides whether a conference exists happens
under the lock of its account and name.
"""

from dataclasses import replace

from tapeline.control.live import LiveCall, LiveConference, Seat, epoch_ms, unbroken
from tapeline.control.parts import Parts
from tapeline.domain import event, signal
from tapeline.domain.account import Account
from tapeline.domain.command import (
    ConferenceView,
    GetConference,
    ListConferences,
    ParticipantView,
)
from tapeline.domain.conference import (
    Conference,
    ConferenceEnd,
    ConferenceState,
    Participant,
    ParticipantState,
)
from tapeline.domain.error import ConferenceNotFound, EngineFailed
from tapeline.domain.id import ConferenceId, EpochMs, EventId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.verb import JoinConference
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

ROOM_RATE_HZ = 8000


# What a call program may do.


async def join_conference(parts: Parts, live_call: LiveCall, verb: JoinConference) -> Seat | None:
    """Takes a seat in the live conference of that name, which the first leg makes.

    None when it has `max_members` already. The call must be answered. Raises EngineFailed.
    """
    return await unbroken(_join(parts, live_call, verb))


async def leave_conference(parts: Parts, seat: Seat) -> None:
    """The leg goes back to its private room; `seat.left` is set when the core has said so."""
    try:
        await unbroken(parts.engine.leave(seat.live_call.leg))
    except EngineFailed as error:  # the call ended in this moment
        _log.info("leg_gone_before_leave", call=seat.live_call.call.id, reason=error.reason)


async def _join(parts: Parts, live_call: LiveCall, verb: JoinConference) -> Seat | None:
    async with parts.live.locks.hold((live_call.call.account_id, verb.name)):
        conference = parts.live.conference(live_call.call.account_id, verb.name)
        if conference is None:
            conference = await _open(parts, live_call, verb.name)
        elif verb.max_members is not None and len(conference.seats) >= verb.max_members:
            _log.info("conference_full", conference=conference.conference.id)
            return None
        try:
            seat = await _take_seat(parts, live_call, conference, verb)
        except BaseException:
            await _complete_if_empty(parts, conference)
            raise
    waits = not verb.start_on_enter and conference.conference.state is ConferenceState.INIT
    try:
        await parts.engine.join(
            live_call.leg, conference.room, muted=verb.muted or waits, deaf=verb.deaf or waits
        )
    except EngineFailed:
        await _leave_seat(parts, seat, parts.clock.now_ms())
        raise
    return seat


async def _open(parts: Parts, live_call: LiveCall, name: str) -> LiveConference:
    conference = Conference(
        id=ConferenceId(new_uuid()),
        account_id=live_call.call.account_id,
        name=name,
        node_id=parts.ownership.node_id,
        state=ConferenceState.INIT,
        dialect=live_call.call.dialect,
        creator_call_id=live_call.call.id,
        created_at_ms=parts.clock.now_ms(),
    )
    room = await parts.engine.create_room(rate_hz=ROOM_RATE_HZ)
    try:
        await parts.store.write(lambda tx: tx.conferences.add(conference))
    except BaseException:
        await parts.engine.close_room(room)
        raise
    live = LiveConference(conference=conference, room=room, creator=live_call.call)
    parts.live.add_conference(live)
    return live


async def _take_seat(
    parts: Parts, live_call: LiveCall, conference: LiveConference, verb: JoinConference
) -> Seat:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> Participant:
        participant = Participant(
            member_id=tx.participants.next_member_id(live_call.call.account_id),
            conference_id=conference.conference.id,
            call_id=live_call.call.id,
            state=ParticipantState.JOINING,
            muted=verb.muted,
            deaf=verb.deaf,
            end_conference_on_exit=verb.end_on_exit,
            joined_at_ms=now_ms,
        )
        tx.participants.add(participant)
        return participant

    seat = Seat(
        live_call=live_call,
        conference=conference,
        participant=await parts.store.write(work),
        start_on_enter=verb.start_on_enter,
        callback_url=verb.callback_url,
        callback_method=verb.callback_method,
    )
    conference.seats[live_call.call.id] = seat
    live_call.seat = seat
    return seat


# What the core reports.


async def note_joined(parts: Parts, joined: signal.ParticipantJoined) -> None:
    seat = parts.live.seat(joined.leg, joined.room)
    if seat is None:
        return
    conference = seat.conference
    starts = seat.start_on_enter and conference.conference.state is ConferenceState.INIT
    row = conference.conference
    if starts:
        row = replace(row, state=ConferenceState.IN_PROGRESS)
    participant = replace(
        seat.participant, state=ParticipantState.JOINED, joined_at_ms=epoch_ms(joined.unix_us)
    )
    is_first = not any(other.has_joined for other in conference.seats.values())
    account = await parts.accounts.get(row.account_id)
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> None:
        tx.participants.update(participant)
        if starts:
            tx.conferences.update(row)
            tx.emit(
                event.ConferenceStarted(
                    id=EventId(new_uuid()), at_ms=now_ms, account=account, conference=row
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
            )
        )

    await parts.store.write(work)
    seat.participant, seat.has_joined, conference.conference = participant, True, row
    _log.info("participant_joined", conference=row.id, call=seat.live_call.call.id)
    if starts:
        await _end_waiting(parts, conference)


async def _end_waiting(parts: Parts, conference: LiveConference) -> None:
    """Who came before the conference started was kept in silence until now."""
    for seat in list(conference.seats.values()):
        if not seat.start_on_enter:
            try:
                await parts.engine.set_participant(
                    seat.live_call.leg, muted=seat.participant.muted, deaf=seat.participant.deaf
                )
            except EngineFailed as error:
                _log.info("leg_gone_while_waiting", reason=error.reason)


async def note_left(parts: Parts, left: signal.ParticipantLeft) -> None:
    seat = parts.live.seat(left.leg, left.room)
    if seat is not None:
        await _leave_seat(parts, seat, epoch_ms(left.unix_us))


async def note_room_empty(parts: Parts, empty: signal.RoomEmpty) -> None:
    conference = parts.live.rooms.get(empty.room)
    if conference is None:
        return
    async with parts.live.locks.hold(_key(conference)):
        await _complete_if_empty(parts, conference)


async def left_because_call_ended(parts: Parts, seat: Seat) -> None:
    """The SIP side tells the end of a call before the room's tick tells that its leg left."""
    await _leave_seat(parts, seat, parts.clock.now_ms())


async def _leave_seat(parts: Parts, seat: Seat, at_ms: EpochMs) -> None:
    conference = seat.conference
    if conference.seats.pop(seat.live_call.call.id, None) is None:
        return
    seat.live_call.seat = None
    is_last = not conference.seats
    account = await parts.accounts.get(conference.conference.account_id)
    participant = replace(seat.participant, state=ParticipantState.LEFT, left_at_ms=at_ms)
    # One that never got in is nobody's event.
    left = _left_event(account, seat, participant, is_last=is_last) if seat.has_joined else None

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
    if participant.end_conference_on_exit and conference.seats:
        await end_conference(parts, conference, ConferenceEnd.HOST_LEFT)
    if is_last:
        async with parts.live.locks.hold(_key(conference)):
            await _complete_if_empty(parts, conference)


def _left_event(
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
    )


async def end_conference(parts: Parts, conference: LiveConference, reason: ConferenceEnd) -> None:
    """Sends everyone back to their own documents; the last to leave completes it."""
    conference.end_reason = reason
    for seat in list(conference.seats.values()):
        await leave_conference(parts, seat)


async def _complete_if_empty(parts: Parts, conference: LiveConference) -> None:
    """Under the name's lock. The room closes first, so its recordings finish with it."""
    if conference.seats or conference.is_closing:
        return
    conference.is_closing = True
    try:
        await parts.engine.close_room(conference.room)
    except EngineFailed as error:
        parts.bugs.add("close_room", error)
    account = await parts.accounts.get(conference.conference.account_id)
    completed = completed_conference(
        conference.conference, conference.end_reason, parts.clock.now_ms()
    )
    try:
        await parts.store.write(lambda tx: close_conference(tx, completed, account))
        conference.conference = completed
    finally:
        parts.live.remove_conference(conference)
    _log.info("conference_ended", conference=completed.id, reason=completed.end_reason)


def completed_conference(
    conference: Conference, reason: ConferenceEnd, now_ms: EpochMs
) -> Conference:
    return replace(
        conference, state=ConferenceState.COMPLETED, end_reason=reason, ended_at_ms=now_ms
    )


def close_conference(tx: Transaction, completed: Conference, account: Account) -> None:
    """The row and its event. One that never started ends without an event."""
    was = tx.conferences.get(completed.id)
    tx.conferences.update(completed)
    if was is not None and was.state is ConferenceState.IN_PROGRESS:
        tx.emit(
            event.ConferenceEnded(
                id=EventId(new_uuid()),
                at_ms=completed.ended_at_ms or completed.created_at_ms,
                account=account,
                conference=completed,
            )
        )


def _key(conference: LiveConference) -> tuple[str, str]:
    return (conference.conference.account_id, conference.conference.name)


# What is asked from outside.


async def list_conferences(parts: Parts, command: ListConferences) -> tuple[ConferenceView, ...]:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> tuple[ConferenceView, ...]:
        found = tx.conferences.list(
            command.account_id, only_live=command.only_live, limit=command.limit
        )
        return tuple(_view(tx, conference, now_ms) for conference in found)

    return tuple(_with_levels(parts, view) for view in await parts.store.read(work))


async def get_conference(parts: Parts, command: GetConference) -> ConferenceView:
    now_ms, wanted = parts.clock.now_ms(), command.conference

    def work(tx: Transaction) -> ConferenceView:
        conference = tx.conferences.live(wanted.account_id, wanted.name)
        if conference is None:
            raise ConferenceNotFound(wanted.name)
        view = _view(tx, conference, now_ms)
        if not view.participants:
            raise ConferenceNotFound(wanted.name)
        return view

    return _with_levels(parts, await parts.store.read(work))


def _with_levels(parts: Parts, view: ConferenceView) -> ConferenceView:
    participants = []
    for each in view.participants:
        live_call = parts.live.calls_by_id.get(each.call.id)
        levels = parts.engine.levels(live_call.leg) if live_call is not None else None
        participants.append(replace(each, levels=levels))
    return replace(view, participants=tuple(participants))


def _view(tx: Transaction, conference: Conference, now_ms: EpochMs) -> ConferenceView:
    views = []
    for participant in tx.participants.present(conference.id):
        call = tx.calls.get(participant.call_id)
        if call is not None:
            views.append(ParticipantView(participant=participant, call=call))
    return ConferenceView(
        conference=conference,
        participants=tuple(views),
        now_ms=now_ms,
        creator=tx.calls.get(conference.creator_call_id),
    )
