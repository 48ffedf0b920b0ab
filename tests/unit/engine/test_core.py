"""The live engine over a scripted core: futures, order, refusals, what is left behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import get_type_hints

import pytest
from tests.unit.engine.scripted import ScriptedCore

from tapeline.domain.call import CallQuality
from tapeline.domain.error import DiskFull, EngineFailed
from tapeline.domain.signal import (
    CallArrived,
    CallEnded,
    Digit,
    LegHandle,
    PlaybackHandle,
    PlayedTone,
    PlaySpec,
    RecorderHandle,
    RecorderSpec,
    RecordingFinished,
    RoomHandle,
    Signal,
    TracedMessage,
    TrackFile,
)
from tapeline.engine import Access
from tapeline.engine.core import CoreEngine
from tapeline.engine.table import SIGNALS
from tapeline.telemetry.bugs import Bugs

LEG, ROOM, RECORDER = LegHandle(7), RoomHandle(8), RecorderHandle(9)
SPEC = RecorderSpec(folder="/spool/a", format="wav", room=ROOM)


class QuietBugs(Bugs):
    """Counts without failing the test that expects the bug."""

    def add(self, where: str, error: BaseException) -> None:
        self.count += 1
        self.seen.append(f"{where}: {error}")


@pytest.fixture
def core() -> Iterator[ScriptedCore]:
    core = ScriptedCore()
    yield core
    core.close()


@pytest.fixture
def bugs() -> QuietBugs:
    return QuietBugs()


@pytest.fixture
async def engine(core: ScriptedCore, bugs: QuietBugs) -> AsyncIterator[CoreEngine]:
    engine = CoreEngine(core, bugs=bugs)
    engine.start()
    yield engine
    await engine.stop()


async def test_a_call_s_messages_are_found_by_its_leg_and_its_call_id(engine: CoreEngine) -> None:
    found = [
        TracedMessage(unix_us=5, is_sent=True, transport="udp", peer="192.0.2.1:5060", text="BYE")
    ]
    assert engine.sip_trace(LEG) == engine.sip_trace("call-of-7") == found
    assert engine.sip_trace(LegHandle(8)) == engine.sip_trace("another") == []


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


COMMANDS: list[tuple[Callable[[CoreEngine], Awaitable[object]], str, tuple[object, ...]]] = [
    (lambda e: e.ring(LEG), "ring", (7,)),
    (lambda e: e.answer(LEG), "answer", (7,)),
    (lambda e: e.reject(LEG, status=486, reason="Busy Here"), "reject", (7, 486, "Busy Here")),
    (lambda e: e.progress(LEG), "progress", (7,)),
    (lambda e: e.hang_up(LEG), "hang_up", (7,)),
    (lambda e: e.hang_up(LEG, cause=200, reason="elsewhere"), "hang_up", (7, 200, "elsewhere")),
    (lambda e: e.accept_transfer(LEG), "accept_transfer", (7,)),
    (lambda e: e.refuse_transfer(LEG, status=603), "refuse_transfer", (7, 603)),
    (lambda e: e.report_transfer(LEG, status=180), "report_transfer", (7, 180)),
    (lambda e: e.send_digits(LEG, "1w#"), "send_digits", (7, "1w#", 100, 80)),
    (lambda e: e.create_room(rate_hz=8000), "create_room", (8000,)),
    (lambda e: e.close_room(ROOM), "close_room", (8,)),
    (
        lambda e: e.join(LEG, ROOM, muted=True, gain_db=-3),
        "join",
        (7, 8, True, False, False, -3, "everyone", False),
    ),
    (lambda e: e.leave(LEG), "leave", (7,)),
    (
        lambda e: e.set_participant(LEG, deaf=True, heard_by=[LEG]),
        "set_participant",
        (7, None, True, None, None, [7]),
    ),
    (
        lambda e: e.start_recording(SPEC),
        "start_recording",
        (
            *("/spool/a", "wav", 8, None, "mix", None, 0, 0, 0, False),
            *("skip", 0, False, 0, -15.0, True, False, False, "{}"),
        ),
    ),
    (lambda e: e.stop_recording(RECORDER), "stop_recording", (9,)),
    (
        lambda e: e.play(PlaySpec(path="/s/a.mp3", leg=LEG)),
        "play",
        ("/s/a.mp3", [], 7, 1, False, 0.0),
    ),
    (
        lambda e: e.play(
            PlaySpec(
                tones=(PlayedTone(first_hz=425, on_ms=500, off_ms=500),),
                room=ROOM,
                loops=0,
                instead=True,
                level_db=-6,
            )
        ),
        "play",
        (None, [(425, 0, 500, 500, -20.0)], 8, 0, True, -6),
    ),
    (lambda e: e.stop_plays(leg=LEG), "stop_plays", (7, None)),
    (lambda e: e.stop_play(PlaybackHandle(6)), "stop_play", (6,)),
    (lambda e: e.pause_recording(RECORDER), "pause_recording", (9,)),
    (lambda e: e.resume_recording(RECORDER), "resume_recording", (9,)),
    (
        lambda e: e.set_access(Access(networks=("10.0.0.0/8",), rate_per_source=5)),
        "set_access",
        (("10.0.0.0/8",), 5, ("127.0.0.0/8", "::1/128"), 2_000),
    ),
    (
        lambda e: e.set_credentials([("ann", "ep", "", "")]),
        "set_credentials",
        ((("ann", "ep", "", ""),),),
    ),
    (
        lambda e: e.set_sources([("tr", ["10.0.0.0/8"])]),
        "set_sources",
        ((("tr", ["10.0.0.0/8"]),),),
    ),
    (
        lambda e: e.set_locations([("ep", [("sip:a@b", "udp;192.0.2.1:5060", 1)])]),
        "set_locations",
        ((("ep", [("sip:a@b", "udp;192.0.2.1:5060", 1)]),),),
    ),
    (
        lambda e: e.register(
            "tr",
            registrar="sip:c",
            aor="sip:a@c",
            username="a",
            password="b",
            expires_s=600,
        ),
        "register",
        ("tr", "sip:c", "sip:a@c", "a", "b", 600),
    ),
    (lambda e: e.unregister("tr"), "unregister", ("tr",)),
    (lambda e: e.watch("tr", ["sip:c"], every_s=30), "watch", ("tr", ("sip:c",), 30)),
    (lambda e: e.set_draining(draining=True), "set_draining", (True,)),
]


@pytest.mark.parametrize(("command", "name", "arguments"), COMMANDS, ids=[c[1] for c in COMMANDS])
async def test_a_command_is_handed_over_and_awaited(
    engine: CoreEngine,
    core: ScriptedCore,
    command: Callable[[CoreEngine], Awaitable[object]],
    name: str,
    arguments: tuple[object, ...],
) -> None:
    made = await command(engine)

    assert core.asked == [(name, arguments)]
    assert made == (1001 if name in {"create_room", "start_recording", "play"} else None)


async def test_answers_find_their_command_in_any_order(
    engine: CoreEngine, core: ScriptedCore
) -> None:
    core.answers = False
    first = asyncio.create_task(engine.answer(LegHandle(1)))
    second = asyncio.create_task(engine.answer(LegHandle(2)))
    await turns()

    core.say("command_done", command=2)
    core.say("command_failed", command=1, reason="no such leg")

    await second
    with pytest.raises(EngineFailed, match="answer failed: no such leg"):
        await first


async def test_a_full_disk_has_its_own_error(engine: CoreEngine, core: ScriptedCore) -> None:
    core.answers = False
    start = asyncio.create_task(engine.start_recording(SPEC))
    await turns()

    core.say("command_failed", command=1, reason="disk space: 12 MB left, 256 MB are kept free")

    with pytest.raises(DiskFull, match="12 MB left"):
        await start


async def test_a_full_ring_is_a_refusal(engine: CoreEngine, core: ScriptedCore) -> None:
    core.is_busy = True

    with pytest.raises(EngineFailed, match="takes no commands"):
        await engine.hang_up(LEG)


async def test_signals_come_typed_and_in_order(engine: CoreEngine, core: ScriptedCore) -> None:
    signals: list[Signal] = []
    engine.subscribe(signals.append)

    arrived = {
        "leg": 7,
        "called": "7001",
        "caller": "bob",
        "caller_name": "",
        "request_uri": "sip:7001@host",
        "source": "127.0.0.1:5062",
        "sip_call_id": "c",
        "owner": "ep",
        "transport": "tls",
        "extra_headers": [("X-A", "1")],
    }
    core.say("call_arrived", **arrived)
    core.say("digit", leg=7, digit="#", duration_ms=80)
    quality = {
        "mos": 4.3,
        "packets_received": 50,
        "packets_lost": 1,
        "packets_late": 2,
        "jitter_max_ms": 3,
        "packets_sent": 49,
        "remote_lost": 0,
    }
    core.say("call_ended", leg=7, by="remote_bye", sip_status=0, quality=quality)
    core.say("call_ended", leg=8, by="fault", sip_status=0, quality=None)
    await turns()

    assert signals == [
        CallArrived(**arrived),  # type: ignore[arg-type]
        Digit(leg=LEG, digit="#", duration_ms=80),
        CallEnded(leg=LEG, by="remote_bye", sip_status=0, quality=CallQuality(**quality)),  # type: ignore[arg-type]
        CallEnded(leg=LegHandle(8), by="fault", sip_status=0),
    ]


def test_every_signal_of_the_domain_has_a_name() -> None:
    # What carries files of its own is made by a function that says so.
    made = {
        make if isinstance(make, type) else get_type_hints(make)["return"]
        for make in SIGNALS.values()
    }
    assert made == set(Signal.__args__)


async def test_a_bad_event_or_subscriber_is_counted_and_harms_nobody_else(
    engine: CoreEngine, core: ScriptedCore, bugs: QuietBugs
) -> None:
    signals: list[Signal] = []

    def careless(_signal: Signal) -> None:
        raise KeyError("careless")

    engine.subscribe(careless)
    engine.subscribe(signals.append)

    core.say("moon_risen", phase="full")
    core.say("room_empty", room=8, colour="blue")
    core.say("command_done", command=99)
    core.say("room_empty", room=8)
    await turns()

    assert len(signals) == 1
    assert [seen.split(":")[0] for seen in bugs.seen] == ["engine"] * 3 + ["engine subscriber"]


@pytest.mark.parametrize(
    ("command", "undo"),
    [
        (lambda e: e.create_room(rate_hz=8000), ("close_room", (1001,))),
        (lambda e: e.start_recording(SPEC), ("stop_recording", (1001,))),
    ],
)
async def test_a_caller_that_gives_up_leaves_nothing_behind(
    engine: CoreEngine,
    core: ScriptedCore,
    bugs: QuietBugs,
    command: Callable[[CoreEngine], Awaitable[object]],
    undo: tuple[str, tuple[object, ...]],
) -> None:
    core.answers = False
    task = asyncio.ensure_future(command(engine))
    await turns()

    task.cancel()
    await turns()
    assert len(core.asked) == 1
    core.answers = True
    core.say("command_done", command=1)
    await turns()

    assert core.asked[1:] == [undo]
    assert bugs.count == 0


async def test_stopping_delivers_the_last_signals_and_fails_what_is_open(
    core: ScriptedCore, bugs: QuietBugs
) -> None:
    core.answers = False
    finished = {
        "recorder": 9,
        "reason": "room_closed",
        "sample_count": 8000,
        "rate_hz": 8000,
        "channels": 1,
        "byte_count": 16_044,
        "sha256": "ab",
        "started_unix_us": 1,
        "missing_ms": [("overflow", 20)],
        "notes": [("clipping", 40)],
        "tracks": [],
    }
    track = {
        "number": 1,
        "leg": 7,
        "offset_ms": 20,
        "sample_count": 7840,
        "byte_count": 15_760,
        "sha256": "cd",
        "missing_ms": [],
    }
    core.said_at_stop = [("recording_finished", {**finished, "tracks": [track]})]
    engine = CoreEngine(core, bugs=bugs)
    engine.start()
    signals: list[Signal] = []
    engine.subscribe(signals.append)
    waiting = asyncio.create_task(engine.answer(LEG))
    await turns()

    await asyncio.gather(engine.stop(), engine.stop())

    tracks = [TrackFile(**track)]  # type: ignore[arg-type]
    assert signals == [RecordingFinished(**{**finished, "tracks": tracks})]  # type: ignore[arg-type]
    with pytest.raises(EngineFailed, match="stopped"):
        await waiting
    with pytest.raises(EngineFailed, match="stopped"):
        await engine.ring(LEG)
    assert bugs.count == 0


async def test_panics_that_the_core_caught_are_bugs(core: ScriptedCore, bugs: QuietBugs) -> None:
    core.panics = 2
    engine = CoreEngine(core, bugs=bugs)
    engine.start()

    await engine.stop()

    assert bugs.seen == ["core: 2 panics were caught"]


async def test_nothing_is_asked_before_the_start(core: ScriptedCore, bugs: QuietBugs) -> None:
    engine = CoreEngine(core, bugs=bugs)

    with pytest.raises(EngineFailed, match="not been started"):
        await engine.answer(LEG)

    assert core.asked == []


def test_levels_are_typed(core: ScriptedCore, bugs: QuietBugs) -> None:
    engine = CoreEngine(core, bugs=bugs)

    levels = engine.levels(LegHandle(1))

    assert levels is not None
    assert levels.level_rx_db == -20.5
    assert (levels.round_trip_ms, levels.mos) == (4.5, None)
    assert engine.levels(LegHandle(2)) is None
