"""The table of Vobiz operations."""

from tapeline.api.dialect import Operation
from tapeline.api.dialects.vobiz import wire
from tapeline.api.schema import json_schema

_ACCOUNT = "/Account/{auth_id}"
_CONFERENCE = _ACCOUNT + "/Conference/{conference_name}/"
_RECORDING = _ACCOUNT + "/Recording/{recording_id}/"
_FORM = "application/x-www-form-urlencoded"
_TEXT = {"type": "string"}
_TIME_FILTERS = {f"add_time__{end}": _TEXT for end in ("gt", "gte", "lt", "lte")}
_AGE_FILTERS = {
    f"recording_storage_duration{end}": {"type": "integer", "minimum": 0}
    for end in ("", "__gt", "__gte", "__lt", "__lte")
}


OPERATIONS = (
    Operation(
        method="POST",
        path=_CONFERENCE + "Record/",
        name="start-conference-recording",
        summary="Record everybody in a conference",
        read=wire.read_start,
        write=wire.write_started,
        request_schema=json_schema(wire.StartRecordingBody),
        request_types=("application/json", _FORM),
        responses={200: json_schema(wire.StartedBody)},
    ),
    Operation(
        method="DELETE",
        path=_CONFERENCE + "Record/",
        name="stop-conference-recording",
        summary="Stop recording a conference",
        read=wire.read_stop,
        write=wire.write_nothing,
        responses={204: {}},
    ),
    Operation(
        method="GET",
        path=_ACCOUNT + "/Conference/",
        name="list-conferences",
        summary="Names of the conferences that somebody is in",
        read=wire.read_conferences,
        write=wire.write_conferences,
        responses={200: json_schema(wire.ConferencesBody)},
    ),
    Operation(
        method="GET",
        path=_CONFERENCE,
        name="get-conference",
        summary="A conference and its members",
        read=wire.read_conference,
        write=wire.write_conference,
        responses={200: json_schema(wire.ConferenceBody)},
    ),
    Operation(
        method="GET",
        path=_ACCOUNT + "/Recording/",
        name="list-recordings",
        summary="Recordings, newest first",
        read=wire.read_recordings,
        write=wire.write_recordings,
        query={
            **json_schema(wire.ListRecordingsQuery)["properties"],
            **_TIME_FILTERS,
            **_AGE_FILTERS,
        },
        responses={200: json_schema(wire.RecordingsBody)},
    ),
    Operation(
        method="GET",
        path=_RECORDING,
        name="get-recording",
        summary="One recording",
        read=wire.read_recording,
        write=wire.write_recording,
        responses={200: json_schema(wire.OneRecordingBody)},
    ),
    Operation(
        method="DELETE",
        path=_RECORDING,
        name="delete-recording",
        summary="Delete a recording; one that runs is stopped first",
        read=wire.read_delete,
        write=wire.write_nothing,
        responses={204: {}},
    ),
)
