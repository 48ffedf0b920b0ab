"""The data folder is private and belongs to one process at a time."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tapeline.state import DataFolder, DataFolderInUse, SqlStore, Vault


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_everything_in_it_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        folder = DataFolder(tmp_path / "deep" / "folder")
        store = await SqlStore.open(folder.database, Vault(bytes(32)))
        await store.write(lambda tx: tx.accounts.all())
        modes = {path.name: mode(path) for path in folder.root.iterdir()}
        await store.close()
    finally:
        os.umask(old)

    assert mode(folder.root) == 0o700
    assert modes.pop("spool") == modes.pop("recordings") == 0o700
    assert set(modes) >= {"tapeline.db", "tapeline.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_second_taker_is_told_who_has_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)

    with folder.lock(), pytest.raises(DataFolderInUse, match=str(os.getpid())):
        folder.lock()
    folder.lock().release()


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from tapeline.state import DataFolder\n"
        "lock = DataFolder(pathlib.Path(sys.argv[1])).lock()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(DataFolderInUse, match=str(child.pid)):
            DataFolder(tmp_path).lock()
        child.kill()
        child.wait()

    DataFolder(tmp_path).lock().release()
