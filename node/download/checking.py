"""Checks before a download: the pieces that are on disk already, and the room for the missing ones."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import DiskFull, FileFault
from common.logs import log
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.finished_files import FinishedFiles
from node.content.hashing import verify_content
from node.content.part_file import PartFile
from node.content.part_folder import PartFolder

Progress = Callable[[int, int], None]  # bytes checked, bytes in all


def check_existing(
    files: FinishedFiles,
    metainfo: Metainfo,
    threads: int,
    on_progress: Progress,
    cancelled: threading.Event,
    trusted: Bitfield | None = None,
) -> Bitfield:
    """The pieces of the finished ``files``: all of them, or FileFault because they are other files.

    ``trusted``: pieces that need not be hashed.
    """
    what = "file" if metainfo.is_single_file else "folder"
    wrong = FileFault(
        f"{sanitize(files.path)} exists and is another {what}; it is not overwritten: move it away"
    )
    if files.size != metainfo.size:
        raise wrong
    counted = _Counted(trusted, lambda start, end: False)
    held = verify_content(
        files.read_into, metainfo, threads, on_progress, cancelled, counted.is_hole, trusted
    )
    counted.log(metainfo.name)
    if not held.all() and not cancelled.is_set():
        raise wrong
    return held


def check_part(
    part: PartFile | PartFolder,
    metainfo: Metainfo,
    threads: int,
    on_progress: Progress,
    cancelled: threading.Event,
    trusted: Bitfield | None = None,
) -> Bitfield:
    """The verified pieces of an unfinished download. Holes in the files are not read.

    ``trusted``: pieces that need not be hashed. FileFault if a file with its final name is not the torrent's.
    """
    counted = _Counted(trusted, part.is_hole)
    held = verify_content(part.read_into, metainfo, threads, on_progress, cancelled, counted.is_hole, trusted)
    counted.log(metainfo.name)
    if isinstance(part, PartFolder) and not cancelled.is_set():
        wrong = part.first_wrong(held)
        if wrong is not None:
            raise wrong
    return held


class _Counted:
    """Counts the pieces that have to be hashed, for the log."""

    def __init__(self, trusted: Bitfield | None, is_hole: Callable[[int, int], bool]) -> None:
        self._trusted = trusted.count if trusted is not None else 0
        self._is_hole = is_hole
        self._hashed = 0

    def is_hole(self, start: int, end: int) -> bool:
        """Called once for each piece that is not trusted."""
        hole = self._is_hole(start, end)
        self._hashed += not hole
        return hole

    def log(self, name: str) -> None:
        """Write the counts to the log."""
        if self._trusted or self._hashed:
            log(f"{name}: {self._trusted} pieces were verified before, {self._hashed} pieces were hashed")


def check_room(folder: Path, name: str, needed: int) -> None:
    """DiskFull unless ``needed`` bytes are free: better before the first byte than at the last.

    A file system that has 0 bytes in all does not know (some cloud drives): the download goes on.
    """
    usage = shutil.disk_usage(folder)
    if usage.total and needed > usage.free:
        raise DiskFull(
            f"no room left in {sanitize(folder)} for {name}: {needed} bytes are wanted, {usage.free} are free"
        )
