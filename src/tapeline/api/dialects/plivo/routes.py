"""The table of Plivo operations."""

from tapeline.api.accountstyle.operations import Own, voice_operations
from tapeline.api.accountstyle.resources import calls, starts
from tapeline.api.dialects.plivo import wire
from tapeline.api.dialects.plivo.errors import TEXT_ON_LISTS

OPERATIONS = voice_operations(
    Own(
        profile=wire.PROFILE,
        started_status=202,
        fired_message="call fired",
        start_conference_body=starts.StartRecordingBody,
        start_call_body=starts.StartCallRecordingBody,
        live_call_body=calls.LiveCallBody,
        member_action_body=wire.MemberActionBody,
        read_start_conference=wire.read_start_conference,
        write_conference_started=wire.write_conference_started,
        read_stop_conference=wire.read_stop_conference,
        read_start_call=wire.read_start_call,
        write_call_started=wire.write_call_started,
        read_stop_call=wire.read_stop_call,
        write_call=wire.write_call,
        write_member_action=wire.write_member_action,
        text_on_lists=TEXT_ON_LISTS,
    )
)
