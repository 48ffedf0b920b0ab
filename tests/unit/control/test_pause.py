"""Pausing: the core pauses first, the row follows, and digits are withheld meanwhile."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.control.support import World

from tapeline.control.live import LiveCall
from tapeline.domain import event
from tapeline.domain.command import (
    ConferenceRef,
    PauseCallRecording,
    PauseConferenceRecording,
    RecordingView,
    StartCallRecording,
    StartConferenceRecording,
    StopCallRecording,
)
from tapeline.domain.error import ConferenceNotFound, EngineFailed, NotRecording, RecordingNotFound
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import RecordingState, Starter

STARTER = Starter(dialect="plain", request_id="request-1")


@pytest.fixture
async def live_call(node: World) -> LiveCall:
    return await node.answered_call()


@pytest.fixture
async def view(node: World, live_call: LiveCall) -> RecordingView:
    return await node.control.execute(
        StartCallRecording(account_id=node.account.id, call_id=live_call.call.id, starter=STARTER)
    )


def pause(node: World, live_call: LiveCall, **fields: Any) -> PauseCallRecording:
    return PauseCallRecording(
        account_id=node.account.id, call_id=live_call.call.id, dialect="plain", **fields
    )


async def test_a_pause_and_its_end_reach_the_core_and_the_row(
    node: World, live_call: LiveCall, view: RecordingView
) -> None:
    (recorder,) = node.engine.recorders
    seen = []

    for resumes in (False, False, True, True):
        moved = await node.control.execute(pause(node, live_call, resumes=resumes))
        row = await node.recording(view.recording.id)
        seen.append((row.state, recorder in node.engine.paused, live_call.withholds_digits))
        assert moved == (view.recording.id,)

    paused = (RecordingState.PAUSED, True, True)
    running = (RecordingState.RECORDING, False, False)
    assert seen == [paused, paused, running, running]
    assert node.engine.names().count("pause_recording") == 1
    assert node.engine.names().count("resume_recording") == 1


async def test_a_pause_that_ends_by_itself_ends_in_the_row_too(
    node: World, live_call: LiveCall, view: RecordingView
) -> None:
    (recorder,) = node.engine.recorders
    await node.control.execute(pause(node, live_call))

    node.engine.end_pause(recorder)
    await node.settled()

    row = await node.recording(view.recording.id)
    assert (row.state, live_call.withholds_digits) == (RecordingState.RECORDING, False)


async def test_a_conference_s_pause_withholds_what_its_participants_key(node: World) -> None:
    await node.room_application()
    leg = await node.join("MyConf")
    where = ConferenceRef(account_id=node.account.id, name="MyConf")
    command = PauseConferenceRecording(conference=where, dialect="plain")
    with pytest.raises(NotRecording):
        await node.control.execute(command)
    await node.control.execute(StartConferenceRecording(conference=where, starter=STARTER))

    await node.control.execute(command)
    withheld = node.parts.live.calls[leg].withholds_digits
    await node.control.execute(replace(command, resumes=True))

    assert (withheld, node.parts.live.calls[leg].withholds_digits) == (True, False)
    with pytest.raises(ConferenceNotFound):
        await node.control.execute(replace(command, conference=replace(where, name="Nobody")))


async def test_one_of_several_is_paused(
    node: World, live_call: LiveCall, view: RecordingView
) -> None:
    await node.control.execute(
        StartCallRecording(account_id=node.account.id, call_id=live_call.call.id, starter=STARTER)
    )

    await node.control.execute(pause(node, live_call, recording_id=view.recording.id))

    assert len(node.engine.paused) == 1
    with pytest.raises(RecordingNotFound):
        await node.control.execute(pause(node, live_call, recording_id=RecordingId("nobody's")))


async def test_a_paused_recording_can_be_stopped(
    node: World, live_call: LiveCall, view: RecordingView
) -> None:
    await node.control.execute(pause(node, live_call))

    await node.control.execute(
        StopCallRecording(account_id=node.account.id, call_id=live_call.call.id, dialect="plain")
    )
    (finished,) = await node.happened(event.RecordingFinished)

    assert finished.recording.id == view.recording.id
    assert not live_call.withholds_digits
    with pytest.raises(NotRecording):
        await node.control.execute(pause(node, live_call))


@pytest.mark.parametrize("resumes", [False, True])
async def test_what_the_core_refuses_leaves_it_as_it_was(
    node: World,
    live_call: LiveCall,
    view: RecordingView,
    monkeypatch: pytest.MonkeyPatch,
    *,
    resumes: bool,
) -> None:
    monkeypatch.setattr("tapeline.control.recordings.finish.FINISH_LIMIT_S", 0.01)
    if resumes:
        await node.control.execute(pause(node, live_call))
    before = await node.recording(view.recording.id)
    node.engine.refuse_next("resume_recording" if resumes else "pause_recording")

    with pytest.raises(EngineFailed):
        await node.control.execute(pause(node, live_call, resumes=resumes))

    assert (await node.recording(view.recording.id)).state is before.state
    assert live_call.withholds_digits is resumes


async def test_a_pause_that_meets_the_limit_is_no_error(
    node: World, live_call: LiveCall, view: RecordingView
) -> None:
    (recorder,) = node.engine.recorders

    node.engine.finish(recorder, reason="time_limit")  # not yet reported
    await node.control.execute(pause(node, live_call))

    row = await node.recording(view.recording.id)
    assert row.state is RecordingState.COMPLETED
