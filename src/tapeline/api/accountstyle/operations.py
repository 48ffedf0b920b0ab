"""The operations that account-style dialects have in common: their whole table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from tapeline.api.accountstyle import table
from tapeline.api.accountstyle.playoperations import played_to_calls, played_to_members
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources import (
    applications,
    calllists,
    calls,
    conferences,
    recordings,
    starts,
    transcripts,
)
from tapeline.api.accountstyle.resources.answers import MessageBody, write_message, write_nothing
from tapeline.api.accountstyle.table import Read, Write, row
from tapeline.api.dialect import Operation, WireResponse
from tapeline.api.schema import json_schema

_DONE = (204,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a dialect does in its own way; the rest is the same in all of them."""

    profile: Profile
    started_status: int
    """Of a recording's start."""
    fired_message: str
    start_conference_body: type[BaseModel]
    start_call_body: type[BaseModel]
    live_call_body: type[BaseModel]
    member_action_body: type[BaseModel]
    read_start_conference: Read
    write_conference_started: Write
    read_stop_conference: Read
    read_start_call: Read
    write_call_started: Write
    read_stop_call: Read
    write_call: Write
    write_member_action: Callable[..., WireResponse]
    """Takes the `message` beside what every writer takes."""
    text_on_lists: tuple[int, ...] = ()
    """Statuses of errors that lists answer as plain text."""


def voice_operations(own: Own) -> tuple[Operation, ...]:
    """Conferences, their members, calls, recordings, transcriptions and applications."""
    return (
        *_conferences(own),
        *_members(own),
        *played_to_members(own.member_action_body, own.write_member_action),
        *_calls(own),
        *played_to_calls(),
        *_recordings(own),
        *_transcriptions(),
        *_applications(own),
    )


def _conferences(own: Own) -> tuple[Operation, ...]:
    return (
        row(
            "POST",
            table.CONFERENCE + "Record/",
            "start-conference-recording",
            "Record everybody in a conference",
            read=own.read_start_conference,
            write=own.write_conference_started,
            body=own.start_conference_body,
            answers=(own.started_status, starts.StartedBody),
        ),
        row(
            "DELETE",
            table.CONFERENCE + "Record/",
            "stop-conference-recording",
            "Stop recording a conference",
            read=own.read_stop_conference,
            write=write_nothing,
            body=starts.StopRecordingBody,
            answers=_DONE,
        ),
        row(
            "GET",
            table.ACCOUNT + "/Conference/",
            "list-conferences",
            "Names of the conferences that somebody is in",
            read=conferences.read_conferences,
            write=conferences.write_conferences,
            text_errors=own.text_on_lists,
            answers=(200, conferences.ConferencesBody),
        ),
        row(
            "DELETE",
            table.ACCOUNT + "/Conference/",
            "end-conferences",
            "Hang up everybody in every conference",
            read=conferences.read_end_all,
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "GET",
            table.CONFERENCE,
            "get-conference",
            "A conference and its members",
            read=conferences.read_conference,
            write=conferences.write_conference,
            answers=(200, conferences.ConferenceBody),
        ),
        row(
            "DELETE",
            table.CONFERENCE,
            "end-conference",
            "Hang up everybody in a conference",
            read=conferences.read_end,
            write=write_nothing,
            answers=_DONE,
        ),
    )


def _members(own: Own) -> tuple[Operation, ...]:
    return (
        row(
            "DELETE",
            table.MEMBER,
            "hang-up-member",
            "Hang up members' calls",
            read=partial(conferences.read_remove, hang_up=True),
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "POST",
            table.MEMBER + "Kick/",
            "kick-member",
            "Take members out; their documents go on",
            read=partial(conferences.read_remove, hang_up=False),
            write=partial(own.write_member_action, message="kicked"),
            answers=(202, own.member_action_body),
        ),
        row(
            "POST",
            table.MEMBER + "Mute/",
            "mute-member",
            "Members are heard no more",
            read=partial(conferences.read_set, muted=True),
            write=partial(own.write_member_action, message="muted"),
            answers=(202, own.member_action_body),
        ),
        row(
            "DELETE",
            table.MEMBER + "Mute/",
            "unmute-member",
            "Members are heard again",
            read=partial(conferences.read_set, muted=False),
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "POST",
            table.MEMBER + "Deaf/",
            "deafen-member",
            "Members hear no more",
            read=partial(conferences.read_set, deaf=True),
            write=partial(own.write_member_action, message="deaf"),
            answers=(202, own.member_action_body),
        ),
        row(
            "DELETE",
            table.MEMBER + "Deaf/",
            "undeafen-member",
            "Members hear again",
            read=partial(conferences.read_set, deaf=False),
            write=write_nothing,
            answers=_DONE,
        ),
    )


def _calls(own: Own) -> tuple[Operation, ...]:
    return (
        row(
            "POST",
            table.ACCOUNT + "/Call/",
            "create-call",
            "Call a SIP address",
            read=partial(calls.read_create, own.profile),
            write=partial(calls.write_fired, message=own.fired_message),
            body=calls.CreateCallBody,
            answers=(201, calls.FiredBody),
        ),
        row(
            "GET",
            table.ACCOUNT + "/Call/",
            "list-calls",
            "Live or queued calls' ids, or the records of ended ones, newest first",
            read=partial(calllists.read_calls, own.profile),
            write=partial(calllists.write_calls, own.profile),
            query=calllists.list_query_schema(own.profile),
            text_errors=own.text_on_lists,
            answers=(200, calllists.CallIdsBody, calllists.DetailsBody),
        ),
        row(
            "GET",
            table.CALL,
            "get-call",
            "A live or queued call, or the record of one that has ended",
            read=calls.read_call,
            write=own.write_call,
            query={"status": {"type": "string", "enum": ["live", "queued"]}},
            answers=(200, own.live_call_body, calllists.OneDetailBody),
        ),
        row(
            "POST",
            table.CALL,
            "transfer-call",
            "Go on with another document",
            read=calls.read_transfer,
            write=partial(write_message, status=202, message="call transfered"),
            body=calls.TransferBody,
            answers=(202, MessageBody),
        ),
        row(
            "DELETE",
            table.CALL,
            "hang-up-call",
            "Hang up a call",
            read=calls.read_hang_up,
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "DELETE",
            table.ACCOUNT + "/Request/{call_uuid}/",
            "cancel-call",
            "Give up a call that was asked for",
            read=calls.read_hang_up,
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "POST",
            table.CALL + "Record/",
            "start-call-recording",
            "Record a call; several recordings may run at once",
            read=own.read_start_call,
            write=own.write_call_started,
            body=own.start_call_body,
            answers=(own.started_status, starts.StartedBody),
        ),
        row(
            "DELETE",
            table.CALL + "Record/",
            "stop-call-recording",
            "Stop recording a call: the recording that is named, or all",
            read=own.read_stop_call,
            write=write_nothing,
            body=starts.StopRecordingBody,
            answers=_DONE,
        ),
    )


def _recordings(own: Own) -> tuple[Operation, ...]:
    return (
        row(
            "GET",
            table.ACCOUNT + "/Recording/",
            "list-recordings",
            "Recordings, newest first",
            read=partial(recordings.read_recordings, own.profile),
            write=partial(recordings.write_recordings, own.profile),
            query=recordings.list_query_schema(own.profile),
            text_errors=own.text_on_lists,
            answers=(200, recordings.RecordingsBody),
        ),
        row(
            "GET",
            table.RECORDING,
            "get-recording",
            "One recording",
            read=recordings.read_recording,
            write=partial(recordings.write_recording, own.profile),
            answers=(200, recordings.OneRecordingBody),
        ),
        row(
            "DELETE",
            table.RECORDING,
            "delete-recording",
            "Delete a recording; one that runs is stopped first",
            read=recordings.read_delete,
            write=write_nothing,
            answers=_DONE,
        ),
    )


def _transcriptions() -> tuple[Operation, ...]:
    return (
        row(
            "POST",
            table.TRANSCRIPTION,
            "transcribe-recording",
            "Transcribe a finished recording",
            read=transcripts.read_transcribe,
            write=partial(write_message, status=201, message="transcription in progress"),
            body=transcripts.TranscribeBody,
            answers=(201, MessageBody),
        ),
        row(
            "GET",
            table.TRANSCRIPTION,
            "get-transcription",
            "A recording's transcript",
            read=transcripts.read_get,
            write=transcripts.write_transcript,
            query=json_schema(transcripts.TranscriptQuery)["properties"],
            answers=(200, transcripts.TranscriptBody),
        ),
        row(
            "DELETE",
            table.TRANSCRIPTION,
            "delete-transcription",
            "Delete a recording's transcripts",
            read=transcripts.read_delete,
            write=partial(write_message, status=202, message="request accepted"),
            answers=(202, MessageBody),
        ),
    )


def _applications(own: Own) -> tuple[Operation, ...]:
    return (
        row(
            "POST",
            table.ACCOUNT + "/Application/",
            "create-application",
            "Make an application",
            read=partial(applications.read_create, own.profile),
            write=applications.write_created,
            body=applications.ApplicationFields,
            answers=(201, applications.ApplicationMadeBody),
        ),
        row(
            "GET",
            table.ACCOUNT + "/Application/",
            "list-applications",
            "Applications, newest first",
            read=partial(applications.read_list, own.profile),
            write=partial(applications.write_list, own.profile),
            query=applications.list_query_schema(own.profile),
            text_errors=own.text_on_lists,
            answers=(200, applications.ApplicationsBody),
        ),
        row(
            "GET",
            table.APPLICATION,
            "get-application",
            "One application",
            read=partial(applications.read_get, own.profile),
            write=partial(applications.write_one, own.profile),
            answers=(200, applications.OneApplicationBody),
        ),
        row(
            "POST",
            table.APPLICATION,
            "update-application",
            "Change an application",
            read=partial(applications.read_update, own.profile),
            write=partial(write_message, status=202, message="changed"),
            body=applications.ApplicationFields,
            answers=(202, MessageBody),
        ),
        row(
            "DELETE",
            table.APPLICATION,
            "delete-application",
            "Delete an application",
            read=partial(applications.read_delete, own.profile),
            write=write_nothing,
            answers=_DONE,
        ),
    )
