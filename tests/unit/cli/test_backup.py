"""A backup of rows, keys and files, and what comes back of it, without a node."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract import stores

from tapeline.cli.backup import read_backup, write_backup
from tapeline.domain.error import Invalid, Unavailable
from tapeline.domain.recording import RecordingState
from tapeline.state import SqlStore


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    store: SqlStore = await stores.open_sqlite(folder)
    row = replace(stores.recording("rec-1"), state=RecordingState.COMPLETED)
    await store.write(stores.add_basics)
    await store.write(lambda tx: tx.recordings.add(row))
    await store.close()
    for name, content in {
        "master.key": b"key",
        "keys/manifest.pem": b"pem",
        "recordings/a/rec-1.wav": b"sound",
        "recordings/.fetched-1/x": b"draft",
        "spool/rec-2/audio.part": b"run",
        "lock": b"1",
        "control.sock": b"",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_everything_comes_back_but_locks_and_drafts(data_dir: Path, tmp_path: Path) -> None:
    write_backup(data_dir, tmp_path / "b.tar")
    read_backup(tmp_path / "b.tar", tmp_path / "back")

    back = files(tmp_path / "back")
    assert set(back) == {
        "tapeline.db",
        "master.key",
        "keys/manifest.pem",
        "recordings/a/rec-1.wav",
        "spool/rec-2/audio.part",
    }
    assert back["recordings/a/rec-1.wav"] == b"sound"
    with closing(sqlite3.connect(tmp_path / "back" / "tapeline.db")) as connection:
        assert connection.execute("SELECT id FROM recordings").fetchall() == [("rec-1",)]


def test_what_another_process_is_writing_is_in_the_backup_as_committed(
    data_dir: Path, tmp_path: Path
) -> None:
    """The log of a running node holds commits that the database file has not got yet."""
    with closing(sqlite3.connect(data_dir / "tapeline.db")) as connection:
        connection.execute("UPDATE recordings SET caller = 'committed'")
        connection.commit()
        connection.execute("UPDATE recordings SET caller = 'not yet'")

        write_backup(data_dir, tmp_path / "b.tar")
        connection.rollback()

    read_backup(tmp_path / "b.tar", tmp_path / "back")
    with closing(sqlite3.connect(tmp_path / "back" / "tapeline.db")) as connection:
        assert connection.execute("SELECT caller FROM recordings").fetchall() == [("committed",)]


def test_a_folder_with_something_in_it_is_not_written_over(data_dir: Path, tmp_path: Path) -> None:
    write_backup(data_dir, tmp_path / "b.tar")
    before = files(data_dir)

    with pytest.raises(Invalid):
        read_backup(tmp_path / "b.tar", data_dir)

    assert files(data_dir) == before


def test_a_cut_off_backup_restores_nothing(data_dir: Path, tmp_path: Path) -> None:
    whole = tmp_path / "b.tar"
    write_backup(data_dir, whole)
    whole.write_bytes(whole.read_bytes()[:50_000])

    with pytest.raises(Unavailable):
        read_backup(whole, tmp_path / "back")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data"]
