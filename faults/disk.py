"""A disk in memory that remembers everything done to it: what it holds after a crash at any point, and calls
that fail to order. Pure; its methods are those of a disk as the tracker's storage wants one.

A crash of the program loses nothing that was handed to the system. A power cut loses what was not synced:
any of it, for a disk writes in any order. ``Survivors`` says what is left of it.
"""

from __future__ import annotations

import enum
import errno
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


class Survivors(enum.Enum):
    """What a crash leaves of what was not synced yet."""

    ALL = "all: only the program died"
    NONE = "nothing: neither bytes nor names"
    NAMES = "the names, not the bytes of the files"
    BYTES = "the bytes of files, not the new names"
    LAST_BYTES = "the names, and of each file the last write without those before it"
    HALF = "the names, and of each file the first half"


@dataclass
class File:
    """The bytes of a file, as the system shows them and as they would survive."""

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    writes: list[int] = field(default_factory=list)  # where each write since the last sync began
    holes: list[tuple[int, int]] = field(default_factory=list)  # what a failed sync lost

    def after(self, survivors: Survivors) -> bytes:
        """What is left of it."""
        if survivors in (Survivors.ALL, Survivors.BYTES) or bytes(self.data) == self.synced:
            return bytes(self.data)
        if survivors in (Survivors.NONE, Survivors.NAMES) or not self.writes:
            return self.synced
        known = len(self.synced)
        if survivors is Survivors.HALF:
            return bytes(self.data[: known + (len(self.data) - known) // 2])
        last = self.writes[-1]
        return self.synced + bytes(last - known) + bytes(self.data[last:])

    def sync(self, fails: bool) -> None:
        """All of it survives from now on; but the system never writes again what it failed to write once."""
        if fails:
            self.holes.append((len(self.synced), len(self.data)))
        else:
            synced = bytearray(self.data)
            for start, end in self.holes:
                synced[start:end] = bytes(len(synced[start:end]))
            self.synced = bytes(synced)
        self.writes.clear()


Names = dict[str, File]


class MemoryDisk:
    """Files in memory; ``calls`` counts what was done to them."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._names: Names = {path: File(bytearray(data), data) for path, data in (files or {}).items()}
        self._synced: Names = dict(self._names)
        self._open: dict[int, File] = {}
        self._numbers = iter(range(1, 1 << 62))
        self.calls: list[str] = []
        self.before_call: Callable[[str], None] = lambda call: None  # may raise OSError

    def files(self, survivors: Survivors = Survivors.ALL) -> dict[str, bytes]:
        """Every file with its bytes, as a crash now would leave them."""
        lost_names = survivors in (Survivors.NONE, Survivors.BYTES)
        names = self._synced if lost_names else self._names
        return {path: file.after(survivors) for path, file in names.items()}

    def make_folder(self, folder: Path) -> None:
        """Folders are not kept by themselves."""
        self._call("make_folder")

    def lock(self, folder: Path) -> Callable[[], None]:
        """Nobody else is there."""
        return lambda: None

    def names(self, folder: Path) -> list[str]:
        """Those in the folder itself."""
        self._call("names")
        return sorted(Path(path).name for path in self._names if Path(path).parent == folder)

    def open(self, path: Path) -> BinaryIO:
        """A reader of the bytes as they are now."""
        self._call(f"open {path.name}")
        return io.BytesIO(bytes(self._at(path).data))

    def create(self, path: Path) -> int:
        """A new file."""
        self._call(f"create {path.name}")
        number = next(self._numbers)
        self._open[number] = self._names[str(path)] = File()
        return number

    def write(self, file: int, data: bytes) -> None:
        """If it fails, half of it is written."""
        opened = self._open[file]
        opened.writes.append(len(opened.data))
        try:
            self._call("write")
        except OSError:
            opened.data += data[: len(data) // 2]
            raise
        opened.data += data

    def sync(self, file: int) -> None:
        """If it fails, what was not synced is lost, though the system goes on showing it."""
        opened = self._open[file]
        try:
            self._call("sync")
        except OSError:
            opened.sync(fails=True)
            raise
        opened.sync(fails=False)

    def truncate(self, file: int, size: int) -> None:
        """Shorter."""
        self._call("truncate")
        opened = self._open[file]
        del opened.data[size:]
        opened.writes = [start for start in opened.writes if start < size]

    def close(self, file: int) -> None:
        """Gone, even if it fails, as on Linux."""
        del self._open[file]
        self._call("close")

    def link(self, old: Path, new: Path) -> None:
        """Two names."""
        self._call(f"link {new.name}")
        if str(new) in self._names:
            raise FileExistsError(errno.EEXIST, "File exists", str(new))
        self._names[str(new)] = self._at(old)

    def replace(self, old: Path, new: Path) -> None:
        """One name for another."""
        self._call(f"replace {new.name}")
        self._names[str(new)] = self._at(old)
        del self._names[str(old)]

    def unlink(self, path: Path) -> None:
        """One name less."""
        self._call(f"unlink {path.name}")
        self._names.pop(str(path), None)

    def sync_folder(self, folder: Path) -> None:
        """The names in it, and no others, are what they are now."""
        self._call(f"sync_folder {folder.name}")
        kept = {path: file for path, file in self._synced.items() if Path(path).parent != folder}
        now = {path: file for path, file in self._names.items() if Path(path).parent == folder}
        self._synced = {**kept, **now}

    def _at(self, path: Path) -> File:
        try:
            return self._names[str(path)]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path)) from None

    def _call(self, call: str) -> None:
        self.calls.append(call)
        self.before_call(call)
