"""One tracker a folder: two that saved to the same files would overwrite each other's records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from common.errors import StorageFault


class FolderLock:
    """A lock on a file that the system lets go of when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock; StorageFault if another process has it, OSError if the folder knows no locks."""
        file = open(self._path, "ab")  # noqa: SIM115 - stays open as long as the lock is held
        try:
            _lock(file)
        except OSError as error:
            file.close()
            if not isinstance(error, (BlockingIOError, PermissionError)):
                raise
            raise StorageFault(
                f"{self._path.parent} is in use by another tracker; give this one its own TRACKER_DB_DIR"
            ) from None
        self._file = file

    def release(self) -> None:
        """Let go; harmless if not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
