"""Commands that steer a conference and who is in it."""

from typing import Literal

from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
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
    read_members,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.playing import read_file
from tapeline.api.dialects.telnyx.wire.record import conference_ref
from tapeline.api.schema import HttpUrl
from tapeline.domain.account import Account
from tapeline.domain.command import (
    EndConference,
    JoinCall,
    LeaveCall,
    Members,
    SetCallRole,
    SetParticipants,
)
from tapeline.domain.conference import Role
from tapeline.domain.error import MissingValue
from tapeline.domain.id import CallId
from tapeline.domain.sound import Sound

RoleWord = Literal["barge", "monitor", "none", "whisper"]


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
    supervisor_role: RoleWord = "none"
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
    supervisor_role: RoleWord
    whisper_call_control_ids: CallControlIds | None = None
    command_id: CommandId | None = None
    region: Region | None = None


class EndBody(Body):
    command_id: CommandId | None = None


def read_join(request: WireRequest, account: Account) -> JoinCall:
    body = read_body(JoinBody, request)
    check_one_of("hold_audio_url", body.hold_audio_url, "hold_media_name", body.hold_media_name)
    role = Role(body.supervisor_role)
    call_id = words.read_call_control_id(body.call_control_id)
    return JoinCall(
        once=once(account, call_id, body.command_id),
        conference=conference_ref(request, account),
        call_id=call_id,
        muted=body.mute,
        on_hold=body.hold,
        hold_sound=hold_sound(body.hold_audio_url, body.hold_media_name) if body.hold else None,
        role=role,
        whispers_to=whispered_to(role, body.whisper_call_control_ids),
        end_on_exit=body.end_conference_on_exit or body.soft_end_conference_on_exit,
        hangs_up_on_exit=body.end_conference_on_exit,
        starts_conference=body.start_conference_on_enter,
        extras=state_extras(body.client_state),
    )


def whispered_to(role: Role, call_control_ids: CallControlIds | None) -> tuple[CallId, ...]:
    """Raises MissingValue for who whispers to nobody, CallNotFound."""
    if role is Role.WHISPER and not call_control_ids:
        raise MissingValue("whisper_call_control_ids")
    return tuple(words.read_call_control_id(each) for each in call_control_ids or ())


def hold_sound(audio_url: str | None, media_name: str | None) -> Sound | None:
    """None: silence. Raises Invalid, DestinationFault."""
    return None if audio_url is None and media_name is None else read_file(audio_url, media_name)


def read_leave(request: WireRequest, account: Account) -> LeaveCall:
    body = read_body(LeaveBody, request)
    call_id = words.read_call_control_id(body.call_control_id)
    return LeaveCall(
        once=once(account, call_id, body.command_id),
        conference=conference_ref(request, account),
        call_id=call_id,
    )


def read_hold(request: WireRequest, account: Account) -> SetParticipants:
    body = read_body(HoldBody, request)
    return SetParticipants(
        conference=conference_ref(request, account),
        members=read_members(body.call_control_ids),
        on_hold=True,
        hold_sound=hold_sound(body.audio_url, body.media_name),
    )


def read_unhold(request: WireRequest, account: Account) -> SetParticipants:
    body = read_body(UnholdBody, request)
    return SetParticipants(
        conference=conference_ref(request, account),
        members=read_members(body.call_control_ids),
        on_hold=False,
    )


def read_mute(request: WireRequest, account: Account, *, muted: bool = True) -> SetParticipants:
    body = read_body(MuteBody, request)
    return SetParticipants(
        conference=conference_ref(request, account),
        members=read_members(body.call_control_ids),
        muted=muted,
    )


def read_update(request: WireRequest, account: Account) -> SetParticipants:
    body = read_body(UpdateBody, request)
    role = Role(body.supervisor_role)
    call_id = words.read_call_control_id(body.call_control_id)
    return SetParticipants(
        once=once(account, call_id, body.command_id),
        conference=conference_ref(request, account),
        members=Members(call_ids=(call_id,)),
        role=role,
        whispers_to=whispered_to(role, body.whisper_call_control_ids),
    )


class SwitchRoleBody(Body):
    role: Literal["barge", "monitor", "whisper"]
    client_state: ClientState | None = None
    command_id: CommandId | None = None


def read_switch_role(request: WireRequest, account: Account) -> SetCallRole:
    body = read_body(SwitchRoleBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return SetCallRole(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        role=Role(body.role),
        extras=state_extras(body.client_state),
    )


def read_end(request: WireRequest, account: Account) -> EndConference:
    body = read_body(EndBody, request)
    conference = conference_ref(request, account)
    return EndConference(
        once=once(account, conference.name, body.command_id), conference=conference, hang_up=True
    )
