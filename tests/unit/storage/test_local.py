"""The folder of finished recordings: moves are whole, keys never leave it."""

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeline.storage import KeyInvalid, LocalStore

KEY = "MA1/2026/11/21/rec-1.wav"
PIECES = ["..", ".", "/", "a", "\\", "%2e", "~", "-"]


@pytest.fixture
def files(tmp_path: Path) -> LocalStore:
    root = tmp_path / "recordings"
    root.mkdir()
    return LocalStore(root)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "audio.part"
    path.parent.mkdir()
    path.write_bytes(b"0123456789")
    return path


async def test_a_file_moves_to_its_key_and_is_private(files: LocalStore, source: Path) -> None:
    await files.put(source, KEY)

    assert list(os.scandir(source.parent)) == []
    assert files.path(KEY).read_bytes() == b"0123456789"
    assert stat.S_IMODE(files.path(KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(files.path(KEY).parent.stat().st_mode) == 0o700
    assert await files.size(KEY) == 10
    assert await files.read(KEY, offset=3, length=4) == b"3456"
    assert await files.read(KEY, offset=8, length=100) == b"89"


async def test_what_is_not_there(files: LocalStore, tmp_path: Path) -> None:
    assert await files.size(KEY) is None
    await files.delete(KEY)
    with pytest.raises(FileNotFoundError):
        await files.read(KEY, offset=0, length=1)
    with pytest.raises(FileNotFoundError):
        await files.put(tmp_path / "nothing", KEY)


async def test_deleting_twice_is_fine(files: LocalStore, source: Path) -> None:
    await files.put(source, KEY)
    await files.delete(KEY)
    await files.delete(KEY)
    assert await files.size(KEY) is None


async def test_between_file_systems_it_is_copied_and_never_half_there(
    files: LocalStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def over_the_border(self: Path, target: Path) -> Path:
        if self == source:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", over_the_border)
    await files.put(source, KEY)

    assert files.path(KEY).read_bytes() == b"0123456789"
    assert list(os.scandir(source.parent)) == []
    assert [path.name for path in files.path(KEY).parent.iterdir()] == ["rec-1.wav"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        ".hidden",
        "a/.hidden",
        "a\\b",
        "a\x00b",
        "a b",
        "ä",
        "a\n",
        "a/..",
        "a" * 300,
        "/".join("a" * 20),
    ],
)
def test_what_is_no_key_is_refused(files: LocalStore, key: str) -> None:
    with pytest.raises(KeyInvalid):
        files.path(key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text() | st.lists(st.sampled_from(["..", ".", "/", "a", "\\", "%2e", "~", "-"])).map("".join)
)
def test_no_key_leaves_the_folder(files: LocalStore, key: str) -> None:
    try:
        path = files.path(key)
    except KeyInvalid:
        return
    assert Path(os.path.normpath(path)).is_relative_to(files.root)
    assert os.path.normpath(path) == str(path)
