"""Conferences as they are shown: rows, and live figures where this node has the legs."""

from dataclasses import replace

from tapeline.control.lookup import conference_row_of
from tapeline.control.parts import Parts
from tapeline.domain.command import (
    ConferenceView,
    GetConference,
    ListConferences,
    ParticipantView,
)
from tapeline.domain.conference import Conference
from tapeline.domain.error import ConferenceNotFound
from tapeline.domain.id import ConferenceId, EpochMs
from tapeline.domain.port import Transaction


async def list_conferences(parts: Parts, command: ListConferences) -> tuple[ConferenceView, ...]:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> tuple[ConferenceView, ...]:
        found = tx.conferences.list(
            command.account_id,
            only_live=command.only_live,
            limit=command.limit,
            name=command.name,
            state=command.state,
        )
        return tuple(_view(tx, conference, now_ms) for conference in found)

    return tuple(_with_levels(parts, view) for view in await parts.store.read(work))


async def get_conference(parts: Parts, command: GetConference) -> ConferenceView:
    now_ms, wanted = parts.clock.now_ms(), command.conference

    def work(tx: Transaction) -> ConferenceView:
        conference = conference_row_of(tx, wanted, even_ended=command.even_ended)
        view = _view(tx, conference, now_ms)
        if not view.participants and not command.even_ended:
            raise ConferenceNotFound(wanted.name)
        return view

    return _with_levels(parts, await parts.store.read(work))


async def view_of(parts: Parts, conference_id: ConferenceId) -> ConferenceView:
    """Of one that is known to have a row. Raises ConferenceNotFound."""
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> ConferenceView:
        conference = tx.conferences.get(conference_id)
        if conference is None:
            raise ConferenceNotFound(conference_id)
        return _view(tx, conference, now_ms)

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
