"""From the last sample to the terminal row: each kind of end, and each step done twice."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract import stores
from tests.contract.stores import ACCOUNT_ID
from tests.unit.delivery.doubles import StandingClock
from tests.unit.recording.doubles import (
    DyingFiles,
    DyingStore,
    Killed,
    ScriptedTools,
    Told,
    finished,
    states,
    write_spool,
)

from tapeline.domain.error import RecordingNotFound
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import Health, HealthNote, RecordingEnd, RecordingState
from tapeline.proof import Signer
from tapeline.recording import Finaliser, Prover, recover
from tapeline.state import SqlStore
from tapeline.storage import LocalStore

REC = RecordingId("rec-1")
SOUND = b"s" * 800


@dataclass
class Place:
    """A node's data folder with a store in it."""

    root: Path
    store: SqlStore
    tools: ScriptedTools
    told: Told

    def finaliser(self, **changed: Any) -> Finaliser:
        parts: dict[str, Any] = {
            "store": self.store,
            "files": LocalStore(self.root / "recordings"),
            "tools": self.tools,
            "prover": Prover(
                store=changed.get("store", self.store),
                files=changed.get("files", LocalStore(self.root / "recordings")),
                signer=Signer(self.root / "keys"),
                drafts=self.root / "spool",
            ),
            "clock": StandingClock(),
            "spool": self.root / "spool",
            "link_of": lambda row: f"http://node/{row.id}",
        }
        return Finaliser(**{**parts, **changed})

    @property
    def spool(self) -> Path:
        return self.root / "spool" / REC

    @property
    def files(self) -> list[str]:
        root = self.root / "recordings"
        return sorted(path.name for path in root.rglob("*") if path.is_file())

    async def add(self, **changed: Any) -> None:
        row = replace(stores.recording(REC), **changed)
        await self.store.write(lambda tx: tx.recordings.add(row))


ALL_FILES = [
    "rec-1.blocks.sha256",
    "rec-1.journal.jsonl",
    "rec-1.manifest.json",
    "rec-1.wav",
]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    (tmp_path / "spool").mkdir()
    (tmp_path / "recordings").mkdir()
    store = await stores.open_sqlite(tmp_path)
    await store.write(stores.add_basics)
    told = Told()
    store.subscribe(after_commit=told.hear)
    yield Place(tmp_path, store, ScriptedTools(), told)
    await store.close()


async def test_a_finished_recording_is_complete_at_its_key_and_told(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)

    done = await place.finaliser().finalise(REC, finished())

    assert (done.state, done.health_words) == (RecordingState.COMPLETED, "ok")
    assert (done.duration_ms, done.byte_count, done.sha256) == (100, 800, "sha-of-800")
    assert (done.started_at_ms, done.ended_at_ms) == (5000, 5100)
    assert place.files == ALL_FILES
    assert not place.spool.exists()
    assert [event.recording for event in place.told.events] == [done]
    (told,) = place.told.events
    assert told.link == "http://node/rec-1"
    assert told.call is not None
    assert told.conference is not None
    assert (told.call.id, told.conference.id) == ("call-1", "conf-1")
    assert done.end_reason is RecordingEnd.COMMAND
    assert place.tools.repaired == []


async def test_r08_missing_sound_makes_it_degraded_with_reason_and_span(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)

    spans = [("ring_overflow", 40), ("skipped_ticks", 0)]
    done = await place.finaliser().finalise(REC, finished(missing_ms=spans))

    assert done.health == (HealthNote(flag=Health.DEGRADED, reason="ring_overflow", missing_ms=40),)


async def test_a_file_that_the_writer_gave_up_is_mended_and_degraded(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=False)

    end = finished(reason="writer_failed", sha256="")
    done = await place.finaliser().finalise(REC, end)

    assert place.tools.repaired == [REC]
    assert done.state is RecordingState.COMPLETED
    assert done.health_words == "degraded"


async def test_r27_when_nothing_was_ever_heard_it_is_absent(place: Place) -> None:
    await place.add()
    write_spool(place.spool, b"", is_finished=True)

    done = await place.finaliser().finalise(REC, finished(0))

    assert (done.state, done.reason) == (RecordingState.ABSENT, "nothing was heard")
    assert place.files == ["rec-1.manifest.json"]
    assert len(place.told.events) == 1


async def test_r08_when_nothing_could_be_written_it_has_failed(place: Place) -> None:
    await place.add()

    done = await place.finaliser().finalise(REC, finished(0, reason="writer_failed", sha256=""))

    assert (done.state, done.reason) == (
        RecordingState.FAILED,
        "no audio was on the disk (writer_failed)",
    )


async def links(place: Place) -> list[dict[str, Any]]:
    chain = await place.store.read(lambda tx: tx.manifests.chain(ACCOUNT_ID, after=0, limit=99))
    return [json.loads(link.body) for link in chain]


@pytest.mark.parametrize("sound", [b"", None])
async def test_what_failed_or_is_absent_has_a_manifest_without_audio(
    place: Place, sound: bytes | None
) -> None:
    await place.add()
    if sound is not None:
        write_spool(place.spool, sound, is_finished=True)
    end = finished(0) if sound is not None else finished(0, reason="writer_failed", sha256="")

    done = await place.finaliser().finalise(REC, end)

    (link,) = await links(place)
    assert link["recording"]["state"] == done.state.value
    assert link["recording"]["reason"] == done.reason
    assert link["audio"] is None
    assert "rec-1.manifest.json" in place.files


async def test_when_the_row_is_terminal_its_manifest_stands_before_anybody_is_told(
    place: Place,
) -> None:
    seen: list[int] = []
    place.store.subscribe(
        in_transaction=lambda tx, _event: seen.append(len(tx.manifests.of_recording(REC)))
    )
    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)

    await place.finaliser().finalise(REC, finished())

    assert seen == [1]


async def test_a_disk_that_refuses_the_manifest_s_file_refuses_nothing_else(
    place: Place,
) -> None:
    class Full(LocalStore):
        async def put(self, source: Path, key: str) -> None:
            if key.endswith(".manifest.json"):
                raise OSError(28, "No space left on device")
            await super().put(source, key)

    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)
    finaliser = place.finaliser(files=Full(place.root / "recordings"))

    done = await finaliser.finalise(REC, finished())

    assert done.state is RecordingState.COMPLETED
    assert len(await links(place)) == 1
    await place.finaliser().prover.lay_missing_document(done)
    assert place.files == ALL_FILES


async def test_an_end_that_is_reported_twice_is_told_once(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)

    first = await place.finaliser().finalise(REC, finished())
    assert await place.finaliser().finalise(REC, finished()) == first
    assert len(await links(place)) == 1
    assert len(place.told.events) == 1


async def test_a_recording_without_a_row_is_an_error(place: Place) -> None:
    with pytest.raises(RecordingNotFound):
        await place.finaliser().finalise(REC, finished())


KILLS: list[dict[str, Any]] = [
    {"writes": 1, "commits": False},
    {"writes": 1, "commits": True},
    {"moves": 0},
    {"moves": 1},
    {"moves": 2},
    {"writes": 2, "commits": False},
    {"writes": 2, "commits": True},
]


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("was_finished", [True, False])
@pytest.mark.parametrize("again", [None, KILLS[1], KILLS[3]])
async def test_killed_at_any_step_and_again_at_any_step_it_comes_to_the_same_end(
    place: Place,
    kill: dict[str, Any],
    again: dict[str, Any] | None,
    *,
    was_finished: bool,
) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=was_finished)

    with pytest.raises(Killed):
        await dying(place, kill).finalise(REC, finished())
    if again is not None:
        with suppress(Killed):
            await recover(dying(place, again), stores.NODE)
    await recover(place.finaliser(), stores.NODE)

    row = await place.store.read(lambda tx: tx.recordings.get(REC))
    assert row is not None
    assert row.state is RecordingState.COMPLETED
    assert (row.sample_count, row.byte_count, row.sha256) == (800, 800, "sha-of-800")
    assert place.files == ALL_FILES
    assert not place.spool.exists()
    assert len(place.told.events) == 1


def dying(place: Place, kill: dict[str, Any]) -> Finaliser:
    if "moves" in kill:
        return place.finaliser(
            files=DyingFiles(place.root / "recordings", after_moves=kill["moves"])
        )
    store = DyingStore(place.store, after_writes=kill["writes"], commits_last=kill["commits"])
    return place.finaliser(store=store)


async def test_a_crashed_recording_is_recovered_and_says_so(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=False)

    recovery = await recover(place.finaliser(), stores.NODE)

    assert recovery.recovered == [REC]
    (event,) = place.told.events
    assert event.recording.state is RecordingState.COMPLETED
    assert event.recording.health_words == "recovered"
    assert event.recording.ended_at_ms == 5100
    assert event.recording.end_reason is RecordingEnd.NODE_LOST
    assert event.call is not None


async def test_one_whose_commit_alone_was_missing_is_complete_and_not_recovered(
    place: Place,
) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)

    recovery = await recover(place.finaliser(), stores.NODE)

    assert (recovery.completed, recovery.recovered) == ([REC], [])
    assert place.told.events[0].recording.health_words == "ok"


async def test_each_unfinished_row_gets_the_end_that_its_spool_allows(place: Place) -> None:
    rows = {
        "gone": RecordingState.RECORDING,
        "empty": RecordingState.PAUSED,
        "silent": RecordingState.FINALISING,
        "fine": RecordingState.RECORDING,
    }
    for name, state in rows.items():
        row = stores.recording(name, state=state)
        await place.store.write(lambda tx, row=row: tx.recordings.add(row))  # type: ignore[misc]
    spool = place.root / "spool"
    write_spool(spool / "empty", b"", is_finished=False)
    write_spool(spool / "silent", b"", is_finished=True)
    write_spool(spool / "fine", SOUND, is_finished=False)
    write_spool(spool / "stranger", SOUND, is_finished=False)

    recovery = await recover(place.finaliser(), stores.NODE)

    found = await place.store.read(lambda tx: states(tx, *rows))
    assert found == ["failed", "failed", "absent", "completed"]
    assert set(recovery.failed) == {"gone", "empty"}
    assert (recovery.absent, recovery.recovered) == (["silent"], ["fine"])
    assert recovery.orphans == ["stranger"]
    assert (spool / "stranger" / "audio.part").read_bytes() == SOUND
    gone = await place.store.read(lambda tx: tx.recordings.get(RecordingId("gone")))
    assert gone is not None
    assert gone.reason == "audio not found"
    assert len(place.told.events) == 4


async def test_a_disk_that_refuses_postpones_and_takes_nobody_else_along(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=False)
    other = stores.recording("gone")
    await place.store.write(lambda tx: tx.recordings.add(other))

    place.tools.fails = OSError(5, "Input/output error")
    recovery = await recover(place.finaliser(), stores.NODE)
    assert (recovery.postponed, recovery.failed) == ([REC], ["gone"])

    place.tools.fails = None
    recovery = await recover(place.finaliser(), stores.NODE)
    assert recovery.recovered == [REC]


async def test_another_node_s_recordings_are_left_alone(place: Place) -> None:
    await place.add(node_id="node-2")
    write_spool(place.spool, SOUND, is_finished=False)

    recovery = await recover(place.finaliser(), stores.NODE)

    assert recovery.recovered == []
    assert recovery.orphans == [REC]
    assert place.spool.exists()
