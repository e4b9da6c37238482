"""The unfinished files of a folder: opened when they are needed, and only a few of them at a time.

A torrent may have more files than a process may open. Each file is created with its first byte, at its full
length: bytes that were never written are holes where the file system has holes, and read as zeros.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from common.errors import FileFault
from common.text import sanitize
from common.torrent_files import FileEntry
from node.content.folder_tree import FolderTree, tree_fault
from node.content.os_errors import NO_ROOM, write_fault
from node.content.positional_file import PositionalFile, whole_blocks
from node.content.resume_record import WriteLog, logged_write
from node.content.sending import send_from, send_zeros
from node.content.shared_file import identity_of
from node.transport import StreamSocket

MAX_OPEN_PARTS = 16  # of one download
MAX_SYNCED_FILES = 32  # more files are synced with everything else on this machine, in one go
_ST_BLOCKS_UNIT = 512  # bytes; POSIX leaves it open, every system uses this

_T = TypeVar("_T")


class OpenParts:
    """The files of ``entries`` below ``tree``, by index. Thread-safe; all offsets are of one file.

    A missing file reads as zeros. FileFault if a file is a link, is also another file (a hard link), has
    another length than the torrent says, or was deleted or replaced since it was first opened.
    """

    def __init__(self, tree: FolderTree, entries: Sequence[FileEntry]) -> None:
        self._tree = tree
        self._entries = entries
        self._lock = threading.Lock()  # guards the next two
        self._open: OrderedDict[int, PositionalFile] = OrderedDict()  # least recently used first
        self._inodes: dict[int, tuple[int, int]] = {}  # device and inode of each file that was opened
        self._written: set[int] = set()  # files that may have bytes that were not synced
        self._closed = False
        self.log: WriteLog | None = None  # told of each write, under the index of its file

    def path(self, file: int) -> Path:
        """The path of a file, for messages."""
        return self._tree.join(self._entries[file].path[1:])

    def read_into(self, file: int, start: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``start`` on."""
        done = self._call(file, False, lambda opened: opened.read_into(start, buffer))
        if done is None:
            buffer[:] = bytes(len(buffer))
        elif done != len(buffer):
            raise self._shorter(file, start + done)

    def send_to(self, file: int, sock: StreamSocket, start: int, length: int) -> int:
        """Send bytes to a connected socket; returns how many it took. OSError of the socket."""
        while True:
            opened = self._get(file, False)
            if opened is None:
                return send_zeros(sock, length)
            try:
                return send_from(opened, self.path(file), sock, start, length)
            except FileFault:
                if self._closed or not opened.closed:  # else it was closed to open another file
                    raise

    def write(self, file: int, start: int, data: memoryview, is_logged: bool = True) -> None:
        """Write ``data`` at ``start``, creating the file and its folders if needed. DiskFull."""

        def write(opened: PositionalFile) -> None:
            self._written.add(file)
            logged_write(self.log if is_logged else None, file, opened, start, [data])

        self._call(file, True, write)

    def log_status(self, file: int) -> None:
        """Note in the log a file that was written without it."""
        if self.log is not None:
            identity = identity_of(self.status_of_open(file))
            self.log.known(file, identity[1], identity[3])

    def create(self, file: int) -> None:
        """Create the file with its full length, if it is missing."""
        self._written.add(file)
        self._call(file, True, lambda opened: None)

    def is_hole(self, file: int, start: int, end: int) -> bool | None:
        """True if no byte of ``[start, end)`` was ever written, as far as the file system knows.

        None if it cannot know, because every block of the range holds other bytes, too.
        """
        if file not in self._open and self.status(file) is None:
            return True
        start, end = whole_blocks(start, end, self._entries[file].length)
        if start >= end:
            return None
        data_at = self._call(file, False, lambda opened: opened.next_data(start), lambda: end)
        return data_at is None or data_at >= end

    def allocated(self, file: int) -> int:
        """Bytes of disk space in use; the whole length where the file system has no holes."""
        status, length = self.status(file), self._entries[file].length
        return min(length, getattr(status, "st_blocks", length) * _ST_BLOCKS_UNIT) if status else 0

    def status(self, file: int) -> os.stat_result | None:
        """The status of the file, or of a link in its place; None if it is missing."""
        try:
            return self._tree.status(self._entries[file].path[1:])
        except OSError as error:
            raise tree_fault(self.path(file), error) from None

    def status_of_open(self, file: int) -> os.stat_result:
        """The status of the file, which exists."""
        status = self._call(file, True, PositionalFile.status)
        assert status is not None
        return status

    def sync(self) -> None:
        """Make the bytes that were written since ``open`` survive a power cut.

        Linux's sync(2) waits for the disks, and costs as much as a few fsync.
        """
        written, self._written = self._written, set()
        if sys.platform == "linux" and len(written) > MAX_SYNCED_FILES:
            os.sync()
        else:
            for file in written:
                self._call(file, False, PositionalFile.sync)

    def check_still(self, file: int) -> None:
        """FileFault if the file is another one than was opened before."""
        here, before = self.status(file), self._inodes.get(file)
        if before is not None and (here is None or (here.st_dev, here.st_ino) != before):
            what = "deleted" if here is None else "replaced"
            raise FileFault(f"{sanitize(self.path(file))} was {what} while it was downloaded")

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            self._closed = True
            for opened in self._open.values():
                opened.close()
            self._open.clear()

    def _call(
        self,
        file: int,
        create: bool,
        call: Callable[[PositionalFile], _T],
        missing: Callable[[], _T | None] = lambda: None,
    ) -> _T | None:
        """``call`` with the open file; ``missing()`` if there is none. FileFault."""
        while True:
            opened = self._get(file, create)
            if opened is None:
                return missing()
            try:
                return call(opened)
            except OSError as error:
                if error.errno == errno.EBADF and opened.closed and not self._closed:
                    continue  # it was closed to open another file
                raise self._fault(file, error, create) from None

    def _get(self, file: int, create: bool) -> PositionalFile | None:
        with self._lock:
            if self._closed:
                raise FileFault(f"{sanitize(self._tree.path)} is closed")
            opened = self._open.pop(file, None) or self._open_file(file, create)
            if opened is not None:
                self._open[file] = opened
                if len(self._open) > MAX_OPEN_PARTS:
                    self._open.popitem(last=False)[1].close()
            return opened

    def _open_file(self, file: int, create: bool) -> PositionalFile | None:
        """The open file; None if it is missing and not to be created."""
        before = self._inodes.get(file)
        try:
            flags = os.O_RDWR | (os.O_CREAT if create and before is None else 0)
            opened = PositionalFile(self._tree.open_file(self._entries[file].path[1:], flags))
            status = opened.status()
            self._check(file, status, before)
            if status.st_size != self._entries[file].length:
                opened.truncate(self._entries[file].length)
        except FileNotFoundError as error:
            if before is not None:
                raise FileFault(f"{sanitize(self.path(file))} was deleted while it was downloaded") from None
            if create:
                raise self._fault(file, error, True) from None
            return None
        except OSError as error:
            raise self._fault(file, error, create) from None
        self._inodes[file] = (status.st_dev, status.st_ino)
        return opened

    def _check(self, file: int, status: os.stat_result, before: tuple[int, int] | None) -> None:
        path, length = sanitize(self.path(file)), self._entries[file].length
        if not stat.S_ISREG(status.st_mode):
            raise FileFault(f"{path} is no plain file")
        if before is not None and before != (status.st_dev, status.st_ino):
            raise FileFault(f"{path} was replaced while it was downloaded")
        if status.st_nlink > 1:
            raise FileFault(f"{path} is also another file (a hard link); move it away")
        if status.st_size != length and before is not None:
            raise FileFault(f"{path} became shorter or longer while it was downloaded")
        if status.st_size not in (0, length):
            raise FileFault(f"{path} has {status.st_size} bytes, not {length}: move it away")

    def _fault(self, file: int, error: OSError, writing: bool) -> FileFault:
        if writing and error.errno in NO_ROOM:
            return write_fault(self._tree.path, error)
        return tree_fault(self.path(file), error, writing)

    def _shorter(self, file: int, offset: int) -> FileFault:
        path = sanitize(self.path(file))
        return FileFault(f"{path} became shorter while it was in use: nothing at byte {offset}")
