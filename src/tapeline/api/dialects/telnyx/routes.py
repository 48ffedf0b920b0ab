"""The table of Telnyx operations."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tapeline.api.dialect import Operation, WireRequest
from tapeline.api.dialects.telnyx.wire import (
    applications,
    calls,
    conferences,
    connect,
    deliveries,
    gather,
    members,
    playing,
    record,
    recordings,
)
from tapeline.api.dialects.telnyx.wire.answer import (
    BOOLEAN_QUERY,
    PAGE_QUERY,
    REGION_QUERY,
    TEXT_QUERY,
    Many,
    One,
    Result,
    write_ok,
)
from tapeline.api.dialects.telnyx.wire.body import Body
from tapeline.api.schema import json_schema
from tapeline.domain.account import Account
from tapeline.domain.command import Command

_CONFERENCE = "/conferences/{conference_id}"
_CALL = "/calls/{call_control_id}"
_APPLICATION = "/call_control_applications/{application_id}"
_RECORDING = "/recordings/{recording_id}"
_TRANSCRIPT = "/recording_transcriptions/{transcription_id}"
_DONE = {200: json_schema(One[Result])}

Read = Callable[[WireRequest, Account], Command[Any]]


def _times(*names: str) -> dict[str, dict[str, Any]]:
    return {
        f"filter[{name}][{end}]": {"type": "string", "format": "date-time"}
        for name in names
        for end in ("gte", "lte")
    }


def _texts(*names: str) -> dict[str, dict[str, Any]]:
    return {f"filter[{name}]": dict(TEXT_QUERY) for name in names}


def _conference_action(name: str, read: Read, body: type[Body]) -> Operation:
    return Operation(
        method="POST",
        path=f"{_CONFERENCE}/actions/{name}",
        name=f"conference-{name.replace('_', '-')}",
        summary=f"Conference: {name.replace('_', ' ')}",
        read=read,
        write=write_ok,
        request_schema=json_schema(body),
        responses=_DONE,
    )


def _call_action(name: str, read: Read, body: type[Body]) -> Operation:
    return Operation(
        method="PUT" if name == "client_state_update" else "POST",
        path=f"{_CALL}/actions/{name}",
        name=f"call-{name.replace('_', '-')}",
        summary=f"Call: {name.replace('_', ' ')}",
        read=read,
        write=write_ok,
        request_schema=json_schema(body),
        responses=_DONE,
    )


CONFERENCES = (
    Operation(
        method="POST",
        path="/conferences",
        name="create-conference",
        summary="Make a conference of an answered call",
        read=conferences.read_create,
        write=conferences.write_created,
        request_schema=json_schema(conferences.CreateBody),
        responses={200: json_schema(One[conferences.ConferenceBody])},
    ),
    Operation(
        method="GET",
        path="/conferences",
        name="list-conferences",
        summary="Conferences, the last to expire first",
        read=conferences.read_conferences,
        write=conferences.write_conferences,
        query={
            **PAGE_QUERY,
            **REGION_QUERY,
            "filter[name]": TEXT_QUERY,
            "filter[status]": {"type": "string", "enum": ["init", "in_progress", "completed"]},
        },
        responses={200: json_schema(Many[conferences.ConferenceBody])},
    ),
    Operation(
        method="GET",
        path=_CONFERENCE,
        name="get-conference",
        summary="A conference",
        read=conferences.read_conference,
        write=conferences.write_conference,
        query=REGION_QUERY,
        responses={200: json_schema(One[conferences.ConferenceBody])},
    ),
    Operation(
        method="GET",
        path=f"{_CONFERENCE}/participants",
        name="list-participants",
        summary="Who is in a conference",
        read=conferences.read_participants,
        write=conferences.write_participants,
        query={
            **PAGE_QUERY,
            **REGION_QUERY,
            "filter[muted]": BOOLEAN_QUERY,
            "filter[on_hold]": BOOLEAN_QUERY,
            "filter[whispering]": BOOLEAN_QUERY,
        },
        responses={200: json_schema(Many[conferences.ParticipantBody])},
    ),
    Operation(
        method="GET",
        path=f"{_CONFERENCE}/participants/{{participant_id}}",
        name="get-participant",
        summary="Somebody in a conference, by id or label",
        read=conferences.read_conference,
        write=conferences.write_participant,
        responses={200: json_schema(One[conferences.OneParticipantBody])},
    ),
    Operation(
        method="PATCH",
        path=f"{_CONFERENCE}/participants/{{participant_id}}",
        name="update-participant",
        summary="What becomes of the conference when somebody leaves",
        read=conferences.read_patch_participant,
        write=conferences.write_patched,
        request_schema=json_schema(conferences.PatchParticipantBody),
        responses={200: json_schema(One[conferences.OneParticipantBody])},
    ),
    _conference_action("join", members.read_join, members.JoinBody),
    _conference_action("leave", members.read_leave, members.LeaveBody),
    _conference_action("hold", members.read_hold, members.HoldBody),
    _conference_action("unhold", members.read_unhold, members.UnholdBody),
    _conference_action("mute", members.read_mute, members.MuteBody),
    _conference_action("unmute", partial(members.read_mute, muted=False), members.MuteBody),
    _conference_action("update", members.read_update, members.UpdateBody),
    _conference_action("end", members.read_end, members.EndBody),
    _conference_action("play", playing.read_conference_play, playing.ConferencePlayBody),
    _conference_action("speak", playing.read_conference_speak, playing.ConferenceSpeakBody),
    _conference_action("send_dtmf", playing.read_conference_digits, playing.ConferenceDigitsBody),
    _conference_action("stop", playing.read_conference_stop, playing.ConferenceStopBody),
    _conference_action(
        "record_start",
        record.read_start_conference,
        record.StartConferenceBody,
    ),
    _conference_action("record_stop", record.read_stop_conference, record.StopConferenceBody),
    _conference_action("record_pause", record.read_pause_conference, record.PauseConferenceBody),
    _conference_action(
        "record_resume",
        partial(record.read_pause_conference, resumes=True),
        record.PauseConferenceBody,
    ),
)

CALLS = (
    Operation(
        method="POST",
        path="/calls",
        name="dial",
        summary="Call a SIP address",
        read=calls.read_dial,
        write=calls.write_dialled,
        request_schema=json_schema(calls.DialBody),
        responses={200: json_schema(One[calls.CallBody])},
    ),
    Operation(
        method="GET",
        path=_CALL,
        name="get-call",
        summary="A call, while it lives and afterwards",
        read=calls.read_call,
        write=calls.write_call,
        responses={200: json_schema(One[calls.CallBody])},
    ),
    Operation(
        method="GET",
        path="/connections/{connection_id}/active_calls",
        name="list-active-calls",
        summary="An application's calls that go on",
        read=calls.read_active_calls,
        write=calls.write_active_calls,
        query=PAGE_QUERY,
        responses={200: json_schema(Many[calls.ActiveCallBody])},
    ),
    _call_action("answer", calls.read_answer, calls.AnswerBody),
    _call_action("hangup", calls.read_hangup, calls.HangUpBody),
    _call_action("reject", calls.read_reject, calls.RejectBody),
    _call_action("playback_start", playing.read_playback_start, playing.PlaybackStartBody),
    _call_action("playback_stop", playing.read_playback_stop, playing.PlaybackStopBody),
    _call_action("send_dtmf", playing.read_digits, playing.SendDigitsBody),
    _call_action("speak", playing.read_speak, playing.SpeakBody),
    _call_action("record_start", record.read_start_call, record.StartCallBody),
    _call_action("record_stop", record.read_stop_call, record.StopCallBody),
    _call_action("record_pause", record.read_pause_call, record.StopCallBody),
    _call_action(
        "record_resume", partial(record.read_pause_call, resumes=True), record.StopCallBody
    ),
    _call_action("gather", gather.read_gather, gather.GatherBody),
    _call_action("gather_using_audio", gather.read_gather_audio, gather.GatherAudioBody),
    _call_action("gather_using_speak", gather.read_gather_speak, gather.GatherSpeakBody),
    _call_action("gather_stop", gather.read_gather_stop, gather.GatherStopBody),
    _call_action("bridge", connect.read_bridge, connect.BridgeBody),
    _call_action("transfer", connect.read_transfer, connect.TransferBody),
    _call_action("switch_supervisor_role", members.read_switch_role, members.SwitchRoleBody),
    _call_action("client_state_update", calls.read_state, calls.StateBody),
)

APPLICATIONS = (
    Operation(
        method="POST",
        path="/call_control_applications",
        name="create-application",
        summary="Make a call control application",
        read=applications.read_create,
        write=applications.write_created,
        request_schema=json_schema(applications.CreateApplicationBody),
        responses={201: json_schema(One[applications.ApplicationBody])},
    ),
    Operation(
        method="GET",
        path="/call_control_applications",
        name="list-applications",
        summary="Call control applications",
        read=applications.read_many,
        write=applications.write_many,
        query={
            **PAGE_QUERY,
            "filter[application_name][contains]": TEXT_QUERY,
            "sort": {"type": "string", "enum": list(applications.CHOICES)},
        },
        responses={200: json_schema(Many[applications.ApplicationBody])},
    ),
    Operation(
        method="GET",
        path=_APPLICATION,
        name="get-application",
        summary="A call control application",
        read=applications.read_one,
        write=applications.write_one,
        responses={200: json_schema(One[applications.ApplicationBody])},
    ),
    Operation(
        method="PATCH",
        path=_APPLICATION,
        name="update-application",
        summary="Change a call control application",
        read=applications.read_update,
        write=applications.write_one,
        request_schema=json_schema(applications.UpdateApplicationBody),
        responses={200: json_schema(One[applications.ApplicationBody])},
    ),
    Operation(
        method="DELETE",
        path=_APPLICATION,
        name="delete-application",
        summary="Delete a call control application",
        read=applications.read_delete,
        write=applications.write_one,
        responses={200: json_schema(One[applications.ApplicationBody])},
    ),
)

RECORDINGS = (
    Operation(
        method="GET",
        path="/recordings",
        name="list-recordings",
        summary="Finished recordings, newest first",
        read=recordings.read_recordings,
        write=recordings.write_recordings,
        query={
            **PAGE_QUERY,
            **_texts(
                "conference_id",
                "call_leg_id",
                "call_session_id",
                "call_control_id",
                "sip_call_id",
                "from",
                "to",
                "connection_id",
            ),
            **_times("created_at", "start_time", "end_time"),
        },
        responses={200: json_schema(Many[recordings.RecordingBody])},
    ),
    Operation(
        method="GET",
        path=_RECORDING,
        name="get-recording",
        summary="One recording",
        read=recordings.read_recording,
        write=recordings.write_recording,
        responses={200: json_schema(One[recordings.RecordingBody])},
    ),
    Operation(
        method="DELETE",
        path=_RECORDING,
        name="delete-recording",
        summary="Delete a recording; one that runs is stopped first",
        read=recordings.read_delete,
        write=recordings.write_recording,
        responses={200: json_schema(One[recordings.RecordingBody])},
    ),
    Operation(
        method="POST",
        path="/recordings/actions/delete",
        name="delete-recordings",
        summary="Delete many recordings",
        read=recordings.read_delete_many,
        write=recordings.write_deleted,
        request_schema=json_schema(recordings.DeleteBody),
        responses={200: json_schema(recordings.DeletedBody)},
    ),
    # An older description of the same has another verb and no answer (contract §10.1).
    Operation(
        method="DELETE",
        path="/recordings/actions/delete",
        name="delete-recordings-by-delete",
        summary="Delete many recordings",
        read=recordings.read_delete_many,
        write=recordings.write_nothing,
        request_schema=json_schema(recordings.DeleteBody),
        responses={204: {}},
    ),
    Operation(
        method="GET",
        path="/recording_transcriptions",
        name="list-transcriptions",
        summary="Transcriptions of recordings, newest first",
        read=recordings.read_transcripts,
        write=recordings.write_transcripts,
        query={**PAGE_QUERY, **_texts("recording_id"), **_times("created_at")},
        responses={200: json_schema(Many[recordings.TranscriptBody])},
    ),
    Operation(
        method="GET",
        path=_TRANSCRIPT,
        name="get-transcription",
        summary="A transcription",
        read=recordings.read_transcript,
        write=recordings.write_transcript,
        responses={200: json_schema(One[recordings.TranscriptBody])},
    ),
    Operation(
        method="DELETE",
        path=_TRANSCRIPT,
        name="delete-transcription",
        summary="Delete a recording's transcriptions",
        read=recordings.read_delete_transcript,
        write=recordings.write_transcript,
        responses={200: json_schema(One[recordings.TranscriptBody])},
    ),
)

DELIVERIES = (
    Operation(
        method="GET",
        path="/webhook_deliveries",
        name="list-webhook-deliveries",
        summary="Webhooks that were sent, newest first",
        read=deliveries.read_deliveries,
        write=deliveries.write_deliveries,
        query={
            **PAGE_QUERY,
            "filter[status][eq]": {"type": "string", "enum": list(deliveries.STATUSES)},
            "filter[event_type]": TEXT_QUERY,
        },
        responses={200: json_schema(Many[deliveries.DeliveryBody])},
    ),
    Operation(
        method="GET",
        path="/webhook_deliveries/{delivery_id}",
        name="get-webhook-delivery",
        summary="A webhook that was sent, with its attempts",
        read=deliveries.read_deliveries,
        write=deliveries.write_delivery,
        responses={200: json_schema(One[deliveries.DeliveryBody])},
    ),
)

OPERATIONS = (*CONFERENCES, *CALLS, *APPLICATIONS, *RECORDINGS, *DELIVERIES)
