"""Holds, due dates, and what a deletion leaves: a signed tombstone and nothing personal."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.control.support import NOW_MS, World, set_account
from tests.unit.control.test_recordings import room, start, stop

from tapeline.control.retention import DAY_MS, delete_what_is_due
from tapeline.domain import event
from tapeline.domain.command import (
    DeleteRecording,
    DeleteRecordings,
    DeleteTranscript,
    GetKeeping,
    HoldRecording,
    KeepRecording,
    ReleaseRecording,
)
from tapeline.domain.error import (
    Conflict,
    DestinationFault,
    MissingValue,
    OutOfRange,
    RecordingHeld,
    RecordingNotFound,
)
from tapeline.domain.id import EpochMs, RecordingId, TranscriptId
from tapeline.domain.manifest import ManifestKind
from tapeline.domain.recording import Recording, RecordingState
from tapeline.domain.transcript import Transcript, TranscriptState
from tapeline.proof import verify_chain

__all__ = ["room"]  # the fixture

DATABASE_TABLES = ("recordings", "events", "deliveries", "personal_values", "manifests")


async def recorded(room: World) -> Recording:
    """One that has finished, with a manifest and personal values."""
    view = await room.control.execute(start(room))
    await room.control.execute(stop(room))
    await room.happened(event.RecordingFinished)
    row = await room.recording(view.recording.id)
    await room.store.write(lambda tx: room.parts.prover.add_recording(tx, row, {}, NOW_MS) and None)
    return row


def of(room: World, row: Recording) -> dict[str, Any]:
    return {"account_id": room.account.id, "recording_id": row.id}


async def hold(room: World, row: Recording) -> None:
    await room.control.execute(HoldRecording(**of(room, row), because="case 7", by="counsel"))


async def test_r44_what_is_held_cannot_be_deleted_by_anybody_until_it_is_released(
    room: World,
) -> None:
    row = await recorded(room)
    await room.store.write(lambda tx: tx.transcripts.add(transcript(row)))
    await hold(room, row)

    for command in (
        DeleteRecording(**of(room, row)),
        DeleteRecording(account_id=None, recording_id=row.id),
        DeleteRecordings(account_id=room.account.id, recording_ids=(row.id,)),
        DeleteTranscript(account_id=room.account.id, name=row.id),
    ):
        with pytest.raises(RecordingHeld, match="case 7"):
            await room.control.execute(command)
    assert room.files.deleted == []
    assert (await room.recording(row.id)).state is RecordingState.COMPLETED

    await room.control.execute(ReleaseRecording(**of(room, row)))
    await room.control.execute(DeleteRecording(**of(room, row)))
    assert (await room.recording(row.id)).state is RecordingState.DELETED


def transcript(row: Recording) -> Transcript:
    return Transcript(
        id=TranscriptId("t-1"),
        recording_id=row.id,
        account_id=row.account_id,
        state=TranscriptState.DONE,
        text="secret words",
        duration_ms=1_000,
        rate=0.0,
        created_at_ms=NOW_MS,
    )


async def test_one_held_recording_keeps_all_that_were_to_go_with_it(room: World) -> None:
    first = await recorded(room)
    view = await room.control.execute(start(room))
    await hold(room, view.recording)

    wanted = (first.id, view.recording.id)
    with pytest.raises(RecordingHeld):
        await room.control.execute(
            DeleteRecordings(account_id=room.account.id, recording_ids=wanted)
        )

    assert (await room.recording(first.id)).state is RecordingState.COMPLETED


async def test_a_hold_says_who_and_why_and_needs_a_reason(room: World) -> None:
    row = await recorded(room)
    with pytest.raises(MissingValue):
        await room.control.execute(HoldRecording(**of(room, row), because=" "))
    stranger = {**of(room, row), "account_id": "MA" + "X" * 18}
    for command in (HoldRecording(**stranger, because="x"), ReleaseRecording(**stranger)):
        with pytest.raises(RecordingNotFound):
            await room.control.execute(command)

    await hold(room, row)

    kept = await room.control.execute(GetKeeping(**of(room, row)))
    assert kept.hold is not None
    assert (kept.hold.by, kept.hold.because, kept.hold.at_ms) == ("counsel", "case 7", NOW_MS)


async def test_r44_a_deletion_leaves_a_signed_tombstone_and_nothing_personal(
    room: World, tmp_path: Path
) -> None:
    row = await recorded(room)
    spool = room.parts.spool / row.id
    spool.mkdir(parents=True)
    (spool / "audio.part").write_bytes(b"what could not be used")
    command = DeleteRecording(**of(room, row), because="asked by the caller", by="officer Li")

    answer = await room.control.execute(command)

    assert answer.recording.caller == "alice"  # who asks sees what went
    chain = await room.store.read(lambda tx: tx.manifests.chain(room.account.id, after=0, limit=9))
    assert [link.kind for link in chain] == [ManifestKind.RECORDING, ManifestKind.TOMBSTONE]
    said = json.loads(chain[1].body)["deleted"]
    assert said["by"] == "officer Li"
    assert said["because"] == "asked by the caller"
    assert said["at_ms"] == NOW_MS
    assert said["audio_sha256"] == row.sha256
    assert said["manifest_sha256"] == chain[0].sha256
    assert not spool.exists()
    folder = tmp_path / "recordings"
    assert sorted(file.name for file in folder.rglob("*.json")) == [
        f"{row.id}.manifest.json",
        f"{row.id}.tombstone.json",
    ]
    assert verify_chain(folder, room.parts.prover.signer.public_keys()).findings == ()
    assert "alice" not in text_of_rows(tmp_path / "tapeline.db", row.id)
    assert await room.store.read(lambda tx: tx.keeping.begun(limit=9)) == []


def text_of_rows(database: Path, recording_id: str) -> str:
    """All that the tables say of that recording; calls and conferences have a life of their own."""
    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        rows = [
            *connection.execute(
                sa.text("SELECT * FROM recordings WHERE id = :id"), {"id": recording_id}
            ),
            *connection.execute(
                sa.text("SELECT * FROM events WHERE recording_id = :id"), {"id": recording_id}
            ),
            *connection.execute(sa.text("SELECT * FROM personal_values")),
            *connection.execute(sa.text("SELECT body FROM manifests")),
        ]
    engine.dispose()
    assert len(rows) > 3
    return repr(rows)


async def test_a_deletion_that_a_store_refuses_is_finished_later_and_no_hold_comes_between(
    room: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await recorded(room)

    async def refuse(_key: str) -> None:
        raise DestinationFault("https://bucket.example", "it refuses")

    with monkeypatch.context() as patched:
        patched.setattr(room.files, "delete", refuse)
        with pytest.raises(DestinationFault):
            await room.control.execute(DeleteRecording(**of(room, row), by="ann"))
        await delete_what_is_due(room.parts)
        with pytest.raises(Conflict, match="being deleted"):
            await hold(room, row)
    assert (await room.recording(row.id)).state is RecordingState.COMPLETED

    await delete_what_is_due(room.parts)

    assert (await room.recording(row.id)).state is RecordingState.DELETED
    chain = await room.store.read(lambda tx: tx.manifests.of_recording(row.id))
    assert json.loads(chain[-1].body)["deleted"]["by"] == "ann"


async def test_r44_an_account_s_recordings_go_when_their_days_are_over(room: World) -> None:
    row = await recorded(room)
    ended_at_ms = row.ended_at_ms
    assert ended_at_ms is not None
    await set_account(room, keep_days=30)

    room.clock.at_ms = EpochMs(ended_at_ms + 30 * DAY_MS - 1)
    assert await delete_what_is_due(room.parts) == []
    room.clock.at_ms = EpochMs(ended_at_ms + 30 * DAY_MS)
    assert await delete_what_is_due(room.parts) == [row.id]

    assert (await room.recording(row.id)).state is RecordingState.DELETED
    chain = await room.store.read(lambda tx: tx.manifests.of_recording(row.id))
    said = json.loads(chain[-1].body)["deleted"]
    assert (said["by"], said["because"]) == (
        "retention",
        "the account keeps recordings for 30 days",
    )
    assert await delete_what_is_due(room.parts) == []


async def test_a_recording_s_own_date_comes_before_its_account_s(room: World) -> None:
    early, late = await recorded(room), await recorded(room)
    await set_account(room, keep_days=10)
    days = {early.id: 3, late.id: 20}
    for row in (early, late):
        until_ms = EpochMs(NOW_MS + days[row.id] * DAY_MS)
        await room.control.execute(KeepRecording(**of(room, row), until_ms=until_ms))

    gone: dict[int, list[RecordingId]] = {}
    for day in (2, 3, 15, 21):
        room.clock.at_ms = EpochMs(NOW_MS + day * DAY_MS)
        gone[day] = await delete_what_is_due(room.parts)

    assert gone == {2: [], 3: [early.id], 15: [], 21: [late.id]}


async def test_r44_a_hold_beats_every_date(room: World) -> None:
    by_account, by_date = await recorded(room), await recorded(room)
    await set_account(room, keep_days=1)
    await room.control.execute(KeepRecording(**of(room, by_date), until_ms=NOW_MS))
    for row in (by_account, by_date):
        await hold(room, row)
    room.clock.at_ms = EpochMs(NOW_MS + 400 * DAY_MS)

    assert await delete_what_is_due(room.parts) == []

    for row in (by_account, by_date):
        await room.control.execute(ReleaseRecording(**of(room, row)))
    assert set(await delete_what_is_due(room.parts)) == {by_account.id, by_date.id}


@pytest.mark.parametrize("days", [-1, 36_501])
async def test_days_out_of_range_are_refused(room: World, days: int) -> None:
    with pytest.raises(OutOfRange):
        await set_account(room, keep_days=days)
