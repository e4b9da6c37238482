"""Giving a complete file its name, without ever taking the name from another file."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from common.files import UNSUPPORTED

# link(2) on file systems without hard links: FAT, exFAT, some network and user-space ones.
_NO_HARD_LINKS = UNSUPPORTED | {errno.EPERM, errno.EACCES, errno.EMLINK}


def rename_exclusive(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target`` in the same folder; FileExistsError if there is a ``target``.

    rename(2) replaces an existing target, and a check before it would leave a moment in between. link(2)
    fails if the name is taken: the file gets its second name first, and then loses the old one.
    """
    if sys.platform == "win32":
        os.rename(source, target)  # fails if there is a target
    else:
        _rename_by_link(source, target)


def finish_rename(source: Path, target: Path) -> None:
    """Delete ``source`` if it is the same file as ``target``: the process ended between link and unlink."""
    try:
        if os.path.samestat(os.lstat(source), os.lstat(target)):
            os.unlink(source)
    except OSError:  # usually there is no source; if it cannot be deleted now, it does no harm
        return


def _rename_by_link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename_by_reserving(source, target)
    else:
        with contextlib.suppress(FileNotFoundError):  # a concurrent ``finish_rename`` was faster
            os.unlink(source)


def _rename_by_reserving(source: Path, target: Path) -> None:
    """Reserve the name with an empty file, which fails if it is taken, then replace that file."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    os.close(descriptor)
    try:
        os.replace(source, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise
