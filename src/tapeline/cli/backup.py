"""`tapeline backup` and `restore`: rows, keys and recordings in one tar file, while the node runs.

tapeline.db, workflows.db    as they are at one moment (SQLite's online backup)
node, master.key, keys/      what they are opened and signed with: keep the file as safe as them
recordings/                  finished recordings with all that belongs to them
spool/                       what runs: as far as it is written, repaired at the first start
"""

import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from tapeline.cli.ask import configured
from tapeline.cli.checks import Grade, check_database, check_orphans
from tapeline.cli.options import ConfigFile, DataDir
from tapeline.domain.error import Invalid, Unavailable

DATABASES = ("tapeline.db", "workflows.db")
FOLDERS = ("recordings", "spool")
NOT_TAKEN = frozenset({*DATABASES, "control.sock", "lock", *FOLDERS})
LOG_SUFFIXES = ("-wal", "-shm", "-journal")


def backup(
    file: Annotated[Path, typer.Argument(help="The tar file to make.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Back everything up, while the node runs. Recordings in buckets stay there."""
    found = configured(config=config, data_dir=data_dir)
    if file.exists():
        raise Invalid(field="FILE", value=str(file), expected="a name that is not taken")
    files, size = write_backup(found.data_dir, file)
    typer.echo(f"{files} files, {size} bytes in {file}")


def restore(
    file: Annotated[Path, typer.Argument(help="What `tapeline backup` made.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup into a data folder that is not there yet."""
    found = configured(config=config, data_dir=data_dir)
    read_backup(file, found.data_dir)
    for check in check_orphans(found.data_dir.absolute()):
        typer.echo(f"{check.name}: {check.text}")
    typer.echo(f"restored to {found.data_dir}")


def write_backup(data_dir: Path, file: Path) -> tuple[int, int]:
    """Files and bytes in it; readable by its owner only, and there only when it is whole. Raises
    Unavailable without a database, OSError.
    """
    if not (data_dir / DATABASES[0]).is_file():
        raise Unavailable(f"there is no database in {data_dir}")
    draft = file.with_name(f".{file.name}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    count = 0
    try:
        with os.fdopen(descriptor, "wb") as opened:
            with tarfile.open(fileobj=opened, mode="w") as archive:
                for name, path in _contents(data_dir, file):
                    count += _add(archive, name, path)
            opened.flush()
            os.fsync(opened.fileno())
        draft.rename(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return count, file.stat().st_size


def _contents(data_dir: Path, file: Path) -> Iterator[tuple[str, Path]]:
    """What runs goes in before the rows and what has finished after them: a recording that ends
    meanwhile is in one of the two, or in both.
    """
    yield from _below(data_dir, "spool")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as folder:
        for name in DATABASES:
            if (data_dir / name).is_file():
                copy = Path(folder) / name
                _copy_database(data_dir / name, copy)
                yield name, copy
    for path in sorted(data_dir.iterdir()):
        is_log = path.name.endswith(LOG_SUFFIXES)
        if path.is_file() and path.name not in NOT_TAKEN and not is_log:
            yield path.name, path
    yield from _below(data_dir, "keys")
    yield from _below(data_dir, "recordings")


def _below(data_dir: Path, folder: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((data_dir / folder).rglob("*")):
        inner = path.relative_to(data_dir)
        is_draft = any(part.startswith(".") for part in inner.parts)
        if path.is_file() and not path.is_symlink() and not is_draft:
            yield str(inner), path


def _copy_database(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as there,
        closing(sqlite3.connect(target)) as here,
    ):
        there.backup(here)


def _add(archive: tarfile.TarFile, name: str, path: Path) -> int:
    """As much of it as there was when it was opened: what grows is cut there, what has just gone
    is left out.
    """
    try:
        with path.open("rb") as opened:
            info = archive.gettarinfo(arcname=name, fileobj=opened)
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            archive.addfile(info, opened)
    except FileNotFoundError:
        return 0
    return 1


def read_backup(file: Path, data_dir: Path) -> None:
    """Into a folder that is new or empty. Raises Invalid, Unavailable, OSError."""
    if data_dir.exists() and any(data_dir.iterdir()):
        raise Invalid(
            field="--data-dir", value=str(data_dir), expected="a folder that is not there yet"
        )
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=data_dir.parent, prefix=".restore-"))
    try:
        with tarfile.open(file, mode="r:") as archive:
            # The filter refuses links, devices and names that lead out of the folder.
            archive.extractall(draft, filter="data")
        database = check_database(draft.absolute())
        if database.grade is not Grade.OK:
            raise Unavailable(f"{file} cannot be restored: the database: {database.text}")
        for suffix in LOG_SUFFIXES:  # the look at it made them; they are empty
            (draft / f"{DATABASES[0]}{suffix}").unlink(missing_ok=True)
        for name in FOLDERS:
            (draft / name).mkdir(exist_ok=True)
        for path in (draft, *draft.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        if data_dir.exists():
            data_dir.rmdir()
        draft.rename(data_dir)
    except (tarfile.TarError, EOFError) as error:
        raise Unavailable(f"{file} is no whole backup: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
