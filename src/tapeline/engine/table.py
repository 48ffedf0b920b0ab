"""The core's events by name (design.md §9): which signal each becomes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tapeline.domain import signal
from tapeline.domain.call import CallQuality
from tapeline.domain.signal import Signal


def _recording_finished(
    *, tracks: Sequence[Mapping[str, Any]], **fields: Any
) -> signal.RecordingFinished:
    files = [signal.TrackFile(**track) for track in tracks]
    return signal.RecordingFinished(tracks=files, **fields)


def _call_ended(*, quality: Mapping[str, Any] | None, **fields: Any) -> signal.CallEnded:
    known = None if quality is None else CallQuality(**quality)
    return signal.CallEnded(quality=known, **fields)


SIGNALS: Mapping[str, Callable[..., Signal]] = {
    "call_arrived": signal.CallArrived,
    "call_ringing": signal.CallRinging,
    "call_answered": signal.CallAnswered,
    "call_ended": _call_ended,
    "call_updated": signal.CallUpdated,
    "transfer_asked": signal.TransferAsked,
    "participant_joined": signal.ParticipantJoined,
    "participant_left": signal.ParticipantLeft,
    "room_empty": signal.RoomEmpty,
    "digit": signal.Digit,
    "talking": signal.Talking,
    "media_trouble": signal.MediaTrouble,
    "play_finished": signal.PlayFinished,
    "recording_armed": signal.RecordingArmed,
    "recording_resumed": signal.RecordingResumed,
    "recording_progress": signal.RecordingProgress,
    "recording_finished": _recording_finished,
    "recorder_trouble": signal.RecorderTrouble,
    "core_trouble": signal.CoreTrouble,
    "endpoint_registered": signal.EndpointRegistered,
    "trunk_registered": signal.TrunkRegistered,
    "trunk_unregistered": signal.TrunkUnregistered,
    "trunk_target": signal.TrunkTarget,
}


def signal_of(name: str, fields: Mapping[str, object]) -> Signal:
    """Raises UnknownEvent for a name or fields that this version does not know."""
    make = SIGNALS.get(name)
    if make is None:
        raise UnknownEvent(name, "no such event")
    try:
        return make(**fields)
    except TypeError as error:
        raise UnknownEvent(name, str(error)) from error


class UnknownEvent(Exception):
    """The core and its Python face do not agree about an event: a bug of ours."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        super().__init__(f"event {name!r}: {detail}")
