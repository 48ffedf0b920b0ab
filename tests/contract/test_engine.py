"""Both engines tell the same story: what the control plane is tested with is what it runs on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from tests.e2e.rawphone import RawPhone

from tapeline.domain.error import EngineFailed
from tapeline.domain.port import Engine
from tapeline.domain.signal import (
    CallArrived,
    CallEnded,
    LegHandle,
    ParticipantLeft,
    RecorderSpec,
    RecordingFinished,
    RecordingProgress,
    RoomEmpty,
    RoomHandle,
    Signal,
    Talking,
)
from tapeline.engine import Access, CoreSettings, MemoryEngine
from tapeline.engine.core import CoreEngine
from tapeline.telemetry.bugs import Bugs

_LIMIT_S = 5.0
# What depends on the clock or on the audio, and changes nothing.
_FIGURES = (Talking, RecordingProgress)


class Stage(Protocol):
    """An engine and the telephones outside it."""

    @property
    def engine(self) -> Engine: ...
    @property
    def spool(self) -> Path: ...
    async def dial(self, called: str) -> None: ...
    async def acknowledge(self) -> None: ...
    async def hang_up_from_outside(self, leg: LegHandle) -> None: ...


class MemoryStage:
    def __init__(self, spool: Path) -> None:
        self.engine = MemoryEngine()
        self.spool = spool

    async def dial(self, called: str) -> None:
        self.engine.arrive(called=called)

    async def acknowledge(self) -> None:
        return

    async def hang_up_from_outside(self, leg: LegHandle) -> None:
        self.engine.hang_up_from_outside(leg)


class CoreStage:
    """One telephone at a time."""

    def __init__(self, spool: Path) -> None:
        settings = CoreSettings(
            sip_udp=("127.0.0.1:0",),
            rtp_ports=(41_000, 41_999),
            spool=spool,
            access=Access(networks=("127.0.0.0/8",)),
            realtime=False,
        )
        self.engine = CoreEngine.build(settings, bugs=Bugs())
        self.engine.start()
        self.spool = spool
        self.phones: list[RawPhone] = []

    async def dial(self, called: str) -> None:
        self.phones.append(RawPhone(self.engine.sip_addresses[0]))
        await self.phones[-1].invite(called)

    async def acknowledge(self) -> None:
        await self.phones[-1].accept()

    async def hang_up_from_outside(self, leg: LegHandle) -> None:
        del leg
        await self.phones[-1].bye()

    async def close(self) -> None:
        await self.engine.stop()
        for phone in self.phones:
            await phone.__aexit__()


@pytest.fixture(params=["memory", "core"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    if request.param == "memory":
        yield MemoryStage(tmp_path)
        return
    stage = CoreStage(tmp_path / "spool")
    yield stage
    await stage.close()


class Story:
    """The signals so far, without figures."""

    def __init__(self, engine: Engine) -> None:
        self.signals: list[Signal] = []
        self._came = asyncio.Event()
        engine.subscribe(self._receive)

    def _receive(self, signal: Signal) -> None:
        if not isinstance(signal, _FIGURES):
            self.signals.append(signal)
            self._came.set()

    async def next(self, count: int) -> Sequence[Signal]:
        """Waits for so many signals and takes them."""
        async with asyncio.timeout(_LIMIT_S):
            while len(self.signals) < count:
                self._came.clear()
                await self._came.wait()
        taken, self.signals[:count] = self.signals[:count], []
        return taken


def names(signals: Sequence[Signal]) -> list[str]:
    return [type(signal).__name__ for signal in signals]


async def arrive(stage: Stage, story: Story) -> LegHandle:
    await stage.dial("7001")
    (arrived,) = await story.next(1)
    assert isinstance(arrived, CallArrived)
    assert arrived.called == "7001"
    return arrived.leg


async def bring_in(stage: Stage, story: Story, room: RoomHandle) -> LegHandle:
    leg = await arrive(stage, story)
    await stage.engine.ring(leg)
    await stage.engine.answer(leg)
    assert names(await story.next(1)) == ["CallAnswered"]
    await stage.acknowledge()
    await stage.engine.join(leg, room)
    assert names(await story.next(1)) == ["ParticipantJoined"]
    return leg


async def test_a_recorded_room_that_its_last_member_leaves(stage: Stage) -> None:
    story = Story(stage.engine)
    room = await stage.engine.create_room(rate_hz=8000)
    leg = await bring_in(stage, story, room)
    spec = RecorderSpec(folder=str(stage.spool / "one"), format="wav", room=room)
    recorder = await stage.engine.start_recording(spec)
    assert names(await story.next(1)) == ["RecordingArmed"]

    await stage.hang_up_from_outside(leg)
    ended, left, empty = await story.next(3)
    await stage.engine.close_room(room)
    (finished,) = await story.next(1)

    assert isinstance(ended, CallEnded)
    assert (ended.leg, ended.by, ended.sip_status) == (leg, "remote_bye", 200)
    assert isinstance(left, ParticipantLeft)
    assert empty == RoomEmpty(room=room)
    assert isinstance(finished, RecordingFinished)
    assert (finished.recorder, finished.reason) == (recorder, "room_closed")
    assert story.signals == []


async def test_a_room_closed_over_its_members(stage: Stage) -> None:
    story = Story(stage.engine)
    room = await stage.engine.create_room(rate_hz=8000)
    leg = await bring_in(stage, story, room)

    await stage.engine.close_room(room)
    assert names(await story.next(2)) == ["ParticipantLeft", "RoomEmpty"]
    await stage.engine.leave(leg)
    await stage.engine.set_participant(leg, muted=True)
    await stage.hang_up_from_outside(leg)

    assert names(await story.next(1)) == ["CallEnded"]
    assert story.signals == []


async def test_joining_twice_is_joining_once(stage: Stage) -> None:
    story = Story(stage.engine)
    rooms = [await stage.engine.create_room(rate_hz=8000) for _ in range(2)]
    leg = await bring_in(stage, story, rooms[0])

    await stage.engine.join(leg, rooms[0], muted=True)
    await stage.engine.join(leg, rooms[1])
    left, empty, joined = await story.next(3)

    assert names([left, empty, joined]) == ["ParticipantLeft", "RoomEmpty", "ParticipantJoined"]
    await stage.hang_up_from_outside(leg)
    assert names(await story.next(3)) == ["CallEnded", "ParticipantLeft", "RoomEmpty"]


@pytest.mark.parametrize(
    ("is_rejected", "status"), [(True, 486), (False, 480)], ids=["rejected", "hung up"]
)
async def test_a_call_that_is_not_wanted(stage: Stage, *, is_rejected: bool, status: int) -> None:
    story = Story(stage.engine)
    leg = await arrive(stage, story)

    if is_rejected:
        await stage.engine.reject(leg, status=486, reason="Busy Here")
    else:
        await stage.engine.hang_up(leg)

    assert await story.next(1) == [CallEnded(leg=leg, by="command", sip_status=status)]


async def test_commands_that_come_too_early_or_too_late(stage: Stage) -> None:
    story = Story(stage.engine)
    room = await stage.engine.create_room(rate_hz=8000)
    leg = await arrive(stage, story)
    for early in (stage.engine.join(leg, room), stage.engine.leave(leg)):
        with pytest.raises(EngineFailed):
            await early
    assert stage.engine.levels(leg) is None

    await stage.engine.answer(leg)
    await stage.acknowledge()
    assert stage.engine.levels(leg) is not None
    for twice in (stage.engine.answer(leg), stage.engine.reject(leg, status=486, reason="")):
        with pytest.raises(EngineFailed):
            await twice

    await stage.hang_up_from_outside(leg)
    await story.next(2)
    await stage.engine.close_room(room)
    spec = RecorderSpec(folder=str(stage.spool / "late"), format="wav", room=room)
    for late in (
        stage.engine.hang_up(leg),
        stage.engine.close_room(room),
        stage.engine.start_recording(spec),
    ):
        with pytest.raises(EngineFailed):
            await late
    assert stage.engine.stats()["legs"] == 0
    assert stage.engine.stats()["rooms"] == 0
