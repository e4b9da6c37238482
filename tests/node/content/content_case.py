"""Contents of every kind to test: one file, folders, padding."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from random import Random

from common import bencode
from common.bitfield import Bitfield
from common.metainfo import Metainfo, decode_metainfo
from node.content.part_file import PartFile
from node.content.part_folder import PartFolder
from node.content.shared_file import OpenFiles, SharedFile
from node.content.store import ContentStore
from node.download.checking import check_part

LENGTH = 16_384
FOLDERS = {
    "one file": None,
    "a folder": [("a", 40_000), ("sub/b", 1), ("sub/deep/c", 9_000), ("empty", 0), ("d", 17_000)],
    "padding": [("a", 5_000), (None, LENGTH - 5_000), ("b", 33_000), ("empty", 0), (None, 16_152), ("c", 3)],
    "many small": [(f"f{number}", number % 700) for number in range(200)],
    "one in a folder": [("x/y/z", 50_000)],
}


def make_info(files: list[tuple[str | None, int]] | None, name: str = "N") -> tuple[Metainfo, bytes]:
    """A torrent and its content; a path None is padding."""
    rng = Random(3)
    if files is None:
        data = rng.randbytes(3 * LENGTH + 7)
        kind: dict[bytes, bencode.Value] = {b"length": len(data)}
    else:
        data, listed = b"", []
        for path, length in files:
            data += bytes(length) if path is None else rng.randbytes(length)
            entry: dict[bytes, bencode.Value] = {b"length": length}
            if path is None:
                entry |= {b"attr": b"p", b"path": [b".pad", str(length).encode()]}
            else:
                entry |= {b"path": [part.encode() for part in path.split("/")]}
            listed.append(entry)
        kind = {b"files": listed}  # type: ignore[dict-item]
    hashes = b"".join(hashlib.sha1(data[at : at + LENGTH]).digest() for at in range(0, len(data), LENGTH))
    info = kind | {b"name": name.encode(), b"piece length": LENGTH, b"pieces": hashes}
    return decode_metainfo(bencode.encode({b"info": info})), data


def read(file: PartFile | SharedFile, start: int, end: int) -> bytes:
    buffer = bytearray(end - start)
    assert file.read_into(start, memoryview(buffer)) == end - start
    return bytes(buffer)


def write_files(folder: Path, sizes: dict[str, int]) -> Path:
    """A folder with files of these sizes; returns it."""
    for name, size in sizes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Random(name).randbytes(size))
    return folder


class Case:
    """A content of each kind, and its bytes."""

    def __init__(self, files: list[tuple[str | None, int]] | None, folder: Path) -> None:
        self.info, self.data = make_info(files)
        self.folder = folder
        self.open_files = OpenFiles()
        self.content = ContentStore(self.info, folder, self.open_files)

    def again(self) -> ContentStore:
        """The content as the next run finds it."""
        self.content.close()
        self.content = ContentStore(self.info, self.folder, self.open_files)
        return self.content

    def kill(self, settled: bool = True) -> ContentStore:
        """The next run after this process was killed: nothing is closed properly.

        ``settled``: nothing was written in the last moment before.
        """
        record, part = self.content._record, self.content._part
        if settled and part is not None:
            record.settle(part.look, closing=True)
        if record._number >= 0:
            os.close(record._number)
            record._number = -1
        self.drop_part()
        self.content = ContentStore(self.info, self.folder, self.open_files)
        return self.content

    def drop_part(self) -> None:
        """The system closes all descriptors of the unfinished content, and so ends the lock."""
        part, self.content._part = self.content._part, None
        if isinstance(part, PartFolder):
            for opened in (part.side._file, *part.parts._open.values()):
                if opened is not None:
                    opened.close()
            part.tree.close()
        elif part is not None:
            part._file.close()

    def fill(self) -> None:
        self.content.open_part()
        self.content.write(0, [self.data])
        for piece in range(self.info.geometry.piece_count):
            self.content.mark_verified(piece)

    def read(self, start: int, end: int) -> bytes:
        buffer = bytearray(end - start)
        self.content.read_into(start, memoryview(buffer))
        return bytes(buffer)

    def check(self) -> Bitfield:
        part = self.content.open_part()
        held = check_part(part, self.info, 1, lambda done, size: None, threading.Event())
        self.content.set_verified(held)
        return held


def tree(folder: Path) -> dict[str, bytes]:
    """The files below ``folder``, without the record."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "N.resume"
    }


def expected(info: Metainfo, data: bytes) -> dict[str, bytes]:
    """The files of the finished content."""
    files, start = {}, 0
    for entry in info.files:
        if not entry.padding:
            files["/".join(entry.path)] = data[start : start + entry.length]
        start += entry.length
    return files
