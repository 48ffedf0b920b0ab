"""The table of Vobiz operations."""

from tapeline.api.accountstyle.operations import Own, voice_operations
from tapeline.api.dialects.vobiz import wire

OPERATIONS = voice_operations(
    Own(
        profile=wire.PROFILE,
        started_status=200,
        fired_message="Call fired",
        start_conference_body=wire.StartRecordingBody,
        start_call_body=wire.StartCallRecordingBody,
        live_call_body=wire.LiveCallBody,
        member_action_body=wire.MemberActionBody,
        read_start_conference=wire.read_start_conference,
        write_conference_started=wire.write_conference_started,
        read_stop_conference=wire.read_stop_conference,
        read_start_call=wire.read_start_call,
        write_call_started=wire.write_call_started,
        read_stop_call=wire.read_stop_call,
        write_call=wire.write_call,
        write_member_action=wire.write_member_action,
    )
)
