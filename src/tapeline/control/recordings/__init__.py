"""Use cases about recordings while they run, and afterwards as rows and files."""

from tapeline.control.recordings.deletion import delete_recording, delete_recordings
from tapeline.control.recordings.finish import finish_put_off, note_finished, wait_until_ended
from tapeline.control.recordings.kept import get_recording, list_recordings, retry_work
from tapeline.control.recordings.missed import missed_recording
from tapeline.control.recordings.pause import (
    note_resumed,
    pause_call_recording,
    pause_conference_recording,
)
from tapeline.control.recordings.start import (
    note_armed,
    start_call_recording,
    start_conference_recording,
)
from tapeline.control.recordings.stop import (
    stop_all,
    stop_call_recording,
    stop_conference_recording,
    stop_recording,
)

__all__ = [
    "delete_recording",
    "delete_recordings",
    "finish_put_off",
    "get_recording",
    "list_recordings",
    "missed_recording",
    "note_armed",
    "note_finished",
    "note_resumed",
    "pause_call_recording",
    "pause_conference_recording",
    "retry_work",
    "start_call_recording",
    "start_conference_recording",
    "stop_all",
    "stop_call_recording",
    "stop_conference_recording",
    "stop_recording",
    "wait_until_ended",
]
