"""What is recorded: finding it, what of it is written in the row, and what the core shall tap."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tapeline.control.live import LiveCall, LiveConference, LiveRecording, RecordingTarget
from tapeline.control.parts import Parts
from tapeline.domain.account import RecordingHabits
from tapeline.domain.call import Direction
from tapeline.domain.error import (
    RecordingNotFound,
)
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import Layout, Recording, RecordingState, TargetKind
from tapeline.domain.signal import ChannelLayout, RecorderSpec

_CALL_LAYOUTS: Mapping[Layout, Mapping[Direction, ChannelLayout]] = {
    Layout.MIX: dict.fromkeys(Direction, ChannelLayout.MIX),
    # Who called is the leg itself when it came in, and who hears it when we dialled it.
    Layout.CALLER_CALLEE: {
        Direction.INBOUND: ChannelLayout.RX_TX,
        Direction.OUTBOUND: ChannelLayout.TX_RX,
    },
    Layout.OWN_REST: dict.fromkeys(Direction, ChannelLayout.RX_TX),
    Layout.INBOUND: dict.fromkeys(Direction, ChannelLayout.RX),
    Layout.OUTBOUND: dict.fromkeys(Direction, ChannelLayout.TX),
}


def word_of(target: RecordingTarget) -> str:
    return "conference" if isinstance(target, LiveConference) else "call"


def running(target: RecordingTarget, dialect: str | None = None) -> list[LiveRecording]:
    """What records it and has not been told to stop; of one dialect, or of all."""
    return [
        recording
        for recording in target.recordings.values()
        if not recording.is_stopping and dialect in {None, recording.dialect}
    ]


async def chosen(
    parts: Parts, target: RecordingTarget, dialect: str, recording_id: RecordingId | None
) -> Sequence[LiveRecording]:
    """What `dialect` has running there, or that one recording of it if it still runs.

    Raises RecordingNotFound when that one never was one of the target's.
    """
    mine = running(target, dialect)
    if recording_id is None:
        return mine
    named = [recording for recording in mine if recording.id == recording_id]
    if not named:
        row = await parts.store.read(lambda tx: tx.recordings.get(recording_id))
        if row is None or not _is_of(row, target) or row.starter.dialect != dialect:
            raise RecordingNotFound(recording_id)
    return named


def _is_of(row: Recording, target: RecordingTarget) -> bool:
    if row.state is RecordingState.DELETED:
        return False
    if isinstance(target, LiveConference):
        return row.conference_id == target.conference.id
    return (
        isinstance(target, LiveCall)
        and row.target is TargetKind.CALL
        and row.call_id == target.call.id
    )


def facts_of(target: LiveCall | LiveConference) -> dict[str, Any]:
    """The fields of `Recording` that say what it is of."""
    own: dict[str, Any]
    if isinstance(target, LiveCall):
        call, own = target.call, {"target": TargetKind.CALL}
    else:
        call = target.creator
        own = {
            "target": TargetKind.CONFERENCE,
            "conference_id": target.conference.id,
            "conference_name": target.conference.name,
        }
    return {
        "account_id": call.account_id,
        "call_id": call.id,
        "caller": call.caller,
        "called": call.called,
        **own,
    }


def recorder_spec(
    parts: Parts,
    habits: RecordingHabits,
    target: LiveCall | LiveConference,
    recording: Recording,
) -> RecorderSpec:
    options = recording.options
    label = {
        "recording": recording.id,
        "account": recording.account_id,
        "call": recording.call_id,
        "conference": recording.conference_id,
        "node": recording.node_id,
    }
    return RecorderSpec(
        folder=str(parts.spool / recording.id),
        format=recording.format,
        limit_ms=options.limit_ms,
        silence_limit_ms=options.silence_limit_ms,
        silence_waits_for_speech=options.silence_waits_for_speech,
        pause_as=options.pause_as or habits.pause_as,
        pause_limit_ms=habits.pause_limit_s * 1_000,
        beep=options.beep,
        beep_every_ms=habits.beep_every_s * 1_000,
        beep_level_db=habits.beep_level_db,
        beep_in_file=habits.beep_in_file,
        trim_silence=options.trim_silence,
        tracks=options.tracks or False,
        label=json.dumps({key: value for key, value in label.items() if value is not None}),
        **_tap(parts, target, options.layout),
    )


def _tap(parts: Parts, target: LiveCall | LiveConference, layout: Layout) -> dict[str, Any]:
    if isinstance(target, LiveCall):
        return {"leg": target.leg, "layout": _CALL_LAYOUTS[layout][target.call.direction]}
    if layout.channels == 1:
        return {"room": target.room, "layout": ChannelLayout.MIX}
    creator = parts.live.calls_by_id.get(target.creator.id)
    return {
        "room": target.room,
        "layout": ChannelLayout.LEG_REST,
        "left_leg": creator.leg if creator is not None else None,
    }
