"""Files that survive a crash: atomic replacement, synced folders, and locks. Both programs use these calls.

Some file systems lack one of these features. For example, some network mounts cannot sync folders or lock
files. A file there is still better than no file. So a call that meets an error number in ``UNSUPPORTED``
goes on without the feature and writes one warning to the log.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

from common.logs import log

# The file system, or this kind of file, does not have the feature. Every other error number is a failure.
UNSUPPORTED = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.ENOTTY, errno.EBADF}
)
_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NAME_LENGTH = 40  # characters of a file's name that its temporary file shows

_warned: set[str] = set()  # features that were missing before in this process


def atomic_write(path: Path, content: bytes | Iterable[bytes], mode: int = 0o666, sync: bool = True) -> None:
    """Replace ``path`` by a file with ``content``, so that readers see the old file or the new one.

    ``mode``: permissions of the new file, before the umask. ``sync``: the new file also survives a power
    cut. OSError if the file cannot be written; then ``path`` is unchanged and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name.lstrip('.')[:_NAME_LENGTH]}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, mode)
    try:
        with open(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            if sync:
                sync_file(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if sync:
        sync_folder(path.parent)


def sync_file(descriptor: int) -> bool:
    """Make the written bytes of ``descriptor`` survive a power cut. False if the file system cannot."""
    try:
        if sys.platform == "darwin":  # where fsync leaves bytes in the drive's cache
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
                return True
        os.fsync(descriptor)
    except OSError as error:
        return _unsupported("sync files", error)
    return True


def sync_folder(folder: Path) -> bool:
    """Make the names in ``folder`` survive a power cut. False if the system or file system cannot."""
    if os.name != "posix":
        return False
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    except OSError as error:
        return _unsupported("sync folders", error)
    finally:
        os.close(descriptor)
    return True


class FileLock:
    """An exclusive lock on the file ``path``, from ``lock_file``. It ends with the process at the latest."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor: int | None = descriptor

    def release(self) -> None:
        """Delete the lock file and end the lock. A second call does nothing."""
        if self.descriptor is None:
            return
        descriptor, self.descriptor = self.descriptor, None
        with contextlib.suppress(OSError):  # Windows cannot delete an open file
            self.path.unlink()
        os.close(descriptor)
        if os.name != "posix":
            with contextlib.suppress(OSError):
                self.path.unlink()


def lock_file(path: Path) -> FileLock | None:
    """Create ``path`` if needed and lock it. None if another process holds the lock.

    The owner of a lock deletes its file. Between our ``open`` and our ``flock`` the file may have lost its
    name, and a third process may have locked a new file of that name. So the lock counts only if the name
    still belongs to the locked file. OSError if the file cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, 0o600)
        if not try_lock(descriptor):
            os.close(descriptor)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return FileLock(path, descriptor)
        os.close(descriptor)


if sys.platform == "win32":
    # Windows locks are mandatory: a locked byte cannot be read. No file is long enough to have this byte.
    _LOCKED_OFFSET = 1 << 62

    def try_lock(descriptor: int) -> bool:
        """Lock the file of ``descriptor`` until it is closed. False if another descriptor has the lock."""
        os.lseek(descriptor, _LOCKED_OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """End the lock of ``descriptor``."""
        os.lseek(descriptor, _LOCKED_OFFSET, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def try_lock(descriptor: int) -> bool:
        """Lock the file of ``descriptor`` until it is closed. False if another descriptor has the lock.

        flock also keeps apart two descriptors of one process; record locks do not. A file system without
        locks grants every lock.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                return False
            _unsupported("lock files", error)
        return True

    def unlock(descriptor: int) -> None:
        """End the lock of ``descriptor``, also if a copy of it is still open, as in a child process."""
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _unsupported(feature: str, error: OSError) -> bool:
    """Warn once if ``error`` means that ``feature`` is missing; raise it otherwise. Always returns False."""
    if error.errno not in UNSUPPORTED:
        raise error
    if feature not in _warned:
        _warned.add(feature)
        log(f"warning: this file system cannot {feature} ({error.strerror}); going on without")
    return False
