"""Finished recordings in a folder. Keys are made by us, so a name that a user chose never becomes
a path; they are checked all the same.
"""

import asyncio
import errno
import os
import re
import shutil
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}(/[A-Za-z0-9][A-Za-z0-9._-]{0,199}){0,9}\Z")


class KeyInvalid(ValueError):
    """Not a key that we make: our own error."""


def check_key(key: str) -> str:
    """The key. Raises KeyInvalid."""
    if _KEY.match(key) is None or ".." in key:
        raise KeyInvalid(f"{key[:200]!r} is no storage key")
    return key


class LocalStore:
    """Bytes under `root`, by keys like `ACCOUNT/yyyy/mm/dd/RECORDING.mp3`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where that key's bytes lie, always beneath `root`. Raises KeyInvalid."""
        return self.root / check_key(key)

    async def put(self, source: Path, key: str) -> None:
        """Moves a file to its key, durably; whoever looks sees all of it or nothing.

        A move that a crash cut off is finished by doing it again. Raises FileNotFoundError when
        there is no source, OSError.
        """
        await asyncio.to_thread(_put, source, self.path(key))

    async def read(self, storage_key: str, *, offset: int, length: int) -> bytes:
        """Fewer bytes only at the end. Raises FileNotFoundError, OSError."""
        return await asyncio.to_thread(_read, self.path(storage_key), offset, length)

    async def size(self, key: str) -> int | None:
        """Bytes under that key; None when there is nothing."""
        return await asyncio.to_thread(_size, self.path(key))

    async def delete(self, storage_key: str) -> None:
        """Nothing happens when there is nothing under that key. Raises OSError."""
        await asyncio.to_thread(self.path(storage_key).unlink, missing_ok=True)


def _put(source: Path, target: Path) -> None:
    _sync_file(source)
    _make_folders(target.parent)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
        source.unlink()
    _sync_folder(target.parent)


def _copy(source: Path, target: Path) -> None:
    """To a file system that a rename cannot reach."""
    draft = target.with_name(target.name + ".new")
    try:
        shutil.copyfile(source, draft)
        _sync_file(draft)
        draft.rename(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _make_folders(folder: Path) -> None:
    """With their entries durable: a synced file in a lost folder is lost."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    _sync_folder(folder.parent)


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
