"""The file that a download fills: ``NAME.part``, renamed to ``NAME`` once it is complete."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from common.errors import FileFault
from common.filenames import PART_SUFFIX
from common.files import sync_folder, try_lock
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.atomic_rename import rename_exclusive
from node.content.os_errors import check_plain, file_fault, write_fault
from node.content.positional_file import Buffer, PositionalFile, read_exactly, whole_blocks
from node.content.resume_format import Seen, Stored
from node.content.resume_record import WriteLog, logged_write
from node.content.sending import send_from
from node.content.shared_file import Identity, identity_of
from node.transport import StreamSocket

_ST_BLOCKS_UNIT = 512  # bytes; POSIX leaves it open, every system uses this
_BINARY = getattr(os, "O_BINARY", 0)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # a link could lead out of the folder
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its other end


class PartFile:
    """The unfinished content of a single-file torrent. Thread-safe. After ``close`` all calls fail.

    The file has its final size from the start. Bytes that were never written read as zeros, and are holes
    where the file system has holes. Nothing here knows which bytes are right: ``node.content.hashing`` does.
    A lock on the file keeps other downloads out.
    """

    def __init__(self, file: PositionalFile, path: Path, info: Metainfo) -> None:
        self._file = file
        self._size = info.size
        self._name = info.name
        self.path = path
        self.final_path = path.with_name(info.name)
        self.identity: Identity | None = None  # of the finished file
        self._log: WriteLog | None = None

    @classmethod
    def open(cls, folder: Path, info: Metainfo) -> PartFile:
        """Open ``folder/NAME.part``, created if missing. An existing one keeps its bytes.

        FileFault if NAME exists, or if the part is no plain file, is in use, or has another size than the
        torrent's content.
        """
        path = Path(folder) / (info.name + PART_SUFFIX)
        final_path = path.with_name(info.name)
        if os.path.lexists(final_path):
            raise FileFault(f"{sanitize(final_path)} exists; it is not overwritten")
        number = _open_part(path)
        try:
            _lock_and_extend(number, path, info)
        except OSError as error:
            os.close(number)
            raise write_fault(path, error) from None
        except FileFault:
            os.close(number)
            raise
        return cls(PositionalFile(number), path, info)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on. DiskFull, FileFault; ValueError outside."""
        length = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        if offset < 0 or offset + length > self._size:
            raise ValueError(f"range [{offset}, {offset + length}) of {self._size} bytes")
        try:
            logged_write(self._log, 0, self._file, offset, buffers)
        except OSError as error:
            raise write_fault(self.path, error) from None

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on and return its length. FileFault; ValueError outside."""
        if offset < 0 or offset + len(buffer) > self._size:
            raise ValueError(f"range [{offset}, {offset + len(buffer)}) of {self._size} bytes")
        return read_exactly(self._file, self.path, offset, buffer)

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send bytes from ``offset`` on; returns how many the socket took, 1 to ``length``.

        FileFault; ValueError outside; OSError of the socket.
        """
        if length < 1 or offset < 0 or offset + length > self._size:
            raise ValueError(f"range [{offset}, {offset + length}) of {self._size} bytes")
        return send_from(self._file, self.path, sock, offset, length)

    @property
    def closed(self) -> bool:
        """True after ``close`` or ``finish``."""
        return self._file.closed

    @property
    def allocated(self) -> int:
        """Bytes of disk space in use; the whole size where the file system has no holes."""
        try:
            status = self._file.status()
        except OSError as error:
            raise file_fault(self.path, error) from None
        return min(self._size, getattr(status, "st_blocks", self._size) * _ST_BLOCKS_UNIT)

    def is_hole(self, start: int, end: int) -> bool:
        """True if no byte of ``[start, end)`` was ever written, as far as the file system knows.

        The blocks at both ends, which hold other bytes, too, are not looked at.
        """
        first, last = whole_blocks(start, end, self._size)
        try:
            data_at = self._file.next_data(first)
        except OSError as error:
            raise file_fault(self.path, error) from None
        return first < last and (data_at is None or data_at >= last)

    def stored(self) -> list[Stored]:
        """Where the content is at present, for the record."""
        try:
            identity = identity_of(self._file.status())
        except OSError as error:
            raise file_fault(self.path, error) from None
        return [Stored(0, self._size, 0, Seen.of(identity), self._size)]

    def look(self, file: int) -> Seen | None:
        """The file as it is now, for the record."""
        return self.stored()[0].seen

    def log_writes(self, log: WriteLog) -> None:
        """Call ``log`` for each write from now on."""
        self._log = log

    def sync(self) -> None:
        """Make all bytes that were written survive a power cut. FileFault."""
        try:
            self._file.sync()
        except OSError as error:
            raise write_fault(self.path, error) from None

    def finish(self) -> Path:
        """Sync to disk, rename NAME.part to NAME, close. Returns the path of NAME and sets ``identity``.

        FileFault, with NAME.part kept, if NAME exists by now, if NAME.part is another file (or a link) by
        now, or if the disk fails.
        """
        try:
            self._file.sync()
            status = self._file.status()
            if os.name == "posix" and os.path.lexists(self.path) and not _is_still(self.path, status):
                raise FileFault(f"{sanitize(self.path)} was replaced while it was downloaded")
            if os.name == "nt":
                self._file.close()  # Windows does not rename an open file
            rename_exclusive(self.path, self.final_path)
            sync_folder(self.path.parent)
        except FileExistsError:
            raise FileFault(
                f"{sanitize(self.final_path)} exists; it is not overwritten, "
                f"{sanitize(self.path.name)} is kept"
            ) from None
        except OSError as error:
            raise write_fault(self.path, error) from None
        finally:
            self._file.close()
        self.identity = identity_of(status)
        return self.final_path

    def close(self) -> None:
        """Close the file. NAME.part stays for a later download."""
        self._file.close()


def _open_part(path: Path) -> int:
    """A descriptor of ``path``, created if missing. FileFault if it is a link or no plain file."""
    try:
        if os.path.lexists(path):
            check_plain(path, follow=False)
        return os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS | _NO_WAITING | _BINARY, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it became a link after the check
            raise FileFault(f"{sanitize(path)} is a link; a file is wanted") from None
        raise file_fault(path, error) from None


def _lock_and_extend(descriptor: int, path: Path, info: Metainfo) -> None:
    """Lock the open part and give it the content's size. FileFault if it belongs to another download."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise FileFault(f"{sanitize(path)} is not a plain file")
    if not try_lock(descriptor):
        raise FileFault(f"{sanitize(path)} is in use by another download")
    if os.name == "posix" and not _is_still(path, status):
        # Another download renamed it between the open and the lock: this is the finished file now.
        raise FileFault(f"{sanitize(path)} was just finished by another download")
    if status.st_nlink > 1:
        raise FileFault(f"{sanitize(path)} is also another file (a hard link); move it away")
    if status.st_size not in (0, info.size):
        raise FileFault(
            f"{sanitize(path)} has {status.st_size} bytes, not {info.size}: "
            "it belongs to another torrent; move it away"
        )
    if status.st_size != info.size:
        os.ftruncate(descriptor, info.size)


def _is_still(path: Path, status: os.stat_result) -> bool:
    """True if ``path`` leads to the file with this status."""
    try:
        return os.path.samestat(os.lstat(path), status)
    except FileNotFoundError:
        return False
