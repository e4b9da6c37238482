"""Giving a finished file its name without ever taking the name from another file."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from common.files import UNSUPPORTED

# What link(2) says on file systems without hard links (FAT, exFAT, some network and user-space ones).
_NO_HARD_LINKS = UNSUPPORTED | {errno.EPERM, errno.EACCES, errno.EMLINK}


def rename_exclusive(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target`` in the same folder; FileExistsError if there is a ``target``.

    rename(2) replaces what is there, and looking first would leave a moment in between. link(2) fails
    if the name is taken, so the file gets its second name first and then loses its old one.
    """
    if sys.platform == "win32":
        os.rename(source, target)  # fails if there is a target
    else:
        _rename_by_link(source, target)


def finish_rename(source: Path, target: Path) -> None:
    """Take ``source`` away if it is ``target`` under its first name: kill -9 came between the two."""
    try:
        if os.path.samestat(os.lstat(source), os.lstat(target)):
            os.unlink(source)
    except OSError:  # there is no source, as nearly always; or it cannot go now, which does no harm
        return


def _rename_by_link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename_by_reserving(source, target)
    else:
        with contextlib.suppress(FileNotFoundError):  # somebody who finished placing it was faster
            os.unlink(source)


def _rename_by_reserving(source: Path, target: Path) -> None:
    """Reserve the name with an empty file of our own, which fails if it is taken, and replace that."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    os.close(descriptor)
    os.replace(source, target)
