"""What is here already, and is there room for the rest?"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import DiskFull, FileFault
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.hashing import verify_content
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile

Progress = Callable[[int, int], None]  # bytes checked, bytes in all


def check_existing(
    path: Path, metainfo: Metainfo, threads: int, on_progress: Progress, cancelled: threading.Event
) -> Bitfield:
    """The pieces of the finished file ``path``: all of them, or FileFault because it is another file."""
    wrong = FileFault(f"{sanitize(path)} exists and is another file; it is not overwritten: move it away")
    if path.is_file() and path.stat().st_size != metainfo.size:
        raise wrong
    shared = SharedFile.open(path, metainfo.size)
    try:
        held = verify_content(shared.read_into, metainfo, threads, on_progress, cancelled)
    finally:
        shared.close()
    if not held.all() and not cancelled.is_set():
        raise wrong
    return held


def check_part(
    part: PartFile, metainfo: Metainfo, threads: int, on_progress: Progress, cancelled: threading.Event
) -> Bitfield:
    """The pieces of an unfinished download that are right; what was never written is not read."""
    return verify_content(part.read_into, metainfo, threads, on_progress, cancelled, part.is_hole)


def check_room(folder: Path, name: str, needed: int) -> None:
    """DiskFull unless ``needed`` bytes are free: better before the first byte than at the last."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(
            f"no room left in {sanitize(folder)} for {name}: {needed} bytes are wanted, {free} are free"
        )
