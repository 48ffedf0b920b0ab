"""The verb that records its own call: as a prompt that is waited for, or beside what follows."""

import asyncio
from collections.abc import Mapping

from tapeline.control import calls, recordings
from tapeline.control.digits import DigitInbox
from tapeline.domain.command import GetRecording, RecordingView, StartCallRecording
from tapeline.domain.error import Conflict, EngineFailed, NotFound, RecordingNotFound, Unavailable
from tapeline.domain.id import RecordingId, new_uuid
from tapeline.domain.recording import Recording, RecordingEnd, Starter
from tapeline.domain.verb import RecordCall
from tapeline.flow.walk import Step, Walk
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

FINISH_LIMIT_S = 3.0
"""How long the file of a recording that has ended is waited for before its action is asked."""
NOT_YET = "-1"


async def record_call(walk: Walk, verb: RecordCall) -> Step:
    """A recording that cannot start harms no call: the next verb follows."""
    if verb.starts_on_dial_answer:
        walk.at_dial_answer.append(verb)
        return None
    await calls.answer(walk.parts, walk.live_call)
    if verb.in_background:
        await record_beside(walk, verb)
        return None
    return await _record_prompt(walk, verb)


async def record_beside(walk: Walk, verb: RecordCall) -> None:
    """Starts it, tells its action at once, and leaves it to the call's end or a request."""
    view = await _start(walk, verb)
    if view is not None:
        await walk.tell_action(verb.action, _facts(view, is_over=False))


async def _record_prompt(walk: Walk, verb: RecordCall) -> Step:
    """Until silence, a finish key, the limit or the hang-up."""
    with calls.listening(walk.live_call) as inbox:
        starting = asyncio.ensure_future(_start(walk, verb))
        try:
            view = await asyncio.shield(starting)
            if view is None:
                return None
            walk.note_activity()
            key = await _until_end(walk, verb, view.recording.id, inbox)
            facts = await _ended_facts(walk, view.recording.id)
        except asyncio.CancelledError:
            await _abandon(walk, verb, await starting)
            raise
    if facts is None:
        return None
    return await walk.act(verb.action, {**facts, "digits": key or ""})


async def _abandon(walk: Walk, verb: RecordCall, view: RecordingView | None) -> None:
    """The call is over, or another program takes over."""
    if view is None:
        return
    if not walk.live_call.is_over:
        await recordings.stop_recording(walk.parts, view.recording.id)
    elif (facts := await _ended_facts(walk, view.recording.id)) is not None:
        await walk.tell_action(verb.action, facts)


async def _start(walk: Walk, verb: RecordCall) -> RecordingView | None:
    call = walk.live_call.call
    command = StartCallRecording(
        account_id=call.account_id,
        call_id=call.id,
        starter=Starter(
            dialect=call.dialect,
            request_id=new_uuid(),
            callback_url=verb.callback_url,
            callback_method=verb.callback_method,
            extras=verb.extras,
        ),
        options=verb.options,
    )
    try:
        return await walk.control.execute(command)
    except (Conflict, NotFound, Unavailable) as fault:
        _log.warning("recording_not_started", call=call.id, reason=str(fault))
        return None


async def _until_end(
    walk: Walk, verb: RecordCall, recording_id: RecordingId, inbox: DigitInbox
) -> str | None:
    """The key that ended it, if one did."""
    ended = asyncio.ensure_future(recordings.wait_until_ended(walk.parts, recording_id))
    keyed = asyncio.ensure_future(_finish_key(inbox, verb.finish_keys))
    try:
        await asyncio.wait({ended, keyed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await walk.drop(ended, keyed)
    if keyed.cancelled():
        return None
    try:
        await recordings.stop_recording(walk.parts, recording_id, RecordingEnd.FINISH_KEY)
    except EngineFailed as error:
        _log.warning("recording_not_stopped", recording=recording_id, reason=error.reason)
    return keyed.result()


async def _finish_key(inbox: DigitInbox, keys: str) -> str:
    while (digit := await inbox.get()) not in keys:
        pass
    return digit


async def _ended_facts(walk: Walk, recording_id: RecordingId) -> Mapping[str, str] | None:
    """What is known of it once its file is there, or after a while without it; None when it has
    been deleted.
    """
    try:
        async with asyncio.timeout(FINISH_LIMIT_S):
            await recordings.wait_until_ended(walk.parts, recording_id)
    except TimeoutError:
        _log.warning("recording_not_finished_yet", recording=recording_id)
    account_id = walk.live_call.call.account_id
    wanted = GetRecording(account_id=account_id, recording_id=recording_id)
    try:
        return _facts(await walk.control.execute(wanted), is_over=True)
    except RecordingNotFound:
        return None


def _facts(view: RecordingView, *, is_over: bool) -> Mapping[str, str]:
    recording = view.recording
    facts = {
        "verb": "record",
        "recording_id": recording.id,
        "record_url": view.link,
        "recording_start_ms": str(recording.started_at_ms),
        "recording_duration": NOT_YET,
        "recording_duration_ms": NOT_YET,
        "recording_end_ms": NOT_YET,
    }
    return {**facts, **_durations(recording)} if is_over else facts


def _durations(recording: Recording) -> Mapping[str, str]:
    duration_ms = recording.duration_ms
    ended_at_ms = recording.ended_at_ms or recording.started_at_ms + duration_ms
    return {
        "recording_duration": str((duration_ms + 500) // 1_000),
        "recording_duration_ms": str(duration_ms),
        "recording_end_ms": str(ended_at_ms),
        "end_reason": recording.end_reason or "",
    }
