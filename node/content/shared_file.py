"""A complete file that is read only, and must stay the file that was hashed."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from common.errors import FileFault, TransientFileFault
from common.text import sanitize
from node.content.os_errors import check_plain, file_fault
from node.content.positional_file import PositionalFile, read_exactly
from node.content.sending import send_blocks, send_from
from node.transport import SentBlock, StreamSocket

Result = TypeVar("Result")

MAX_OPEN_FILES = 64  # systems allow a process 256 or 1,024 descriptors; a node may share far more files

# Device, inode, bytes, time of change in ns: equal only for the same unchanged file. Windows numbers an open
# file otherwise than its path, so there both numbers are 0.
Identity: TypeAlias = tuple[int, int, int, int]

_HAS_INODES = os.name == "posix"
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe: do not wait


def identity_of(status: os.stat_result) -> Identity:
    """The identity of the file with this status."""
    numbers = (status.st_dev, status.st_ino) if _HAS_INODES else (0, 0)
    return *numbers, status.st_size, status.st_mtime_ns


class SharedFile:
    """An open file that peers are served from, as long as it stays unchanged. Thread-safe.

    Open it before hashing, and call ``check_unchanged`` afterwards: then the served bytes are the hashed
    ones. Every call after ``close`` is a FileFault.
    """

    def __init__(self, file: PositionalFile, path: Path, status: os.stat_result) -> None:
        self._file = file
        self._status = status
        self.path = path
        self.size = status.st_size

    @property
    def identity(self) -> Identity:
        """The file's identity when it was opened."""
        return identity_of(self._status)

    @classmethod
    def open(cls, path: Path, size: int | None = None) -> SharedFile:
        """Open the plain file ``path``. FileFault if that fails, or if it does not have ``size`` bytes."""
        path = Path(path)
        try:
            check_plain(path)
            file = PositionalFile(os.open(path, _OPEN_FLAGS))
            shared = cls(file, path, file.status())
        except OSError as error:
            raise file_fault(path, error) from None
        try:
            if not shared.size:
                _check_empty(file, path)
            if size is not None and shared.size != size:
                raise FileFault(f"{sanitize(path)} has {shared.size} bytes; its torrent says {size}")
        except FileFault:
            file.close()
            raise
        return shared

    @classmethod
    def of_descriptor(cls, number: int, path: Path) -> SharedFile:
        """The file of an open descriptor, which it owns from now on. FileFault if it is no plain file."""
        file = PositionalFile(number)
        status = file.status()
        if not stat.S_ISREG(status.st_mode):
            raise FileFault(f"{sanitize(path)} is no plain file")
        return cls(file, path, status)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on and return its length. ValueError outside the file.

        FileFault if the file changed. The check follows the read, so that no bytes of a changed file are
        served, as far as the resolution of file times allows.
        """
        if offset < 0 or offset + len(buffer) > self.size:
            raise ValueError(f"range [{offset}, {offset + len(buffer)}) of {self.size} bytes")
        read_exactly(self._file, self.path, offset, buffer)
        self._check_open_file()
        return len(buffer)

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send bytes from ``offset`` on; returns how many the socket took, 1 to ``length``.

        FileFault if the file changed: before, or meanwhile, and then changed bytes may have been sent.
        ValueError outside the file; OSError of the socket.
        """
        if length < 1 or offset < 0 or offset + length > self.size:
            raise ValueError(f"range [{offset}, {offset + length}) of {self.size} bytes")
        self._check_open_file()
        sent = send_from(self._file, self.path, sock, offset, length)
        self._check_open_file()
        return sent

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int | None:
        """Send blocks as ``ServedTorrent.send_blocks``. The file is checked once before, and once after."""
        size = self.size
        if [offset for _, offset, length in blocks if offset < 0 or offset + length > size]:
            raise ValueError(f"a block outside the {self.size} bytes")
        self._check_open_file()
        sent = send_blocks(self._file, self.path, sock, blocks)
        self._check_open_file()
        return sent

    def _check_open_file(self) -> None:
        """FileFault if the open file changed since it was opened."""
        try:
            status = self._file.status()
        except OSError as error:
            raise file_fault(self.path, error) from None
        if status.st_mtime_ns != self._status.st_mtime_ns or status.st_size != self.size:
            raise FileFault(f"{sanitize(self.path)} changed while it was shared")

    def check_unchanged(self) -> None:
        """FileFault unless the path still leads to this very file, unchanged.

        ``read_into`` looks at the open file, which exists even after its name is deleted or given to another
        file. This looks at the name.
        """
        check_identity(self.path, self.identity)

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._file.closed

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _check_empty(file: PositionalFile, path: Path) -> None:
    """FileFault if the file has content although its size is 0, as files below /proc have."""
    try:
        size = file.read_into(0, memoryview(bytearray(1)))
    except OSError as error:
        raise file_fault(path, error) from None
    if size:
        raise FileFault(f"{sanitize(path)} has content but states no size: a file of the system, or it grows")


def check_identity(path: Path, identity: Identity) -> None:
    """FileFault unless ``path`` leads to the file of this identity."""
    try:
        now = identity_of(os.stat(path))
    except OSError as error:
        raise FileFault(f"{sanitize(path)} is gone: {error.strerror}") from None
    if now[:2] != identity[:2]:
        raise FileFault(f"{sanitize(path)} was replaced while it was shared")
    if now != identity:
        raise FileFault(f"{sanitize(path)} changed while it was shared")


class OpenFiles:
    """The shared files that were read last, kept open: at most MAX_OPEN_FILES. Thread-safe."""

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._files: OrderedDict[Path, SharedFile] = OrderedDict()  # least recently read first

    def get(
        self, path: Path, identity: Identity, opener: Callable[[], SharedFile] | None = None
    ) -> SharedFile:
        """The open file of this identity. FileFault if ``path`` leads to another file by now.

        ``opener`` opens it; default: ``SharedFile.open(path)``.

        TransientFileFault if this process has too many open files, and none of them can be closed.
        """
        with self._lock:
            file = self._files.pop(path, None)
            if file is not None and file.identity != identity:  # it changed, and was shared again
                file.close()
                file = None
            if file is None:
                file = self._open(path, identity, opener or (lambda: SharedFile.open(path)))
            self._files[path] = file
            if len(self._files) > MAX_OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            return file

    def use(
        self,
        path: Path,
        identity: Identity,
        call: Callable[[SharedFile], Result],
        opener: Callable[[], SharedFile] | None = None,
    ) -> Result:
        """``call`` with the open file; once more if another thread closed it meanwhile to open another one.

        Raises as ``get`` and ``call`` do.
        """
        while True:
            opened = self.get(path, identity, opener)
            try:
                return call(opened)
            except FileFault:
                if not opened.closed or self.closed:
                    raise

    def close(self) -> None:
        """Close all of them."""
        self.closed = True
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _open(self, path: Path, identity: Identity, opener: Callable[[], SharedFile]) -> SharedFile:
        try:
            file = opener()
        except TransientFileFault:
            if not self._files:
                raise
            self._files.popitem(last=False)[1].close()
            file = opener()
        if file.identity != identity:
            file.close()
            raise FileFault(f"{sanitize(path)} changed while it was shared")
        return file
