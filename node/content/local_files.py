"""Files on this disk read as the content of a torrent, to be hashed. They must not change meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from node.content.layout import Layout
from node.content.shared_file import Identity, OpenFiles, SharedFile, check_identity


class LocalFile(NamedTuple):
    """``length`` bytes of content: the file at ``path``; without one, zeros (padding)."""

    length: int
    path: Path | None = None
    identity: Identity | None = None


class LocalFiles:
    """``files`` one after the other. Thread-safe. Close it after use."""

    def __init__(self, files: Sequence[LocalFile]) -> None:
        self._files = files
        self._layout = Layout([file.length for file in files])
        self._open_files = OpenFiles()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._layout.size

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on and return its length.

        FileFault if a file cannot be read or has changed; ValueError outside the content.
        """
        done = 0
        for at, start, end in self._layout.split(offset, offset + len(buffer)):
            file = self._files[at]
            part = buffer[done : done + end - start]
            if file.path is None or file.identity is None:
                part[:] = bytes(len(part))
            else:
                self._open_files.use(file.path, file.identity, _reading(start, part))
            done += len(part)
        return done

    def check_unchanged(self) -> None:
        """FileFault if a file is gone, changed, or replaced, since its identity was taken."""
        for file in self._files:
            if file.path is not None and file.identity is not None:
                check_identity(file.path, file.identity)

    def close(self) -> None:
        """Close the open files."""
        self._open_files.close()


def _reading(start: int, part: memoryview) -> Callable[[SharedFile], int]:
    return lambda opened: opened.read_into(start, part)
