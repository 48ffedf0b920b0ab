"""The verb that takes its call into a conference and keeps it there."""

import asyncio
from contextlib import ExitStack

from tapeline.control import calls, conferences
from tapeline.control.digits import DigitInbox
from tapeline.control.live import Seat
from tapeline.domain.command import ConferenceRef, RecordingView, StartConferenceRecording
from tapeline.domain.error import AlreadyRecording, Conflict, NotFound, Unavailable
from tapeline.domain.id import new_uuid
from tapeline.domain.recording import Starter
from tapeline.domain.verb import JoinConference, RecordOnJoin
from tapeline.flow.walk import Step, Walk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_LEAVE_KEY = "*"
WITHHELD = "withheld"
"""What is told instead of digits while a recording is paused."""


async def join_conference(walk: Walk, verb: JoinConference) -> Step:
    seat = await conferences.join_conference(walk.parts, walk.live_call, verb)
    if seat is None:
        await calls.answer(walk.parts, walk.live_call)
        return None
    walk.note_activity()
    view = await _record(walk, seat, verb.record) if verb.record is not None else None
    await _stay(walk, verb, seat)
    extra = {"verb": "conference", **_facts(seat)}
    if view is not None:
        extra |= {"recording_id": view.recording.id, "record_url": view.link}
    return await walk.act(verb.action, extra)


def _facts(seat: Seat) -> dict[str, str]:
    return {
        "conference_name": seat.conference.conference.name,
        "conference_id": seat.conference.conference.id,
        "member_id": seat.participant.member_id,
    }


async def _stay(walk: Walk, verb: JoinConference, seat: Seat) -> None:
    """Until the call has left the conference, or its time there is up."""
    with ExitStack() as open_things:
        listening: list[asyncio.Task[None]] = []
        if verb.hang_up_on_star or verb.digits_match:
            inbox = open_things.enter_context(calls.listening(walk.live_call))
            listening.append(walk.go_on_beside(_follow_keys(walk, verb, seat, inbox), "keys"))
        try:
            async with asyncio.timeout(verb.time_limit_ms / 1000):
                await seat.left.wait()
        except TimeoutError:
            await conferences.leave_conference(walk.parts, seat)
            await seat.left.wait()
        finally:
            await walk.stop(*listening)


async def _follow_keys(walk: Walk, verb: JoinConference, seat: Seat, inbox: DigitInbox) -> None:
    """What was keyed counts towards one match only."""
    keyed = ""
    longest = max((len(match) for match in verb.digits_match), default=0)
    while True:
        digit = await inbox.get()
        if digit == _LEAVE_KEY and verb.hang_up_on_star:
            await conferences.leave_conference(walk.parts, seat)
            return
        keyed = (keyed + digit)[-longest:] if longest else ""
        if any(match and keyed.endswith(match) for match in verb.digits_match):
            await _tell_match(walk, verb, seat, keyed)
            keyed = ""


async def _tell_match(walk: Walk, verb: JoinConference, seat: Seat, keyed: str) -> None:
    """The longest match that `keyed` ends with. Nothing that is stored holds withheld digits."""
    if verb.callback_url is None:
        return
    match = max((m for m in verb.digits_match if keyed.endswith(m)), key=len)
    digits = WITHHELD if walk.live_call.withholds_digits else match
    extra = {**_facts(seat), "digits": digits}
    await walk.tell("conference_digits", verb.callback_url, verb.callback_method, extra)


async def _record(walk: Walk, seat: Seat, wanted: RecordOnJoin) -> RecordingView | None:
    """A recording that cannot start harms no call."""
    call = walk.live_call.call
    command = StartConferenceRecording(
        conference=ConferenceRef(account_id=call.account_id, name=seat.conference.conference.name),
        starter=Starter(
            dialect=call.dialect,
            request_id=new_uuid(),
            callback_url=wanted.callback_url,
            callback_method=wanted.callback_method,
            extras=wanted.extras,
        ),
        options=wanted.options,
    )
    try:
        return await walk.control.execute(command)
    except AlreadyRecording:
        return None
    except (Conflict, NotFound, Unavailable) as fault:
        _log.warning("recording_not_started", call=call.id, reason=str(fault))
        return None
