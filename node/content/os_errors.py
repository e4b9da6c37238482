"""The system's errors about files, as one line for the user."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from common.errors import DiskFull, FileFault, TransientFileFault
from common.text import sanitize

TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # the file itself may be fine
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC})


def file_fault(path: Path, error: OSError) -> FileFault:
    """The FileFault to raise for ``error`` at ``path``."""
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):
            return FileFault(f"{sanitize(path)} is a link that leads to no file")
        return FileFault(f"{sanitize(path)}: no such file")
    if isinstance(error, IsADirectoryError):
        return FileFault(f"{sanitize(path)} is a folder; a file is wanted")
    if isinstance(error, PermissionError):
        return FileFault(f"{sanitize(path)} cannot be opened: permission denied")
    kind = TransientFileFault if error.errno in TRANSIENT else FileFault
    return kind(f"{sanitize(path)}: {error.strerror or os.strerror(error.errno or 0)}")


def write_fault(path: Path, error: OSError) -> FileFault:
    """The FileFault to raise if bytes cannot be written to ``path``; DiskFull without room."""
    if error.errno in NO_ROOM:
        return DiskFull(f"no room left on {sanitize(path.parent)}; {sanitize(path.name)} is kept")
    return FileFault(f"{sanitize(path)} cannot be written: {error.strerror or error}")


def check_plain(path: Path, follow: bool = True) -> None:
    """FileFault unless ``path`` is a plain file; OSError if that cannot be found out.

    Call it before opening: to open a folder fails in another way on each system.
    """
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except ValueError:  # a NUL, or a character that the file system's encoding does not have
        raise FileFault(f"{sanitize(path)}: no file can have this name") from None
    if stat.S_ISDIR(mode):
        raise FileFault(f"{sanitize(path)} is a folder; a file is wanted")
    if stat.S_ISLNK(mode):
        raise FileFault(f"{sanitize(path)} is a link; a file is wanted")
    if not stat.S_ISREG(mode):
        raise FileFault(f"{sanitize(path)} is no plain file")
