"""Content on disk: PartFile, which a download fills, and SharedFile, which others are served from.

Neither holds content in memory. Both are for many threads at once; after ``close`` every call is a
FileFault, and what was under way on another thread still ends well.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from common.errors import FileFault
from common.filenames import PART_SUFFIX
from common.files import sync_folder, try_lock
from common.metainfo import Metainfo, single_file_only
from common.text import sanitize
from node.content.atomic_rename import rename_exclusive
from node.content.os_errors import check_plain, file_fault, write_fault
from node.content.positional_file import Buffer, PositionalFile

_BLOCK = 512  # bytes; the unit of st_blocks, whatever the file system's own
_NUMBERED = os.name == "posix"
_BINARY = getattr(os, "O_BINARY", 0)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # following one would write outside the folder
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # for the other end of a pipe, for ever


class PartFile:
    """The bytes so far of a single-file torrent, in ``folder/NAME.part``, which is as large as NAME will be.

    What has not been written is a hole where the file system has holes, and reads as zeros. Nothing here
    knows which bytes are good: verify them (``node.content.hashing``). One PartFile at a time has the file.
    """

    def __init__(self, file: PositionalFile, path: Path, metainfo: Metainfo) -> None:
        self._file = file
        self._size = metainfo.size
        self._name = metainfo.name
        self.path = path
        self.final_path = path.with_name(metainfo.name)

    @classmethod
    def open(cls, folder: Path, metainfo: Metainfo) -> PartFile:
        """Open ``folder/NAME.part``, made if missing; an existing one keeps its bytes.

        Raises FileFault if NAME exists, if the part is not a plain file, is in use, or has another size
        than this torrent's content; MetainfoError if the torrent is of a folder.
        """
        single_file_only(metainfo)
        folder = Path(folder)
        path = folder / (metainfo.name + PART_SUFFIX)
        final_path = folder / metainfo.name
        if os.path.lexists(final_path):
            raise FileFault(f"{sanitize(final_path)} exists; it is not overwritten")
        number = _open_part(path)
        try:
            _claim(number, path, metainfo)
        except OSError as error:
            os.close(number)
            raise write_fault(path, metainfo.name, error) from None
        except FileFault:
            os.close(number)
            raise
        file = PositionalFile(number)
        return cls(file, path, metainfo)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers``, one behind the other, at ``offset``. DiskFull, FileFault; ValueError outside."""
        length = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        if offset < 0 or offset + length > self._size:
            raise ValueError(f"range [{offset}, {offset + length}) of {self._size} bytes")
        try:
            self._file.write(offset, buffers)
        except OSError as error:
            raise write_fault(self.path, self._name, error) from None

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` and return its length. FileFault; ValueError outside."""
        if offset < 0 or offset + len(buffer) > self._size:
            raise ValueError(f"range [{offset}, {offset + len(buffer)}) of {self._size} bytes")
        return _read_all(self._file, self.path, offset, buffer)

    @property
    def allocated(self) -> int:
        """Bytes of the disk that it has already, at most its size; where files have no holes, that is all."""
        try:
            status = self._file.status()
        except OSError as error:
            raise file_fault(self.path, error) from None
        return min(self._size, getattr(status, "st_blocks", self._size) * _BLOCK)

    def is_hole(self, start: int, end: int) -> bool:
        """Whether nothing was ever written in ``[start, end)``, as far as the file system can tell."""
        try:
            data_at = self._file.next_data(start)
        except OSError as error:
            raise file_fault(self.path, error) from None
        return start < end and (data_at is None or data_at >= end)

    def finish(self) -> Path:
        """Make the bytes safe on disk, and NAME.part into NAME; closes it. Returns the path of NAME.

        Raises FileFault, with NAME.part kept, if NAME exists by now, if NAME.part is another file (or a link)
        by now, or if the disk fails.
        """
        try:
            self._file.sync()
            if _NUMBERED and os.path.lexists(self.path) and not _still_there(self.path, self._file.status()):
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
            raise write_fault(self.path, self._name, error) from None
        finally:
            self._file.close()
        return self.final_path

    def close(self) -> None:
        """Let go of the file; NAME.part stays for another time."""
        self._file.close()


class SharedFile:
    """A file that is served to others, read only, for as long as it stays what it was when it was opened.

    Open it before hashing it, and call ``check_unchanged`` after: then what is served is what was hashed.
    """

    def __init__(self, file: PositionalFile, path: Path, status: os.stat_result) -> None:
        self._file = file
        self._status = status
        self.path = path
        self.size = status.st_size

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """Device, file number, bytes and time of change: the same again only if it is the same file."""
        return identity_of(self._status)

    @classmethod
    def open(cls, path: Path, size: int | None = None) -> SharedFile:
        """Open the plain file ``path``; FileFault if that fails, or if it does not have ``size`` bytes."""
        path = Path(path)
        try:
            check_plain(path)
            file = PositionalFile(os.open(path, os.O_RDONLY | _NO_WAITING | _BINARY))
            shared = cls(file, path, file.status())
        except OSError as error:
            raise file_fault(path, error) from None
        if size is not None and shared.size != size:
            file.close()
            raise FileFault(f"{sanitize(path)} has {shared.size} bytes; its torrent says {size}")
        return shared

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` and return its length. ValueError outside the file.

        Raises FileFault if the file is not what it was: looked at after the bytes were read, so that no
        bytes of a changed file get out (as far as the system's clock of file times can tell).
        """
        if offset < 0 or offset + len(buffer) > self.size:
            raise ValueError(f"range [{offset}, {offset + len(buffer)}) of {self.size} bytes")
        _read_all(self._file, self.path, offset, buffer)
        try:
            status = self._file.status()  # 0.6 µs, where copying 60 KiB takes 5
        except OSError as error:
            raise file_fault(self.path, error) from None
        if status.st_mtime_ns != self._status.st_mtime_ns or status.st_size != self.size:
            raise FileFault(f"{sanitize(self.path)} changed while it was shared")
        return len(buffer)

    def check_unchanged(self) -> None:
        """FileFault unless the path still leads to this very file, unchanged. Cheap enough for every second.

        ``read_into`` looks at the open file only, which goes on existing when its name is deleted or given
        to another file; this looks at the name.
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise file_fault(self.path, error) from None
        if os.name == "posix" and not os.path.samestat(status, self._status):
            raise FileFault(f"{sanitize(self.path)} was replaced while it was shared")
        if (status.st_mtime_ns, status.st_size) != (self._status.st_mtime_ns, self.size):
            raise FileFault(f"{sanitize(self.path)} changed while it was shared")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def identity_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """Device, file number, bytes and time of change; Windows numbers an open file otherwise than a path."""
    numbers = (status.st_dev, status.st_ino) if _NUMBERED else (0, 0)
    return *numbers, status.st_size, status.st_mtime_ns


def _read_all(file: PositionalFile, path: Path, offset: int, buffer: memoryview) -> int:
    try:
        done = file.read_into(offset, buffer)
    except OSError as error:
        raise file_fault(path, error) from None
    if done != len(buffer):
        raise FileFault(
            f"{sanitize(path)} became shorter while it was in use: nothing at byte {offset + done}"
        )
    return done


def _open_part(path: Path) -> int:
    """A descriptor of ``path``, made if missing; FileFault if it is a link or no plain file."""
    try:
        if os.path.lexists(path):
            check_plain(path, follow=False)
        return os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS | _NO_WAITING | _BINARY, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it became a link just now
            raise FileFault(f"{sanitize(path)} is a link; a file is wanted") from None
        raise file_fault(path, error) from None


def _claim(descriptor: int, path: Path, metainfo: Metainfo) -> None:
    """Make the open part ours and as large as the content; FileFault if it is somebody else's."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise FileFault(f"{sanitize(path)} is not a plain file")
    if not try_lock(descriptor):
        raise FileFault(f"{sanitize(path)} is in use by another download")
    if os.name == "posix" and not _still_there(path, status):
        # Whoever had it finished it between our opening and our locking: it has its final name now.
        raise FileFault(f"{sanitize(path)} was just finished by another download")
    if status.st_nlink > 1:
        raise FileFault(f"{sanitize(path)} is also another file (a hard link); move it away")
    if status.st_size not in (0, metainfo.size):
        raise FileFault(
            f"{sanitize(path)} has {status.st_size} bytes, not {metainfo.size}: "
            "it belongs to another torrent; move it away"
        )
    if status.st_size != metainfo.size:
        os.ftruncate(descriptor, metainfo.size)


def _still_there(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except FileNotFoundError:
        return False
