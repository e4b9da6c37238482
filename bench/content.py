"""The moved content: random bytes in a file, its torrent, and the comparison of two files."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from node.content.torrent_file import create_torrent

BLOCK = 1 << 20
REPEATED = 64 << 20  # bytes of randomness in a repeated file; a multiple of BLOCK
HEADER = 16  # bytes by which the repetitions of a MiB differ


@dataclass(frozen=True)
class BenchContent:
    """A file to be moved, and its torrent (which names no tracker)."""

    path: Path
    torrent: Path
    size: int


def make_content(folder: Path, size: int) -> BenchContent:
    """``size`` random bytes in ``folder``, and their torrent."""
    path = folder / f"random-{size}.bin"
    with path.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - start)))
    return _with_torrent(path, size)


def make_repeated_content(folder: Path, size: int) -> BenchContent:
    """The same cheaper: the first REPEATED bytes are random and then come again and again, each MiB of them
    with its place in the file at the front.

    It holds at most 1 MiB at a time, because Linux counts the peak of this process for its children, too.
    """
    path = folder / f"repeated-{size}.bin"
    with path.open("w+b", buffering=0) as file:
        for start in range(0, size, BLOCK):
            if start < REPEATED:
                block = bytearray(os.urandom(BLOCK))
            else:
                file.seek(start % REPEATED)
                block = bytearray(file.read(BLOCK))
            block[:HEADER] = start.to_bytes(HEADER, "big")
            file.seek(start)
            file.write(memoryview(block)[: size - start])
    return _with_torrent(path, size)


def _with_torrent(path: Path, size: int) -> BenchContent:
    torrent = path.with_name(path.name + ".torrent")
    create_torrent(path, torrent, "")
    return BenchContent(path, torrent, size)


def touch_memory(folder: Path, size: int) -> None:
    """Have the system hold ``size`` bytes of memory in ``folder`` ready, if files there are in memory.

    A virtual machine returns memory to its host after some free seconds, and the first touch of new memory is
    several times slower. Without this call a transfer that begins later would pay more for it.
    """
    if machine.file_system(folder) not in machine.RAM_FILE_SYSTEMS:
        return
    block = bytes(BLOCK)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for start in range(0, size, BLOCK):
            file.write(memoryview(block)[: size - start])


def same(one: Path, other: Path) -> bool:
    """Whether two files are identical, byte by byte."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb", buffering=0) as left, other.open("rb", buffering=0) as right:
        while True:
            block = left.read(BLOCK)
            if block != right.read(BLOCK):
                return False
            if not block:
                return True
