"""Recordings of one call: started, laid out, limited, stopped, ended with their leg."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.control.support import World

from tapeline.control.live import LiveCall
from tapeline.control.recordings import stop_recording, wait_until_ended
from tapeline.domain import event
from tapeline.domain.call import Direction
from tapeline.domain.command import (
    ListRecordings,
    PauseCallRecording,
    RecordingView,
    StartCallRecording,
    StopCallRecording,
)
from tapeline.domain.error import (
    CallHasEnded,
    CallNotAnswered,
    CallNotFound,
    NotRecording,
    RecordingNotFound,
    TooManyRecordings,
)
from tapeline.domain.id import AccountId, CallId, RecordingId
from tapeline.domain.recording import (
    Layout,
    RecordingEnd,
    RecordingOptions,
    RecordingState,
    Starter,
    TargetKind,
)
from tapeline.domain.signal import ChannelLayout


def start(node: World, call_id: CallId, **fields: Any) -> StartCallRecording:
    dialect = fields.pop("dialect", "plain")
    return StartCallRecording(
        account_id=node.account.id,
        call_id=call_id,
        starter=Starter(dialect=dialect, request_id="request-1", extras={"a": "1", "b": "1"}),
        **fields,
    )


def stop(node: World, call_id: CallId, **fields: Any) -> StopCallRecording:
    return StopCallRecording(
        account_id=node.account.id, call_id=call_id, **{"dialect": "plain", **fields}
    )


@pytest.fixture
async def live_call(node: World) -> LiveCall:
    return await node.answered_call(caller="alice")


async def test_a_call_is_recorded_with_everything_that_was_asked(
    node: World, live_call: LiveCall
) -> None:
    options = RecordingOptions(
        limit_ms=60_000,
        silence_limit_ms=5_000,
        silence_waits_for_speech=True,
        beep=True,
        trim_silence=True,
    )

    view = await node.control.execute(start(node, live_call.call.id, options=options))

    (spec,) = node.engine.recorders.values()
    assert (spec.leg, spec.room, spec.layout) == (live_call.leg, None, ChannelLayout.MIX)
    assert (spec.limit_ms, spec.silence_limit_ms) == (60_000, 5_000)
    assert (spec.silence_waits_for_speech, spec.beep, spec.trim_silence) == (True, True, True)
    row = await node.recording(view.recording.id)
    assert (row.target, row.call_id, row.caller) == (TargetKind.CALL, live_call.call.id, "alice")
    assert (row.conference_id, row.state) == (None, RecordingState.RECORDING)


@pytest.mark.parametrize(
    ("layout", "direction", "tapped"),
    [
        (Layout.MIX, Direction.INBOUND, ChannelLayout.MIX),
        (Layout.CALLER_CALLEE, Direction.INBOUND, ChannelLayout.RX_TX),
        (Layout.CALLER_CALLEE, Direction.OUTBOUND, ChannelLayout.TX_RX),
        (Layout.OWN_REST, Direction.INBOUND, ChannelLayout.RX_TX),
        (Layout.OWN_REST, Direction.OUTBOUND, ChannelLayout.RX_TX),
        (Layout.INBOUND, Direction.OUTBOUND, ChannelLayout.RX),
        (Layout.OUTBOUND, Direction.INBOUND, ChannelLayout.TX),
    ],
)
async def test_who_called_is_left_whichever_leg_that_is(
    node: World,
    live_call: LiveCall,
    layout: Layout,
    direction: Direction,
    tapped: ChannelLayout,
) -> None:
    live_call.call = replace(live_call.call, direction=direction)

    view = await node.control.execute(
        start(node, live_call.call.id, options=RecordingOptions(layout=layout))
    )

    (spec,) = node.engine.recorders.values()
    assert spec.layout is tapped
    assert spec.layout.channels == view.recording.channels


async def test_r33_a_thousand_identical_starts_meet_the_limit_and_exhaust_nothing(
    node: World, live_call: LiveCall
) -> None:
    limit = node.account.settings.max_recordings_per_target

    outcomes = await asyncio.gather(
        *(node.control.execute(start(node, live_call.call.id)) for _ in range(1_000)),
        return_exceptions=True,
    )

    assert sum(isinstance(o, RecordingView) for o in outcomes) == limit
    assert sum(isinstance(o, TooManyRecordings) for o in outcomes) == 1_000 - limit
    assert len(node.engine.recorders) == limit
    assert (await node.control.execute(ListRecordings())).total == limit


async def test_one_of_several_is_stopped_and_its_extras_are_told(
    node: World, live_call: LiveCall
) -> None:
    first = await node.control.execute(start(node, live_call.call.id))
    second = await node.control.execute(start(node, live_call.call.id))

    stopped = await node.control.execute(
        stop(node, live_call.call.id, recording_id=first.recording.id, extras={"b": "2"})
    )
    (finished,) = await node.happened(event.RecordingFinished)
    await node.settled()

    assert stopped == (first.recording.id,)
    assert finished.recording.starter.extras == {"a": "1", "b": "2"}
    assert finished.recording.end_reason is RecordingEnd.COMMAND
    assert list(live_call.recordings) == [second.recording.id]


async def test_without_an_id_all_of_the_dialect_s_stop(node: World, live_call: LiveCall) -> None:
    mine = [await node.control.execute(start(node, live_call.call.id)) for _ in range(3)]
    await node.control.execute(start(node, live_call.call.id, dialect="other"))

    stopped = await node.control.execute(stop(node, live_call.call.id))

    assert set(stopped) == {view.recording.id for view in mine}
    await node.happened(event.RecordingFinished, 3)
    assert len(node.engine.recorders) == 1


async def test_stopping_what_is_not_there(node: World, live_call: LiveCall) -> None:
    other = await node.control.execute(start(node, live_call.call.id, dialect="other"))
    mine = await node.control.execute(start(node, live_call.call.id))
    named = stop(node, live_call.call.id, recording_id=mine.recording.id)
    await node.control.execute(named)

    for recording_id in (RecordingId("nobody's"), other.recording.id):
        with pytest.raises(RecordingNotFound):
            await node.control.execute(stop(node, live_call.call.id, recording_id=recording_id))
    with pytest.raises(NotRecording):
        await node.control.execute(named)
    assert await node.control.execute(replace(named, is_idempotent=True)) == ()


async def test_a_recording_ends_with_its_leg_and_says_so(node: World, live_call: LiveCall) -> None:
    view = await node.control.execute(start(node, live_call.call.id))

    node.engine.hang_up_from_outside(live_call.leg)
    (finished,) = await node.happened(event.RecordingFinished)
    await node.happened(event.CallEnded)
    await node.settled()

    assert finished.recording.id == view.recording.id
    assert finished.recording.end_reason is RecordingEnd.LEG_GONE
    assert not node.parts.live.recordings
    with pytest.raises(CallHasEnded):
        await node.control.execute(stop(node, live_call.call.id))
    with pytest.raises(CallHasEnded):
        await node.control.execute(start(node, live_call.call.id))


async def test_a_call_that_ends_during_the_start_has_ended(
    node: World, live_call: LiveCall
) -> None:
    node.engine.hang_up_from_outside(live_call.leg)  # not yet reported

    with pytest.raises(CallHasEnded):
        await node.control.execute(start(node, live_call.call.id))


async def test_a_call_that_is_nobody_s_or_another_s_is_not_found(
    node: World, live_call: LiveCall
) -> None:
    stranger = AccountId("MA" + "X" * 18)
    node.parts.accounts._keep(replace(node.account, id=stranger), node.parts.accounts._changes)

    for command in (
        start(node, CallId("nobody's")),
        stop(node, CallId("nobody's")),
        replace(start(node, live_call.call.id), account_id=stranger),
        replace(stop(node, live_call.call.id), account_id=stranger),
    ):
        with pytest.raises(CallNotFound):
            await node.control.execute(command)


async def test_a_call_that_rings_cannot_be_recorded_yet(node: World) -> None:
    node.pauses.hold = asyncio.Event()
    await node.application("n", answer_document='[["wait", {}]]')
    node.engine.arrive(called="n")
    (arrived,) = await node.happened(event.CallArrived)

    with pytest.raises(CallNotAnswered):
        await node.control.execute(start(node, arrived.call.id))


async def test_its_events_carry_the_call_and_what_steers_it(
    node: World, live_call: LiveCall
) -> None:
    await node.control.execute(start(node, live_call.call.id))
    await node.control.execute(stop(node, live_call.call.id))
    await node.happened(event.RecordingFinished)

    told = [each for each in node.events if isinstance(each, event.RecordingEvent)]
    assert [each.name for each in told] == ["recording_started", "recording_finished"]
    for each in told:
        assert each.call is not None
        assert each.call.id == live_call.call.id
        assert each.application == live_call.application
        assert each.conference is None


async def test_a_program_s_stop_says_why_and_may_come_late(
    node: World, live_call: LiveCall
) -> None:
    view = await node.control.execute(start(node, live_call.call.id))

    await stop_recording(node.parts, view.recording.id, RecordingEnd.FINISH_KEY)
    row = await wait_until_ended(node.parts, view.recording.id)
    await stop_recording(node.parts, view.recording.id)

    assert (row.state, row.end_reason) == (RecordingState.COMPLETED, RecordingEnd.FINISH_KEY)
    assert await wait_until_ended(node.parts, view.recording.id) == row
    with pytest.raises(RecordingNotFound):
        await wait_until_ended(node.parts, RecordingId("nobody's"))


async def test_a_limit_is_the_reason_even_when_a_stop_was_meant(
    node: World, live_call: LiveCall
) -> None:
    view = await node.control.execute(start(node, live_call.call.id))
    ((recorder, _spec),) = node.engine.recorders.items()

    node.engine.finish(recorder, reason="silence_limit")  # not yet reported
    await stop_recording(node.parts, view.recording.id, RecordingEnd.FINISH_KEY)

    row = await wait_until_ended(node.parts, view.recording.id)
    assert row.end_reason is RecordingEnd.SILENCE_LIMIT


async def test_record_commands_leave_what_the_dialect_gave_with_the_call(
    node: World, live_call: LiveCall
) -> None:
    call_id = live_call.call.id
    seen = []

    await node.control.execute(start(node, call_id, call_extras={"state": "started"}))
    seen.append(live_call.call.extras["state"])
    pause = PauseCallRecording(
        account_id=node.account.id,
        call_id=call_id,
        dialect="plain",
        call_extras={"state": "paused"},
    )
    await node.control.execute(pause)
    seen.append(live_call.call.extras["state"])
    with pytest.raises(RecordingNotFound):
        await node.control.execute(
            stop(node, call_id, recording_id=RecordingId("none"), call_extras={"state": "no"})
        )
    seen.append(live_call.call.extras["state"])
    await node.control.execute(stop(node, call_id, call_extras={"state": "stopped"}))
    seen.append((await node.call(call_id)).extras["state"])

    assert seen == ["started", "paused", "paused", "stopped"]
