"""Where something is heard, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapeline.control.conferences.seats import context_of
from tapeline.control.live import LiveCall, LiveConference, Seat
from tapeline.control.parts import Parts
from tapeline.control.playlist import Playing, Playlist
from tapeline.domain import event
from tapeline.domain.command import Hearing
from tapeline.domain.id import AccountId, EventId, new_uuid
from tapeline.domain.signal import LegHandle, RoomHandle
from tapeline.domain.sound import Fetched, Sound, SoundOutcome, SoundUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A call, everybody in a conference, or (both) one participant of it."""

    playlist: Playlist
    account_id: AccountId
    leg: LegHandle | None = None
    room: RoomHandle | None = None
    call: LiveCall | None = None
    conference: LiveConference | None = None

    @property
    def is_over(self) -> bool:
        if self.call is not None and (self.call.is_over or self.call.end is not None):
            return True
        return self.conference is not None and self.conference.is_closing


def of_call(live_call: LiveCall) -> Place:
    return Place(
        playlist=live_call.playlist,
        account_id=live_call.call.account_id,
        leg=live_call.leg,
        call=live_call,
    )


def of_room(conference: LiveConference) -> Place:
    return Place(
        playlist=conference.playlist,
        account_id=conference.conference.account_id,
        room=conference.room,
        conference=conference,
    )


def of_seat(seat: Seat) -> Place:
    """Its call has one pair of ears, so one playlist."""
    return Place(
        playlist=seat.live_call.playlist,
        account_id=seat.live_call.call.account_id,
        leg=seat.live_call.leg,
        call=seat.live_call,
        conference=seat.conference,
    )


@dataclass(slots=True, kw_only=True)
class Heard:
    """One hearing at one place."""

    place: Place
    hearing: Hearing
    playing: Playing
    has_begun: bool = False
    outcome: SoundOutcome = field(default=SoundOutcome.STOPPED)
    detail: str = ""


async def tell_started(parts: Parts, heard: Heard) -> None:
    heard.has_begun = True
    if heard.hearing.is_told:
        told = event.SoundStarted(**await _fields(parts, heard))
        await parts.store.write(lambda tx: tx.emit(told))


async def tell_ended(parts: Parts, heard: Heard) -> None:
    if heard.hearing.is_told:
        fields = await _fields(parts, heard)
        told = event.SoundEnded(**fields, outcome=heard.outcome, detail=heard.detail)
        await parts.store.write(lambda tx: tx.emit(told))


async def _fields(parts: Parts, heard: Heard) -> dict[str, Any]:
    place, hearing = heard.place, heard.hearing
    about: Mapping[str, Any] = {}
    if place.conference is not None:
        about = context_of(place.conference)
    elif place.call is not None:
        about = {"application": place.call.application}
    return {
        "id": EventId(new_uuid()),
        "at_ms": parts.clock.now_ms(),
        "account": await parts.accounts.get(place.account_id),
        "is_speech": hearing.use is SoundUse.SPEECH,
        "url": _url_of(hearing.sounds[0]),
        "call": None if place.call is None else place.call.call,
        "conference": None if place.conference is None else place.conference.conference,
        **about,
    }


def _url_of(sound: Sound) -> str | None:
    """What is said stays out of events: a recording may be paused meanwhile (design.md §5.10)."""
    return sound.url if isinstance(sound, Fetched) else None
