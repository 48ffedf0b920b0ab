"""Use cases: play into calls and conferences, and stop it."""

from tapeline.control.calls.rows import merge_extras
from tapeline.control.conferences.commands import chosen
from tapeline.control.live import LiveCall
from tapeline.control.lookup import answered_call_of, call_of, conference_of
from tapeline.control.parts import Parts
from tapeline.control.playing.places import of_call, of_room, of_seat
from tapeline.control.playing.players import let_hear
from tapeline.control.playlist import stop
from tapeline.domain.command import (
    Done,
    Legs,
    PlayToCall,
    PlayToConference,
    StopPlayingToCall,
    StopPlayingToConference,
)
from tapeline.domain.conference import Participant
from tapeline.domain.error import NotBridged


async def play_to_call(parts: Parts, command: PlayToCall) -> Done:
    live_call = await answered_call_of(parts, command.account_id, command.call_id)
    legs = legs_of(live_call, command.legs)
    await merge_extras(parts, live_call, command.extras)
    await let_hear(parts, [of_call(each) for each in legs], command.hearing)
    return Done()


def legs_of(live_call: LiveCall, wanted: Legs) -> list[LiveCall]:
    """Raises NotBridged when the other one is wanted and there is none."""
    other = None
    if live_call.bridge is not None:
        other = next(each for each in live_call.bridge.calls if each is not live_call)
    if wanted is Legs.OTHER and other is None:
        raise NotBridged(live_call.call.id)
    own = [] if wanted is Legs.OTHER else [live_call]
    return own if wanted is Legs.OWN or other is None else [*own, other]


async def stop_playing_to_call(parts: Parts, command: StopPlayingToCall) -> Done:
    """What was played to both of two connected calls ends in both."""
    live_call = await call_of(parts, command.account_id, command.call_id)
    await merge_extras(parts, live_call, command.extras)
    for each in legs_of(live_call, Legs.BOTH):
        await stop(each.playlist.chosen(command.uses, only_current=command.only_current))
    return Done()


async def play_to_conference(parts: Parts, command: PlayToConference) -> tuple[Participant, ...]:
    conference = await conference_of(parts, command.conference)
    seats = chosen(conference, command.members)
    places = [of_seat(seat) for seat in seats] if command.members.named else [of_room(conference)]
    await let_hear(parts, places, command.hearing)
    return tuple(seat.participant for seat in seats)


async def stop_playing_to_conference(
    parts: Parts, command: StopPlayingToConference
) -> tuple[Participant, ...]:
    conference = await conference_of(parts, command.conference)
    seats = chosen(conference, command.members)
    if not command.members.named:
        await stop(conference.playlist.chosen(command.uses))
    for seat in seats:
        await stop(seat.live_call.playlist.chosen(command.uses))
    return tuple(seat.participant for seat in seats)
