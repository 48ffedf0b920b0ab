import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.control.support import ExpectedBugs, World, set_account, world

from tapeline.control.recordings import finish_put_off
from tapeline.domain import event
from tapeline.domain.command import (
    ConferenceRef,
    DeleteRecording,
    DeleteRecordings,
    GetRecording,
    ListConferences,
    ListRecordings,
    RecordingFilter,
    RecordingView,
    StartCallRecording,
    StartConferenceRecording,
    StopConferenceRecording,
)
from tapeline.domain.error import (
    AlreadyRecording,
    ConferenceNotFound,
    DiskFull,
    Draining,
    EngineFailed,
    Invalid,
    NotRecording,
    RecordingNotFound,
    StoreFailed,
    TapelineError,
    TooManyRecordings,
)
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.recording import (
    Health,
    HealthNote,
    Layout,
    RecordingEnd,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    Starter,
)
from tapeline.domain.signal import ChannelLayout, PauseAs
from tapeline.engine import MemoryEngine


def start(node: World, name: str = "MyConf", **fields: Any) -> StartConferenceRecording:
    dialect = fields.pop("dialect", "plain")
    return StartConferenceRecording(
        conference=ConferenceRef(account_id=node.account.id, name=name),
        starter=Starter(dialect=dialect, request_id="request-1"),
        **fields,
    )


def stop(node: World, name: str = "MyConf", **fields: Any) -> StopConferenceRecording:
    return StopConferenceRecording(
        conference=ConferenceRef(account_id=node.account.id, name=name),
        **{"dialect": "plain", **fields},
    )


@pytest.fixture
async def room(node: World) -> World:
    """A node with a call in conference MyConf."""
    await node.room_application()
    await node.join("MyConf", caller="alice")
    return node


async def test_a_start_is_answered_when_the_core_is_armed(room: World) -> None:
    view = await room.control.execute(
        start(room, options=RecordingOptions(format=RecordingFormat.WAV, limit_ms=5_000))
    )

    ((recorder, spec),) = room.engine.recorders.items()
    assert view.recording.id == room.parts.live.recorders[recorder].id
    assert spec.folder.endswith(f"/spool/{view.recording.id}")
    assert (spec.format, spec.limit_ms, spec.layout) == ("wav", 5_000, "mix")
    assert view.recording.caller == "alice"
    assert re.fullmatch(
        rf"{room.account.id}/2023/11/14/{view.recording.id}\.wav", view.recording.storage_key
    )
    assert f"for={room.account.id}" in view.link
    (started,) = await room.happened(event.RecordingStarted)
    assert started.link == f"http://node/media/{view.recording.id}.wav"


async def test_the_row_gets_the_wall_clock_of_the_first_sample(room: World) -> None:
    view = await room.control.execute(start(room))
    await room.settled()

    row = await room.recording(view.recording.id)
    assert 0 < row.started_at_ms - view.recording.started_at_ms < 1_000


async def test_a_stop_is_answered_when_applied_and_the_file_follows(room: World) -> None:
    view = await room.control.execute(start(room))

    stopped = await room.control.execute(stop(room))
    (finished,) = await room.happened(event.RecordingFinished)

    assert stopped == (view.recording.id,)
    assert finished.recording.state is RecordingState.COMPLETED
    assert finished.recording.duration_ms == 10_000
    await room.settled()
    assert not room.parts.live.recordings
    assert not room.parts.live.recorders


async def test_a_stopped_recording_whose_file_is_not_there_yet_is_finalising(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, engine=MemoryEngine(finishes_by_itself=False)) as node:
        await node.room_application()
        await node.join("MyConf")
        view = await node.control.execute(start(node))
        ((recorder, _spec),) = node.engine.recorders.items()

        await node.control.execute(stop(node))
        between = (await node.recording(view.recording.id)).state
        again = await node.control.execute(start(node))
        with pytest.raises(NotRecording):
            await node.control.execute(stop(node, dialect="other"))
        node.engine.finish(recorder)
        (finished,) = await node.happened(event.RecordingFinished)

        assert between is RecordingState.FINALISING
        assert again.recording.id != view.recording.id
        assert finished.recording.id == view.recording.id


async def test_of_a_hundred_starts_at_once_one_wins(room: World) -> None:
    outcomes = await asyncio.gather(
        *(room.control.execute(start(room)) for _ in range(100)), return_exceptions=True
    )

    assert sum(isinstance(o, RecordingView) for o in outcomes) == 1
    assert sum(isinstance(o, AlreadyRecording) for o in outcomes) == 99
    assert len(room.engine.recorders) == 1
    page = await room.control.execute(ListRecordings())
    assert page.total == 1


async def test_starts_and_stops_that_cross_leave_nothing_running(room: World) -> None:
    outcomes = await asyncio.gather(
        *(
            room.control.execute(command)
            for _ in range(30)
            for command in (start(room), stop(room))
        ),
        return_exceptions=True,
    )
    await room.control.execute(stop(room, is_idempotent=True))
    started = [o for o in outcomes if isinstance(o, RecordingView)]
    finished = await room.happened(event.RecordingFinished, len(started))

    assert {e.recording.id for e in finished} == {v.recording.id for v in started}
    assert not room.engine.recorders
    assert all(isinstance(o, RecordingView | tuple | TapelineError) for o in outcomes)


async def test_dialects_record_one_room_side_by_side_and_stop_their_own(room: World) -> None:
    mine = await room.control.execute(start(room))
    other = await room.control.execute(start(room, dialect="other"))

    stopped = await room.control.execute(stop(room, dialect="other"))

    assert stopped == (other.recording.id,)
    await room.happened(event.RecordingFinished)
    await room.settled()
    assert list(room.parts.live.recordings) == [mine.recording.id]


async def test_parallel_recordings_have_a_limit(room: World) -> None:
    limit = room.account.settings.max_recordings_per_target

    outcomes = await asyncio.gather(
        *(room.control.execute(start(room, allows_parallel=True)) for _ in range(limit + 8)),
        return_exceptions=True,
    )

    assert sum(isinstance(o, RecordingView) for o in outcomes) == limit
    assert sum(isinstance(o, TooManyRecordings) for o in outcomes) == 8
    assert len(room.engine.recorders) == limit


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (None, EngineFailed),
        (DiskFull("disk space: 12 bytes are free, 256 MB are kept"), DiskFull),
    ],
)
async def test_a_start_that_the_core_refuses_failed_and_calls_nobody_back(
    room: World, error: TapelineError | None, raised: type[TapelineError]
) -> None:
    room.engine.refuse_next("start_recording", error)

    with pytest.raises(raised):
        await room.control.execute(start(room))
    page = await room.control.execute(ListRecordings())
    later = await room.control.execute(start(room))

    assert [v.recording.state for v in page.views] == [RecordingState.FAILED]
    assert page.views[0].recording.reason
    assert not [e for e in room.events if isinstance(e, event.RecordingEvent)]
    assert later.recording.state is RecordingState.RECORDING


async def test_the_end_of_the_room_finishes_its_recordings(room: World) -> None:
    view = await room.control.execute(start(room))

    (leg,) = room.engine.legs
    room.engine.hang_up_from_outside(leg)
    (finished,) = await room.happened(event.RecordingFinished)
    await room.happened(event.ConferenceEnded)

    assert finished.recording.id == view.recording.id
    await room.settled()
    with pytest.raises(ConferenceNotFound):
        await room.control.execute(stop(room))


async def test_a_limit_ends_a_recording_by_itself_and_the_next_may_start(room: World) -> None:
    await room.control.execute(start(room, options=RecordingOptions(limit_ms=1_000)))
    ((recorder, _),) = room.engine.recorders.items()

    room.engine.finish(recorder, reason="time_limit", sample_count=8_000)
    (finished,) = await room.happened(event.RecordingFinished)
    await room.settled()

    assert finished.recording.duration_ms == 1_000
    assert finished.recording.end_reason is RecordingEnd.TIME_LIMIT
    with pytest.raises(NotRecording):
        await room.control.execute(stop(room))
    await room.control.execute(start(room))


async def test_a_stop_that_meets_the_limit_is_no_error(room: World) -> None:
    await room.control.execute(start(room))
    ((recorder, _),) = room.engine.recorders.items()

    room.engine.finish(recorder, reason="time_limit")  # not yet reported
    stopped = await room.control.execute(stop(room))

    assert len(stopped) == 1
    await room.happened(event.RecordingFinished)


async def test_a_stop_that_the_core_refuses_leaves_the_recording_running(
    room: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapeline.control.recordings.finish.FINISH_LIMIT_S", 0.01)
    await room.control.execute(start(room))
    room.engine.refuse_next("stop_recording")

    with pytest.raises(EngineFailed):
        await room.control.execute(stop(room))
    assert len(await room.control.execute(stop(room))) == 1


@pytest.mark.parametrize("command", [start, stop])
async def test_a_room_that_nobody_has_joined_is_not_found(node: World, command: Any) -> None:
    with pytest.raises(ConferenceNotFound):
        await node.control.execute(command(node, "Nobody"))


async def test_stopping_what_does_not_run(room: World) -> None:
    with pytest.raises(NotRecording):
        await room.control.execute(stop(room))
    assert await room.control.execute(stop(room, is_idempotent=True)) == ()


async def test_a_node_that_stops_starts_nothing(room: World) -> None:
    room.parts.live.is_draining = True

    with pytest.raises(Draining):
        await room.control.execute(start(room))


async def test_a_caller_who_gives_up_leaves_a_whole_recording(room: World) -> None:
    asking = asyncio.ensure_future(room.control.execute(start(room)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert len(await room.control.execute(stop(room))) == 1
    await room.happened(event.RecordingFinished)


@pytest.mark.parametrize(
    ("policy", "is_signed"), [("signed", True), ("auth", False), ("public", False)]
)
async def test_links_are_signed_when_the_account_wants_it(
    room: World, policy: str, *, is_signed: bool
) -> None:
    await set_account(room, link_policy=policy)

    started = await room.control.execute(start(room))
    read = await room.control.execute(
        GetRecording(account_id=room.account.id, recording_id=started.recording.id)
    )

    assert ("?for=" in started.link, "?for=" in read.link) == (is_signed, is_signed)


async def test_another_account_s_recording_is_not_found(room: World) -> None:
    view = await room.control.execute(start(room))
    stranger = AccountId("MA" + "X" * 18)

    for command in (GetRecording, DeleteRecording):
        with pytest.raises(RecordingNotFound):
            await room.control.execute(command(account_id=stranger, recording_id=view.recording.id))
    assert (await room.control.execute(ListRecordings(account_id=stranger))).total == 0


async def test_of_many_recordings_those_that_are_there_are_deleted(room: World) -> None:
    here = (await room.control.execute(start(room))).recording.id
    wanted = (RecordingId("nowhere"), here, here)

    deleted = await room.control.execute(
        DeleteRecordings(account_id=room.account.id, recording_ids=wanted)
    )

    assert deleted == (here,)
    assert (await room.recording(here)).state is RecordingState.DELETED


async def test_views_name_the_creator_of_the_recorded_room(room: World) -> None:
    view = await room.control.execute(start(room))

    read = await room.control.execute(
        GetRecording(account_id=room.account.id, recording_id=view.recording.id)
    )
    (conference,) = await room.control.execute(ListConferences(account_id=room.account.id))

    creator = await room.call(view.recording.call_id)
    assert view.call is not None
    assert (view.call.id, read.call, conference.creator) == (creator.id, creator, creator)


async def test_deleting_a_running_recording_stops_it_first(room: World) -> None:
    view = await room.control.execute(start(room))
    key = {"account_id": room.account.id, "recording_id": view.recording.id}

    deleted = await room.control.execute(DeleteRecording(**key))

    assert not room.engine.recorders
    assert deleted.recording.state is RecordingState.DELETED
    stem = view.recording.storage_key.removesuffix(".mp3")
    names = ("mp3", "journal.jsonl", "blocks.sha256", "manifest.json")
    assert room.files.deleted == [f"{stem}.{name}" for name in names]
    told = [e.name for e in room.events if isinstance(e, event.RecordingEvent)]
    assert told == ["recording_started", "recording_finished", "recording_deleted"]
    tombstone = await room.recording(view.recording.id)
    assert (tombstone.state, tombstone.deleted_because) == (RecordingState.DELETED, "api")
    with pytest.raises(RecordingNotFound):
        await room.control.execute(GetRecording(**key))
    with pytest.raises(RecordingNotFound):
        await room.control.execute(DeleteRecording(**key))


async def test_lists_are_filtered(room: World) -> None:
    await room.control.execute(start(room))
    await room.control.execute(
        start(room, dialect="other", options=RecordingOptions(format=RecordingFormat.WAV))
    )

    page = await room.control.execute(
        ListRecordings(filter=RecordingFilter(format=RecordingFormat.WAV))
    )

    assert [v.recording.format for v in page.views] == [RecordingFormat.WAV]


async def test_an_unknown_recorder_s_end_is_counted(room: World) -> None:
    await room.control.execute(start(room))
    ((recorder, _),) = room.engine.recorders.items()
    room.parts.live.recorders.clear()

    room.engine.finish(recorder)
    await room.settled()

    assert room.parts.counts.values["recordings_finished_unknown"] == 1


async def test_a_finaliser_that_fails_is_a_bug_and_harms_no_other(tmp_path: Path) -> None:
    async with world(tmp_path, bugs=ExpectedBugs()) as node:
        await node.room_application()
        await node.join("MyConf")
        bad = await node.control.execute(start(node))
        good = await node.control.execute(start(node, dialect="other"))
        node.finaliser.refuses[bad.recording.id] = ZeroDivisionError("a bug")

        await node.control.execute(stop(node))
        await node.control.execute(stop(node, dialect="other"))
        (finished,) = await node.happened(event.RecordingFinished)
        await node.settled()

        assert finished.recording.id == good.recording.id
        assert node.bugs.count == 1
        assert not node.parts.live.recordings


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StoreFailed("full")])
async def test_what_the_disk_refuses_is_finished_later(
    room: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("tapeline.control.recordings.finish.RETRY_PAUSE_S", 0.01)
    view = await room.control.execute(start(room))
    room.finaliser.refuses[view.recording.id] = error
    await room.control.execute(stop(room))
    await room.settled()
    between = (await room.recording(view.recording.id)).state

    room.finaliser.refuses.clear()
    retrying = asyncio.ensure_future(finish_put_off(room.parts))
    (finished,) = await room.happened(event.RecordingFinished)
    retrying.cancel()

    assert between is RecordingState.FINALISING
    assert finished.recording.id == view.recording.id


async def test_own_and_rest_puts_the_creator_left_while_its_call_lives(room: World) -> None:
    (creator,) = room.engine.legs
    await room.join("MyConf", caller="bob")
    options = RecordingOptions(layout=Layout.OWN_REST)

    await room.control.execute(start(room, options=options))
    room.engine.hang_up_from_outside(creator)
    await room.happened(event.CallEnded)
    await room.settled()
    await room.control.execute(start(room, options=options, dialect="other"))

    first, second = room.engine.recorders.values()
    assert (first.layout, first.left_leg) == (ChannelLayout.LEG_REST, creator)
    assert (second.layout, second.left_leg) == (ChannelLayout.LEG_REST, None)


async def test_a_conference_s_events_carry_its_creator_application_and_conference(
    room: World,
) -> None:
    view = await room.control.execute(start(room))
    await room.control.execute(stop(room, extras={"why": "over"}))
    await room.happened(event.RecordingFinished)
    await room.control.execute(
        DeleteRecording(account_id=room.account.id, recording_id=view.recording.id)
    )

    told = [each for each in room.events if isinstance(each, event.RecordingEvent)]
    assert len(told) == 3
    for each in told:
        assert each.call is not None
        assert each.application is not None
        assert each.conference is not None
        assert (each.call.caller, each.conference.name) == ("alice", "MyConf")
        assert each.application.id == each.call.application_id
    assert told[-1].recording.starter.extras == {"why": "over"}


async def test_one_of_a_room_s_recordings_is_stopped_by_its_id(room: World) -> None:
    first = await room.control.execute(start(room))
    second = await room.control.execute(start(room, allows_parallel=True))

    stopped = await room.control.execute(stop(room, recording_id=second.recording.id))

    assert stopped == (second.recording.id,)
    with pytest.raises(RecordingNotFound):
        await room.control.execute(stop(room, recording_id=RecordingId("nobody's")))
    assert await room.control.execute(stop(room)) == (first.recording.id,)


async def test_an_accounts_habits_are_what_the_start_left_open(node: World) -> None:
    await node.room_application()
    await set_account(
        node,
        pause_as="silence",
        pause_limit_s=90,
        beep_every_s=15,
        beep_level_db=-20.0,
        beep_in_file=False,
        tracks=True,
    )
    leg = await node.join("MyConf")
    await node.control.execute(start(node))
    (spec,) = node.engine.recorders.values()
    call = node.parts.live.calls[leg].call
    own = await node.control.execute(
        StartCallRecording(
            account_id=node.account.id,
            call_id=call.id,
            starter=Starter(dialect="plain", request_id="r"),
            options=RecordingOptions(pause_as=PauseAs.SKIP, tracks=False),
        )
    )
    of_call = node.engine.recorders[max(node.engine.recorders)]

    assert (spec.pause_as, spec.pause_limit_ms, spec.tracks) == (PauseAs.SILENCE, 90_000, True)
    assert (spec.beep_every_ms, spec.beep_level_db, spec.beep_in_file) == (15_000, -20.0, False)
    assert (of_call.pause_as, of_call.tracks) == (PauseAs.SKIP, False)
    assert own.recording.options.tracks is False
    as_usual = await node.control.execute(
        StartCallRecording(
            account_id=node.account.id,
            call_id=call.id,
            starter=Starter(dialect="plain", request_id="r"),
        )
    )
    assert node.engine.recorders[max(node.engine.recorders)].tracks is True
    assert as_usual.recording.options.tracks is True
    for wrong in ({"pause_as": "hum"}, {"beep_level_db": 1.0}, {"pause_limit_s": -1}):
        with pytest.raises(Invalid):
            await set_account(node, **wrong)


async def test_r23_r24_what_is_odd_makes_a_recording_degraded(node: World) -> None:
    await node.room_application()
    await node.join("MyConf")
    view = await node.control.execute(start(node))
    (recorder,) = node.engine.recorders

    node.engine.finish(recorder, reason="a reason of tomorrow", notes=[("one_way_audio", 12_000)])
    await node.happened(event.RecordingFinished)

    row = await node.recording(view.recording.id)
    assert (row.state, row.end_reason) == (RecordingState.COMPLETED, None)
    assert row.health == (HealthNote(flag=Health.DEGRADED, reason="one_way_audio", odd_ms=12_000),)
