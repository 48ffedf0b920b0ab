"""Conferences and who is in them, as resources and as commands."""

from typing import Annotated, Literal

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.wire.answer import (
    REGIONS,
    One,
    answer,
    answer_ok,
    answer_part,
    choose,
    choose_boolean,
    filters,
)
from tapeline.api.dialects.telnyx.wire.body import (
    BeepEnabled,
    Body,
    ClientState,
    CommandId,
    Region,
    Text,
    check_one_of,
    once,
    read_body,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.members import hold_sound
from tapeline.api.dialects.telnyx.wire.record import conference_ref
from tapeline.api.schema import Between, HttpUrl, ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.command import (
    ConferenceView,
    CreateConference,
    GetConference,
    ListConferences,
    Members,
    SetParticipants,
)
from tapeline.domain.conference import ConferenceState, Participant, Role
from tapeline.domain.error import ParticipantNotFound
from tapeline.domain.id import EpochMs, MemberId

MOST_LISTED = 1_000
LIFE_MS = 14_400_000
"""Of a conference that does not say (contract §1.1)."""


class EndedByBody(ResponseBody):
    call_control_id: str | None
    call_session_id: str | None


class ConferenceBody(ResponseBody):
    record_type: Literal["conference"] = "conference"
    id: str
    name: str
    created_at: str
    expires_at: str
    updated_at: str
    connection_id: str | None
    region: str | None
    status: Literal["init", "in_progress", "completed"]
    end_reason: Literal["all_left", "ended_via_api", "host_left", "time_exceeded"] | None
    ended_by: EndedByBody | None


class ConferenceNameBody(ResponseBody):
    id: str
    name: str


class ParticipantState(ResponseBody):
    id: str
    call_control_id: str
    call_leg_id: str
    created_at: str
    updated_at: str
    end_conference_on_exit: bool
    soft_end_conference_on_exit: bool
    muted: bool
    on_hold: bool
    status: Literal["joining", "joined", "left"]
    whisper_call_control_ids: list[str]


class ParticipantBody(ParticipantState):
    """As the list has it."""

    record_type: Literal["participant"] = "participant"
    conference: ConferenceNameBody


class OneParticipantBody(ParticipantState):
    conference_id: str
    label: str | None


class CreateBody(Body):
    """Comfort noise and beeps at the door are accepted without effect."""

    call_control_id: Text
    name: Text
    beep_enabled: BeepEnabled = "never"
    client_state: ClientState | None = None
    comfort_noise: bool = True
    command_id: CommandId | None = None
    duration_minutes: Annotated[int, Between(1, 1_440)] | None = None
    hold_audio_url: HttpUrl | None = None
    hold_media_name: Text | None = None
    max_participants: Annotated[int, Between(2, 800)] = 250
    region: Region | None = None
    start_conference_on_create: bool = True


class PatchParticipantBody(Body):
    """A beep at the door is accepted without effect."""

    beep_enabled: BeepEnabled | None = None
    end_conference_on_exit: bool | None = None
    soft_end_conference_on_exit: bool | None = None


def read_create(request: WireRequest, account: Account) -> CreateConference:
    body = read_body(CreateBody, request)
    check_one_of("hold_audio_url", body.hold_audio_url, "hold_media_name", body.hold_media_name)
    call_id = words.read_call_control_id(body.call_control_id)
    minutes = body.duration_minutes
    region = {} if body.region is None else {words.REGION: body.region}
    return CreateConference(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        name=body.name,
        call_id=call_id,
        max_participants=body.max_participants,
        duration_limit_ms=LIFE_MS if minutes is None else minutes * 60_000,
        starts_on_create=body.start_conference_on_create,
        hold_sound=hold_sound(body.hold_audio_url, body.hold_media_name),
        dialect=words.NAME,
        extras={**state_extras(body.client_state), **region},
    )


def write_created(outcome: object, request: WireRequest, account: Account) -> WireResponse:
    """The creator's key may have been another command's of that call."""
    if not isinstance(outcome, ConferenceView):
        return answer_ok(outcome)
    return write_conference(outcome, request, account)


def write_conference(
    view: ConferenceView, _request: WireRequest, _account: Account
) -> WireResponse:
    return answer(One[ConferenceBody](data=conference_body(view)))


def conference_body(view: ConferenceView) -> ConferenceBody:
    conference = view.conference
    ended_ms, reason = conference.ended_at_ms, conference.end_reason
    expires_ms = conference.expires_at_ms or EpochMs(conference.created_at_ms + LIFE_MS)
    return ConferenceBody.model_validate(
        {
            "id": conference.id,
            "name": conference.name,
            "created_at": words.iso(conference.created_at_ms),
            "expires_at": words.iso(expires_ms),
            "updated_at": words.iso(conference.created_at_ms if ended_ms is None else ended_ms),
            "connection_id": None if view.creator is None else view.creator.application_id,
            "region": conference.extras.get(words.REGION),
            "status": conference.state.value,
            "end_reason": None if reason is None else words.CONFERENCE_ENDS[reason],
            "ended_by": None,
        }
    )


def read_conferences(request: WireRequest, account: Account) -> ListConferences:
    given = filters(request)
    choose(given, "region", REGIONS)
    status = choose(given, "filter[status]", tuple(ConferenceState))
    return ListConferences(
        account_id=account.id,
        only_live=False,
        name=given.get("filter[name]"),
        state=None if status is None else ConferenceState(status),
        limit=MOST_LISTED,
    )


def write_conferences(
    views: tuple[ConferenceView, ...], request: WireRequest, _account: Account
) -> WireResponse:
    """By the instant of expiry, latest first (contract §1.1)."""
    items = [conference_body(view) for view in views]
    items.sort(key=lambda item: item.expires_at, reverse=True)
    return answer_part(ConferenceBody, items, request)


def read_conference(request: WireRequest, account: Account) -> GetConference:
    choose(filters(request), "region", REGIONS)
    return GetConference(conference=conference_ref(request, account), even_ended=True)


def read_participants(request: WireRequest, account: Account) -> GetConference:
    given = filters(request)
    for name in ("muted", "on_hold", "whispering"):
        choose_boolean(given, f"filter[{name}]")
    return read_conference(request, account)


def write_participants(
    view: ConferenceView, request: WireRequest, _account: Account
) -> WireResponse:
    given = filters(request)
    wanted = {
        name: choice
        for name in ("muted", "on_hold", "whispering")
        if (choice := choose_boolean(given, f"filter[{name}]")) is not None
    }
    named = ConferenceNameBody(id=view.conference.id, name=view.conference.name)
    items = []
    for each in view.participants:
        found = _participant(each.participant)
        facts = {**found, "whispering": each.participant.role is Role.WHISPER}
        if all(facts[name] is choice for name, choice in wanted.items()):
            items.append(ParticipantBody.model_validate({**found, "conference": named}))
    return answer_part(ParticipantBody, items, request)


def write_participant(
    view: ConferenceView, request: WireRequest, _account: Account
) -> WireResponse:
    """By its id or its label. Raises ParticipantNotFound."""
    wanted = request.params["participant_id"]
    for each in view.participants:
        if wanted in (each.participant.member_id, each.participant.label):
            return answer(One[OneParticipantBody](data=_one_participant(each.participant)))
    raise ParticipantNotFound(wanted)


def read_patch_participant(request: WireRequest, account: Account) -> SetParticipants:
    """What was not said stays; ending hard wins over softly."""
    body = read_body(PatchParticipantBody, request)
    hard, soft = body.end_conference_on_exit, body.soft_end_conference_on_exit
    is_said = hard is not None or soft is not None
    return SetParticipants(
        conference=conference_ref(request, account),
        members=Members(member_ids=(MemberId(request.params["participant_id"]),)),
        end_on_exit=bool(hard or soft) if is_said else None,
        hangs_up_on_exit=bool(hard) if is_said else None,
    )


def write_patched(
    participants: tuple[Participant, ...], _request: WireRequest, _account: Account
) -> WireResponse:
    (participant,) = participants
    return answer(One[OneParticipantBody](data=_one_participant(participant)))


def _one_participant(participant: Participant) -> OneParticipantBody:
    return OneParticipantBody.model_validate(
        {
            **_participant(participant),
            "conference_id": participant.conference_id,
            "label": participant.label or None,
        }
    )


def _participant(participant: Participant) -> dict[str, object]:
    joined = words.iso(participant.joined_at_ms)
    ends, hard = participant.end_conference_on_exit, participant.hangs_up_on_exit
    return {
        "id": participant.member_id,
        "call_control_id": words.call_control_id(participant.call_id),
        "call_leg_id": participant.call_id,
        "created_at": joined,
        "updated_at": joined,
        "end_conference_on_exit": ends and hard,
        "soft_end_conference_on_exit": ends and not hard,
        "muted": participant.muted,
        "on_hold": participant.on_hold,
        "status": participant.state.value,
        "whisper_call_control_ids": [
            words.call_control_id(call_id) for call_id in participant.whispers_to
        ],
    }
