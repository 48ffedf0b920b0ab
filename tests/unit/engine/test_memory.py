"""The in-memory engine keeps the core's rules."""

import asyncio
from dataclasses import asdict

import pytest

from tapeline.domain.error import DiskFull, EngineFailed, Invalid
from tapeline.domain.port import Engine
from tapeline.domain.signal import (
    CallAnswered,
    CallArrived,
    CallEnded,
    ParticipantJoined,
    ParticipantLeft,
    RecorderHandle,
    RecorderSpec,
    RecordingArmed,
    RecordingFinished,
    RoomEmpty,
    RoomHandle,
    Signal,
)
from tapeline.engine import MemoryEngine
from tapeline.engine.memory import Settings


def listening(engine: MemoryEngine) -> list[Signal]:
    signals: list[Signal] = []
    engine.subscribe(signals.append)
    return signals


def kinds(signals: list[Signal]) -> list[type[Signal]]:
    return [type(signal) for signal in signals]


async def test_a_call_s_signals_come_before_its_commands_return() -> None:
    engine = MemoryEngine()
    port: Engine = engine
    signals = listening(engine)

    leg = engine.arrive(called="7001", caller="+15550101")
    await port.ring(leg)
    await port.answer(leg)
    room = await port.create_room(rate_hz=8000)
    await port.join(leg, room)

    assert kinds(signals) == [CallArrived, CallAnswered, ParticipantJoined]
    assert asdict(signals[0])["called"] == "7001"
    assert engine.rooms[room] == [leg]
    assert engine.names() == ["ring", "answer", "create_room", "join"]


async def test_the_last_one_to_leave_empties_the_room() -> None:
    engine = MemoryEngine()
    room = await engine.create_room(rate_hz=8000)
    first, second = engine.arrive(called="1"), engine.arrive(called="2")
    for leg in (first, second):
        await engine.answer(leg)
        await engine.join(leg, room)
    signals = listening(engine)

    engine.hang_up_from_outside(first)
    await engine.hang_up(second)

    assert kinds(signals) == [CallEnded, ParticipantLeft, CallEnded, ParticipantLeft, RoomEmpty]
    assert [s.by for s in signals if isinstance(s, CallEnded)] == ["remote_bye", "command"]
    assert engine.stats()["legs"] == 0


async def test_what_is_set_of_a_participant_lasts_until_it_leaves() -> None:
    engine = MemoryEngine()
    room = await engine.create_room(rate_hz=8000)
    leg = engine.arrive(called="1")
    await engine.answer(leg)
    await engine.join(leg, room, muted=True, heard_by=[])
    await engine.set_participant(leg, muted=False, gain_db=-6)
    assert engine.legs[leg].settings == Settings(gain_db=-6, heard_by=[])

    for refused in ({"gain_db": 21}, {"heard_by": [leg] * 9}):
        with pytest.raises(Invalid):
            await engine.set_participant(leg, **refused)
    await engine.leave(leg)
    assert engine.legs[leg].settings == Settings()


async def test_a_closed_room_finishes_its_recorder() -> None:
    engine = MemoryEngine(sample_count=12_345)
    room = await engine.create_room(rate_hz=8000)
    recorder = await engine.start_recording(RecorderSpec(folder="/s", format="wav", room=room))
    signals = listening(engine)

    await engine.close_room(room)

    (finished,) = signals
    assert isinstance(finished, RecordingFinished)
    assert (finished.recorder, finished.reason) == (recorder, "room_closed")
    assert finished.sample_count == 12_345
    assert engine.stats()["recorders"] == 0


async def test_a_stopped_recorder_can_wait_for_its_last_bytes() -> None:
    engine = MemoryEngine(finishes_by_itself=False)
    signals = listening(engine)
    room = await engine.create_room(rate_hz=8000)
    recorder = await engine.start_recording(RecorderSpec(folder="/s", format="mp3", room=room))

    await engine.stop_recording(recorder)
    assert kinds(signals) == [RecordingArmed]
    engine.finish(recorder, sample_count=8000, missing_ms=[("overflow", 20)])
    await asyncio.sleep(0)

    assert isinstance(signals[-1], RecordingFinished)
    assert signals[-1].reason == "command"
    assert signals[-1].missing_ms == [("overflow", 20)]


async def test_commands_on_dead_handles_fail() -> None:
    engine = MemoryEngine()
    ringing = engine.arrive(called="1")
    gone = engine.arrive(called="2")
    engine.hang_up_from_outside(gone)
    room = await engine.create_room(rate_hz=8000)
    nowhere = RoomHandle(999)

    for command in (
        engine.answer(gone),
        engine.hang_up(gone),
        engine.join(ringing, room),
        engine.leave(ringing),
        engine.close_room(nowhere),
        engine.stop_recording(RecorderHandle(998)),
        engine.start_recording(RecorderSpec(folder="/s", format="wav", room=nowhere)),
    ):
        with pytest.raises(EngineFailed):
            await command
    assert engine.levels(ringing) is None


async def test_a_refusal_can_be_ordered() -> None:
    engine = MemoryEngine()
    room = await engine.create_room(rate_hz=8000)
    engine.refuse_next("start_recording", DiskFull("the disk is full"))
    spec = RecorderSpec(folder="/s", format="wav", room=room)

    with pytest.raises(DiskFull):
        await engine.start_recording(spec)

    assert await engine.start_recording(spec) in engine.recorders
