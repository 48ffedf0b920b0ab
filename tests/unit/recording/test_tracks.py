"""R20: each participant's own file, from the spool to its key, whatever happens on the way."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.recording.doubles import DyingFiles, Killed, finished, write_spool
from tests.unit.recording.test_finalise import ALL_FILES, REC, SOUND, Place, place

from tapeline.domain.conference import Participant, ParticipantState
from tapeline.domain.id import CallId, ConferenceId, EpochMs, MemberId, NodeId
from tapeline.domain.recording import RecordingState, TargetKind, Track, TrackSide
from tapeline.domain.signal import LegHandle, RecordingFinished, RepairReport, TrackFile
from tapeline.recording import recover
from tapeline.recording.tracks import side_of, who_came

__all__ = ["place"]
TRACK_FILES = [
    f"rec-1.track-{number}.{name}"
    for number in ("001", "002")
    for name in ("blocks.sha256", "journal.jsonl", "wav")
]


def participant(member: str, leg: int, joined_ms: int) -> Participant:
    return Participant(
        member_id=MemberId(member),
        conference_id=ConferenceId("conf-1"),
        call_id=CallId("call-1"),
        state=ParticipantState.LEFT,
        leg=leg,
        joined_at_ms=EpochMs(joined_ms),
    )


def file(number: int, *, leg: int = 7, offset_ms: int = 0, samples: int = 80) -> TrackFile:
    return TrackFile(
        number=number,
        leg=LegHandle(leg),
        offset_ms=offset_ms,
        sample_count=samples,
        byte_count=samples,
        sha256=f"sha-{number}",
    )


TWO = [file(1), file(2, offset_ms=500)]


def with_tracks(*files: TrackFile) -> RecordingFinished:
    return replace(finished(), tracks=list(files))


def write_tracks(folder: Path, *numbers: str) -> None:
    for number in numbers:
        write_spool(folder / "tracks" / number, b"t" * 80, is_finished=True)


async def tracks(place: Place) -> list[Track]:
    return list(await place.store.read(lambda tx: tx.tracks.of_recording(REC)))


async def fill(place: Place) -> None:
    await place.add()
    write_spool(place.spool, SOUND, is_finished=True)
    write_tracks(place.spool, "001", "002")
    for each in (participant("3", 7, 4_000), participant("4", 7, 5_500)):
        await place.store.write(lambda tx, each=each: tx.participants.add(each))


async def test_r20_tracks_are_at_their_keys_with_who_they_are_of(place: Place) -> None:
    await fill(place)

    done = await place.finaliser().finalise(REC, with_tracks(*TWO))
    first, second = await tracks(place)

    assert done.state is RecordingState.COMPLETED
    assert place.files == sorted([*ALL_FILES, *TRACK_FILES])
    assert not place.spool.exists()
    assert (first.call_id, first.member_id, first.offset_ms) == ("call-1", "3", 0)
    assert (second.member_id, second.offset_ms) == ("4", 500)
    assert second.storage_key == done.storage_key.replace(".wav", ".track-002.wav")
    assert (second.sample_count, second.byte_count, second.sha256) == (80, 80, "sha-2")


async def test_who_said_nothing_at_all_has_no_track(place: Place) -> None:
    await fill(place)

    await place.finaliser().finalise(REC, with_tracks(file(1), file(2, samples=0)))

    assert [track.number for track in await tracks(place)] == [1]


async def test_a_track_that_is_nowhere_makes_the_recording_degraded(place: Place) -> None:
    await fill(place)

    done = await place.finaliser().finalise(REC, with_tracks(*TWO, file(3)))

    assert [track.number for track in await tracks(place)] == [1, 2]
    assert [(note.flag.value, note.reason) for note in done.health] == [("degraded", "tracks_lost")]


async def test_of_a_call_the_first_track_is_what_it_says_and_the_second_what_it_hears(
    place: Place,
) -> None:
    await fill(place)
    row = await place.store.read(lambda tx: tx.recordings.get(REC))
    assert row is not None
    own = replace(row, target=TargetKind.CALL, conference_id=None, call_id=CallId("call-9"))
    await place.store.write(lambda tx: tx.recordings.update(own))

    done = await place.finaliser().finalise(REC, with_tracks(file(1), file(2)))

    assert [track.call_id for track in await tracks(place)] == ["call-9", None]
    assert [side_of(done, number) for number in (1, 2, 3)] == [*TrackSide, None]
    assert side_of(row, 1) is None, "a conference's"


@pytest.mark.parametrize("moves", range(9))
async def test_r07_a_death_between_any_two_moves_loses_no_track(place: Place, moves: int) -> None:
    await fill(place)
    report = place.tools.repair

    def repair(folder: str) -> RepairReport:
        return replace(report(folder), tracks=TWO)

    place.tools.repair = repair  # type: ignore[method-assign]
    dying = DyingFiles(place.root / "recordings", after_moves=moves)
    with pytest.raises(Killed):
        await place.finaliser(files=dying).finalise(REC, with_tracks(*TWO))

    await recover(place.finaliser(), NodeId("node-1"))

    row = await place.store.read(lambda tx: tx.recordings.get(REC))
    assert row is not None
    assert (row.state, row.health) == (RecordingState.COMPLETED, ())
    assert place.files == sorted([*ALL_FILES, *TRACK_FILES])
    assert [track.member_id for track in await tracks(place)] == ["3", "4"]
    assert not place.spool.exists()


@pytest.mark.parametrize(
    ("by_ms", "member"), [(1_000, "1"), (2_100, "2"), (9_999, "2"), (500, "1")]
)
def test_a_stay_is_told_by_leg_and_time(by_ms: int, member: str) -> None:
    present = [participant("9", 8, 0), participant("1", 7, 900), participant("2", 7, 2_000)]

    found = who_came(present, 7, EpochMs(by_ms))

    assert found is not None
    assert found.member_id == member
    assert who_came(present, 5, EpochMs(by_ms)) is None
