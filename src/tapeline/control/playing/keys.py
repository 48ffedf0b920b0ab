"""Use cases: press keys on calls and in conferences."""

from tapeline.control.calls.rows import merge_extras
from tapeline.control.conferences.commands import chosen
from tapeline.control.lookup import answered_call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.control.playing.commands import legs_of
from tapeline.control.playing.press import check_keys, press_beside
from tapeline.domain.command import Done, SendDigits, SendDigitsToConference
from tapeline.domain.conference import Participant


async def send_digits(parts: Parts, command: SendDigits) -> Done:
    check_keys(command.keys)
    live_call = await answered_call_of(parts, command.account_id, command.call_id)
    legs = legs_of(live_call, command.legs)
    await merge_extras(parts, live_call, command.extras)
    press_beside(parts, legs, command.keys)
    return Done()


async def send_digits_to_conference(
    parts: Parts, command: SendDigitsToConference
) -> tuple[Participant, ...]:
    check_keys(command.keys)
    conference = await conference_of(parts, command.conference)
    seats = chosen(conference, command.members)
    press_beside(parts, [seat.live_call for seat in seats], command.keys)
    return tuple(seat.participant for seat in seats)
