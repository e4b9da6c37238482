"""The finished content: one file, or the files below a folder, which must stay what was verified."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from common.errors import FileFault
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.entry_names import names_on_disk
from node.content.folder_tree import FolderTree, Names, tree_fault
from node.content.layout import Layout
from node.content.resume_format import Seen, Stored
from node.content.sending import send_ranges, send_zeros
from node.content.shared_file import (
    Identity,
    OpenFiles,
    SharedFile,
    check_identity,
    identity_of,
)
from node.transport import SentBlock, StreamSocket

Result = TypeVar("Result")

CHECKED_AT_ONCE = 256  # files of a folder whose names are looked at in one check_unchanged


class FinishedFiles:
    """The files of ``info`` at ``path``: a file, or a folder. Thread-safe.

    ``identities``: of each file, None for padding, which is on no disk and reads as zeros.
    """

    def __init__(
        self, info: Metainfo, path: Path, identities: Sequence[Identity | None], open_files: OpenFiles
    ) -> None:
        self.path = path
        self.identities = identities
        self._info = info
        self._names = [() if entry.padding else names_on_disk(path, entry) for entry in info.files]
        self._layout = Layout([entry.length for entry in info.files])
        self._open_files = open_files
        self._next_check = 0  # index of the file that the next check begins with

    @classmethod
    def find(cls, info: Metainfo, path: Path, open_files: OpenFiles) -> FinishedFiles:
        """The files at ``path`` as they are now, with any bytes. FileFault if one is missing.

        Also if one is no plain file, or if a file of a folder has another length than the torrent says.
        """
        if info.is_single_file:
            file = SharedFile.open(path)
            file.close()
            return cls(info, path, (file.identity,), open_files)
        try:
            tree = FolderTree(path, follow=True)
        except OSError as error:
            raise tree_fault(path, error) from None
        identities = [
            None if entry.padding else find_file(tree, names_on_disk(path, entry), entry.length)
            for entry in info.files
        ]
        return cls(info, path, identities, open_files)

    @property
    def size(self) -> int:
        """Bytes of all files, with padding."""
        here = (identity[2] if identity is not None else None for identity in self.identities)
        return sum(
            entry.length if size is None else size for size, entry in zip(here, self._info.files, strict=True)
        )

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on and return its length. FileFault if a file changed."""
        done = 0
        for file, start, end in self._layout.split(offset, offset + len(buffer)):
            part = buffer[done : done + end - start]
            self._read_file(file, start, part)
            done += len(part)
        return done

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send bytes to a connected socket, as ``ServedTorrent.send_to``. FileFault if a file changed."""
        return send_ranges(self._layout.split(offset, offset + length), self._sender(sock))

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int | None:
        """Send blocks as ``ServedTorrent.send_blocks``: the first ones, as far as they lie in one file.

        None if the first one is padding, or lies in several files.
        """
        file, first, last = self._layout.file_at(blocks[0][1])
        if self.identities[file] is None:
            return None
        if self._info.is_single_file:
            return self._with_file(file, lambda opened: opened.send_blocks(sock, blocks))
        run: list[SentBlock] = []
        for header, offset, length in blocks:
            if offset < first or offset + length > last:
                break
            run.append((header, offset - first, length))
        return self._with_file(file, lambda opened: opened.send_blocks(sock, run)) if run else None

    def stored(self) -> list[Stored]:
        """Where each range of the content is, for the record."""
        stored, start = [], 0
        for file, (identity, entry) in enumerate(zip(self.identities, self._info.files, strict=True)):
            end = start + entry.length
            if identity is not None:
                stored.append(Stored(start, end, file, Seen.of(identity), entry.length))
            start = end
        return stored

    def check_unchanged(self) -> None:
        """FileFault if a file is gone, changed, or replaced.

        Of a folder with many files a part is checked in each call, in turn.
        """
        count = len(self.identities)
        first, self._next_check = self._next_check, (self._next_check + CHECKED_AT_ONCE) % max(1, count)
        if count <= CHECKED_AT_ONCE:
            first, self._next_check = 0, 0
        self._check(first, min(count, first + CHECKED_AT_ONCE))

    def check_all_unchanged(self) -> None:
        """The same of all files at once."""
        self._check(0, len(self.identities))

    def _check(self, first: int, last: int) -> None:
        for file in range(first, last):
            identity = self.identities[file]
            if identity is not None:
                check_identity(self._path_of(file), identity)

    def _sender(self, sock: StreamSocket) -> Callable[[int, int, int], int]:
        def send(file: int, start: int, length: int) -> int:
            if self.identities[file] is None:
                return send_zeros(sock, length)
            return self._with_file(file, lambda opened: opened.send_to(sock, start, length))

        return send

    def _path_of(self, file: int) -> Path:
        if self._info.is_single_file:
            return self.path
        return self.path.joinpath(*self._names[file])

    def _read_file(self, file: int, start: int, buffer: memoryview) -> None:
        if self.identities[file] is None:
            buffer[:] = bytes(len(buffer))
        else:
            self._with_file(file, lambda opened: opened.read_into(start, buffer))

    def _with_file(self, file: int, call: Callable[[SharedFile], Result]) -> Result:
        identity = self.identities[file]
        assert identity is not None
        path = self._path_of(file)
        if self._info.is_single_file:
            return self._open_files.use(path, identity, call)
        return self._open_files.use(path, identity, call, lambda: open_below(self.path, self._names[file]))


def find_file(tree: FolderTree, names: Names, length: int) -> Identity:
    """The identity of a file. FileFault if it is missing, no plain file, or of another length."""
    path = tree.join(names)
    try:
        status = tree.status(names)
    except OSError as error:
        raise tree_fault(path, error) from None
    if status is None:
        raise FileFault(f"{sanitize(path)}: no such file")
    if not stat.S_ISREG(status.st_mode):
        raise FileFault(f"{sanitize(path)} is no plain file")
    if status.st_size != length:
        raise FileFault(f"{sanitize(path)} has {status.st_size} bytes; its torrent says {length}")
    return identity_of(status)


def open_below(folder: Path, names: Names) -> SharedFile:
    """Open a file below ``folder`` without following a link on the way. FileFault."""
    path = folder.joinpath(*names)
    try:
        tree = FolderTree(folder, follow=True)
        return SharedFile.of_descriptor(tree.open_file(names, os.O_RDONLY), path)
    except OSError as error:
        raise tree_fault(path, error) from None
