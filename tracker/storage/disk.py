"""All that the storage asks of a disk, as one small object: so that a test may record it, cut it off at any
point, and let any call of it fail. Whatever a call cannot do it says by OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from tracker.storage.lock import FolderLock


class Disk(Protocol):
    """Files are named by number between ``create`` and ``close``, as by the system."""

    def make_folder(self, folder: Path) -> None:
        """Make it, and those above it, unless it is there."""

    def lock(self, folder: Path) -> Callable[[], None]:
        """Keep other processes out of a folder, until the function is called that is returned."""

    def names(self, folder: Path) -> list[str]:
        """What is in a folder; nothing if it is not there."""

    def open(self, path: Path) -> BinaryIO:
        """A file to read."""

    def create(self, path: Path) -> int:
        """A new empty file to write, in place of one of this name."""

    def write(self, file: int, data: bytes) -> None:
        """Append all of it. An error leaves any part of it written."""

    def sync(self, file: int) -> None:
        """What was written survives a power cut from now on. After an error nobody knows what does."""

    def truncate(self, file: int, size: int) -> None:
        """Cut a file that is being written; later writes go behind what is left."""

    def close(self, file: int) -> None:
        """Let go of a file, which says nothing of its survival."""

    def link(self, old: Path, new: Path) -> None:
        """Give the file ``old`` a second name, which must be free."""

    def replace(self, old: Path, new: Path) -> None:
        """Give ``old`` the name ``new`` alone; what had that name has lost it. Atomic to all who look."""

    def unlink(self, path: Path) -> None:
        """Take a name away; harmless if there is none."""

    def sync_folder(self, folder: Path) -> None:
        """The names in a folder survive a power cut from now on."""


class SystemDisk:
    """The real one."""

    def make_folder(self, folder: Path) -> None:
        """As ``mkdir -p``; what it made survives a power cut."""
        if folder.is_dir():
            return
        if folder.parent != folder:
            self.make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync_folder(folder.parent)

    def lock(self, folder: Path) -> Callable[[], None]:
        """A lock that the system lets go of when this process ends; StorageFault if another one has it."""
        lock = FolderLock(folder / ".lock")
        lock.acquire()
        return lock.release

    def names(self, folder: Path) -> list[str]:
        """As ``ls``."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def open(self, path: Path) -> BinaryIO:
        """Buffered."""
        return open(path, "rb")

    def create(self, path: Path) -> int:
        """Not inherited by children."""
        kind = getattr(os, "O_BINARY", 0)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | kind, 0o644)

    def write(self, file: int, data: bytes) -> None:
        """Not buffered: once this returns, the death of the process does no harm."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]

    def sync(self, file: int) -> None:
        """Data and length; as far as the drive, where the system needs to be told so."""
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
        elif hasattr(os, "fdatasync"):
            os.fdatasync(file)
        else:
            os.fsync(file)

    def truncate(self, file: int, size: int) -> None:
        """As ``ftruncate``; the file appends, so no position is to be put right."""
        os.ftruncate(file, size)

    def close(self, file: int) -> None:
        """As ``close``."""
        os.close(file)

    def link(self, old: Path, new: Path) -> None:
        """A hard link; a copy on file systems that know none."""
        try:
            os.link(old, new)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            self._copy(old, new)

    def replace(self, old: Path, new: Path) -> None:
        """As ``rename``."""
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        """As ``rm -f``."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        """fsync of the folder; Windows has none."""
        if os.name != "posix":
            return
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def _copy(self, old: Path, new: Path) -> None:
        with self.open(old) as source:
            target = self.create(new)
            try:
                while part := source.read(1 << 20):
                    self.write(target, part)
                self.sync(target)
            finally:
                self.close(target)
