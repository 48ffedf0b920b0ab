"""The data folder: where things lie in it, who may read it, and that one process has it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tapeline.domain.error import Unavailable

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class DataFolderInUse(Unavailable):
    def __init__(self, path: Path, holder: str) -> None:
        self.path = path
        self.holder = holder
        who = f" (process {holder})" if holder else ""
        super().__init__(
            f"data folder {path} is in use by another tapeline{who}; stop it, or choose another "
            "folder with TAPELINE_DATA_DIR",
        )


class DataFolder:
    """The paths of design.md §10. Making one creates the folders, readable by their owner only."""

    def __init__(self, root: Path) -> None:
        """Raises OSError when the folders cannot be made."""
        self.root = root.absolute()
        self.spool = self.root / "spool"
        self.recordings = self.root / "recordings"
        self.database = self.root / "tapeline.db"
        self.keys = self.root / "keys"
        self.workflows = self.root / "workflows.db"
        self.master_key = self.root / "master.key"
        self.control_socket = self.root / "control.sock"
        self.lock_file = self.root / "lock"
        for path in (self.root, self.spool, self.recordings):
            path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)

    def lock(self) -> "FolderLock":
        """Takes the folder for this process. Raises DataFolderInUse."""
        return FolderLock(self.root, self.lock_file)


class FolderLock:
    """Held until `release`, the end of the `with`, or the end of the process, however it ends."""

    def __init__(self, root: Path, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise DataFolderInUse(root, holder) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
