"""The files below a folder, opened without following a link on the way.

A torrent names its files, and anyone may have written the torrent. Its paths are safe names
(``common.filenames``), but a link inside the folder could still lead out of it. So each folder on the way is
opened from the folder above it, as ``openat`` does, and a link there is an error. Between two steps nothing
can be put in the way: an open folder stays the same folder whatever happens to its name.

Without ``openat`` (Windows) each folder on the way is checked by its path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from common.errors import FileFault
from common.files import UNSUPPORTED, sync_file, unlock
from common.text import sanitize
from node.content.os_errors import file_fault, write_fault
from node.content.positional_file import Descriptor

Names: TypeAlias = tuple[str, ...]  # a path below the folder; () is the folder itself

HAS_OPENAT = {os.open, os.mkdir, os.stat, os.unlink, os.rmdir, os.link} <= os.supports_dir_fd
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = _NO_LINKS | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe: do not wait
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_IN_THE_WAY = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})  # a link or a file instead of a folder
_NO_HARD_LINKS = UNSUPPORTED | {errno.EPERM, errno.EACCES, errno.EMLINK}


class FolderTree:
    """The folder ``path``, open until ``close``. Thread-safe. Methods raise OSError as the system does."""

    def __init__(self, path: Path, follow: bool = False) -> None:
        """OSError if ``path`` is no folder; also if it is a link, unless ``follow``."""
        self.path = path
        if HAS_OPENAT:
            number = os.open(path, _FOLDER_FLAGS | (0 if follow else _NO_LINKS))
        else:
            _check_folder(path, follow)
            number = -1
        self._root: Descriptor | None = Descriptor(number)

    @property
    def root(self) -> Descriptor:
        """The open folder. Its number is -1 without openat."""
        if self._root is None:
            raise OSError(errno.EBADF, "the folder is closed")
        return self._root

    def join(self, names: Names) -> Path:
        """The path of a file, for messages and keys."""
        return self.path.joinpath(*names)

    def open_file(self, names: Names, flags: int) -> int:
        """A descriptor of a file; with ``O_CREAT`` in ``flags`` the file and its folders are created."""
        parent = self._folder(names[:-1], bool(flags & os.O_CREAT))
        if HAS_OPENAT:
            return os.open(names[-1], flags | _FILE_FLAGS, 0o666, dir_fd=parent.number)
        path = self.join(names)
        if os.path.islink(path):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(path, flags | _FILE_FLAGS, 0o666)

    def status(self, names: Names) -> os.stat_result | None:
        """The status of a file, or of the link that is in its place; None if it is missing."""
        try:
            parent = self._folder(names[:-1], False)
            if HAS_OPENAT:
                return os.stat(names[-1], dir_fd=parent.number, follow_symlinks=False)
            return os.lstat(self.join(names))
        except FileNotFoundError:
            return None

    def move_file(self, names: Names, target: FolderTree) -> None:
        """Give the file the same path below ``target``; FileExistsError if that is taken."""
        source, destination = self._folder(names[:-1], False), target._folder(names[:-1], True)
        name = names[-1]
        if not HAS_OPENAT:
            os.rename(self.join(names), target.join(names))  # Windows: fails if there is a target
            return
        try:
            os.link(
                name, name, src_dir_fd=source.number, dst_dir_fd=destination.number, follow_symlinks=False
            )
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _rename_by_reserving(name, source, destination)
        else:
            os.unlink(name, dir_fd=source.number)

    def remove_file(self, names: Names) -> None:
        """Delete a file."""
        parent = self._folder(names[:-1], False)
        if HAS_OPENAT:
            os.unlink(names[-1], dir_fd=parent.number)
        else:
            os.unlink(self.join(names))

    def remove_empty_folders(self, names: Names) -> None:
        """Remove the folders above a file that are empty. A failure does no harm."""
        for depth in range(len(names) - 1, 0, -1):
            with contextlib.suppress(OSError):
                parent = self._folder(names[: depth - 1], False)
                if HAS_OPENAT:
                    os.rmdir(names[depth - 1], dir_fd=parent.number)
                else:
                    os.rmdir(self.join(names[:depth]))

    def sync(self, folders: Iterable[Names]) -> None:
        """Make the names in these folders survive a power cut."""
        if HAS_OPENAT:
            for folder in folders:
                sync_file(self._folder(folder, False).number)

    def close(self) -> None:
        """Close the folder once no call uses it any more. A second call does nothing.

        A lock on it ends at once: the traceback of an exception may keep the folder open for long.
        """
        root, self._root = self._root, None
        if root is not None and root.number >= 0:
            unlock(root.number)

    def _folder(self, names: Names, create: bool) -> Descriptor:
        """The folder ``names``, created if that is wanted."""
        current = self.root
        for depth, name in enumerate(names, 1):
            current = self._step(current, name, self.path.joinpath(*names[:depth]), create)
        return current

    def _step(self, parent: Descriptor, name: str, path: Path, create: bool) -> Descriptor:
        if not HAS_OPENAT:
            if create:
                path.mkdir(exist_ok=True)
            _check_folder(path, False)
            return parent
        try:
            return Descriptor(os.open(name, _FOLDER_FLAGS | _NO_LINKS, dir_fd=parent.number))
        except FileNotFoundError:
            if not create:
                raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent.number)
        return Descriptor(os.open(name, _FOLDER_FLAGS | _NO_LINKS, dir_fd=parent.number))


def tree_fault(path: Path, error: OSError, writing: bool = False) -> FileFault:
    """The FileFault to raise for ``error`` at the file ``path`` below a folder."""
    if error.errno in _IN_THE_WAY:
        return FileFault(f"{sanitize(path)}: a link or a file is in the way; only plain folders are used")
    return write_fault(path, error) if writing else file_fault(path, error)


def _check_folder(path: Path, follow: bool) -> None:
    """OSError unless ``path`` is a folder."""
    mode = os.stat(path, follow_symlinks=follow).st_mode
    if not stat.S_ISDIR(mode):
        number = errno.ELOOP if stat.S_ISLNK(mode) else errno.ENOTDIR
        raise OSError(number, os.strerror(number))


def _rename_by_reserving(name: str, source: Descriptor, destination: Descriptor) -> None:
    """Reserve the name with an empty file, which fails if it is taken, then replace that file."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(name, flags, 0o666, dir_fd=destination.number))
    try:
        os.replace(name, name, src_dir_fd=source.number, dst_dir_fd=destination.number)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=destination.number)
        raise
