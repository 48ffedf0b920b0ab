"""Commands that steer a conference and who is in it."""

from typing import Literal

from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.errors import NotAvailable
from tapeline.api.dialects.telnyx.wire.body import (
    BeepEnabled,
    Body,
    CallControlIds,
    ClientState,
    CommandId,
    Region,
    Text,
    check_one_of,
    once,
    read_body,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.record import conference_ref
from tapeline.api.schema import HttpUrl
from tapeline.domain.account import Account
from tapeline.domain.command import EndConference, JoinCall, LeaveCall, Members, SetParticipants

Role = Literal["barge", "monitor", "none", "whisper"]


class JoinBody(Body):
    call_control_id: Text
    beep_enabled: BeepEnabled | None = None
    client_state: ClientState | None = None
    command_id: CommandId | None = None
    end_conference_on_exit: bool = False
    soft_end_conference_on_exit: bool = False
    hold: bool = False
    hold_audio_url: HttpUrl | None = None
    hold_media_name: Text | None = None
    mute: bool = False
    start_conference_on_enter: bool = False
    supervisor_role: Role = "none"
    whisper_call_control_ids: CallControlIds | None = None
    region: Region | None = None


class LeaveBody(Body):
    call_control_id: Text
    beep_enabled: BeepEnabled | None = None
    command_id: CommandId | None = None
    region: Region | None = None


class HoldBody(Body):
    call_control_ids: CallControlIds | None = None
    audio_url: HttpUrl | None = None
    media_name: Text | None = None
    region: Region | None = None


class UnholdBody(Body):
    call_control_ids: CallControlIds
    region: Region | None = None


class MuteBody(Body):
    call_control_ids: CallControlIds | None = None
    region: Region | None = None


class UpdateBody(Body):
    call_control_id: Text
    supervisor_role: Role
    whisper_call_control_ids: CallControlIds | None = None
    command_id: CommandId | None = None
    region: Region | None = None


class EndBody(Body):
    command_id: CommandId | None = None


def read_join(request: WireRequest, account: Account) -> JoinCall:
    """A supervisor that monitors is muted, one that barges is like anybody."""
    body = read_body(JoinBody, request)
    check_one_of("hold_audio_url", body.hold_audio_url, "hold_media_name", body.hold_media_name)
    _check_role(body.supervisor_role)
    call_id = words.read_call_control_id(body.call_control_id)
    return JoinCall(
        once=once(account, call_id, body.command_id),
        conference=conference_ref(request, account),
        call_id=call_id,
        muted=body.mute or body.supervisor_role == "monitor",
        on_hold=body.hold,
        end_on_exit=body.end_conference_on_exit or body.soft_end_conference_on_exit,
        hangs_up_on_exit=body.end_conference_on_exit,
        starts_conference=body.start_conference_on_enter,
        extras=state_extras(body.client_state),
    )


def _check_role(role: Role) -> None:
    """Raises NotAvailable for one that only some of the others shall hear."""
    if role == "whisper":
        raise NotAvailable("supervisor_role")


def read_leave(request: WireRequest, account: Account) -> LeaveCall:
    body = read_body(LeaveBody, request)
    call_id = words.read_call_control_id(body.call_control_id)
    return LeaveCall(
        once=once(account, call_id, body.command_id),
        conference=conference_ref(request, account),
        call_id=call_id,
    )


def _members(call_control_ids: CallControlIds | None) -> Members:
    """None and an empty list mean all."""
    return Members(
        call_ids=tuple(words.read_call_control_id(each) for each in call_control_ids or ())
    )


def read_hold(request: WireRequest, account: Account) -> SetParticipants:
    body = read_body(HoldBody, request)
    check_one_of("audio_url", body.audio_url, "media_name", body.media_name)
    return SetParticipants(
        conference=conference_ref(request, account),
        members=_members(body.call_control_ids),
        on_hold=True,
    )


def read_unhold(request: WireRequest, account: Account) -> SetParticipants:
    body = read_body(UnholdBody, request)
    return SetParticipants(
        conference=conference_ref(request, account),
        members=_members(body.call_control_ids),
        on_hold=False,
    )


def read_mute(request: WireRequest, account: Account, *, muted: bool = True) -> SetParticipants:
    body = read_body(MuteBody, request)
    return SetParticipants(
        conference=conference_ref(request, account),
        members=_members(body.call_control_ids),
        muted=muted,
    )


def read_update(request: WireRequest, account: Account) -> SetParticipants:
    body = read_body(UpdateBody, request)
    _check_role(body.supervisor_role)
    call_id = words.read_call_control_id(body.call_control_id)
    return SetParticipants(
        once=once(account, call_id, body.command_id),
        conference=conference_ref(request, account),
        members=Members(call_ids=(call_id,)),
        muted=body.supervisor_role == "monitor",
    )


def read_end(request: WireRequest, account: Account) -> EndConference:
    body = read_body(EndBody, request)
    conference = conference_ref(request, account)
    return EndConference(
        once=once(account, conference.name, body.command_id), conference=conference, hang_up=True
    )
