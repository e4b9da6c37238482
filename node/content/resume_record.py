"""``NAME.resume``: which pieces are verified, and how to tell that their files are still the same.

After a restart, a piece is believed without hashing it again if the record says that it was verified, and if
every file that holds a byte of it is unchanged since. All other pieces with bytes on the disk are hashed.

A file is unchanged if its number (inode), its length and its time of change are those in its entry. But our
own writes change the time, too, and a process can be killed between any two instructions. So each write is
recorded twice, in the entry of its file:

    before it   "we write from now on", with the present time
    after it    the file's new time of change, and "we do not write"

If the process is killed in between, a time of change up to ``WRITE_SECONDS`` after the recorded moment is
explained by our own write. A program that changes the file later is noticed. The piece that was written is
not in the set of verified pieces, so it is hashed anyway.

The record is a small file that is overwritten in place: a few bytes for each write, and two for each verified
piece. Nothing is written when nothing happens, and nothing is ever synced. The system has these bytes as soon
as the call returns, so they survive the end of the process, but not a power cut. Therefore the record names
the boot of the system. After another boot it counts only if it is marked ``clean``: that happens when the
content is closed, after its files were synced.

    offset  bytes
    0       24      "classroom-swarm resume 1"
    24      20      info hash
    44      16      digest of the system's boot id; zeros: not known
    60      8       inode of the folder that holds NAME.resume
    68      8       when this record was begun, in ns of Unix time
    76      4, 4    number of entries, number of pieces
    84      4       CRC-32 of all before
    88      1       1: clean
    96      32 each an entry for each file, and one for NAME.side:
                    inode (8), time of change in ns (8), when the last write began that may be unfinished,
                    or 0 (8), 4 zeros, CRC-32 of the entry (4)
    then    2 each  for every 8 pieces: their bits as in BEP 3, and the same bits inverted

All numbers are big-endian. A damaged entry is an unknown file; of damaged bits no piece is believed.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from common.bitfield import Bitfield
from common.files import atomic_write
from common.logs import log
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.boot import boot_digest
from node.content.positional_file import Buffer, PositionalFile
from node.content.shared_file import Identity

WRITE_SECONDS = 0.02  # a write changes its file's time at its beginning: at most so long after it is recorded
FUTURE_SECONDS = 60.0  # a record that was begun later than now plus this is not believed
MAGIC = b"classroom-swarm resume 1"

_HEADER = struct.Struct(">24s20s16sQqII")
_CHECKSUM = struct.Struct(">I")
_ENTRY = struct.Struct(">Qqq4x")
_CLEAN_AT = _HEADER.size + _CHECKSUM.size
_ENTRIES_AT = 96
_ENTRY_SIZE = _ENTRY.size + _CHECKSUM.size
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class WriteLog(Protocol):
    """Is called around each write to a file, on the thread that writes. Never raises."""

    def begin(self, file: int, inode: int) -> None:
        """A write to file number ``file`` begins."""

    def end(self, file: int, modified: int) -> None:
        """It has ended. ``modified``: the file's time of change since, in ns; 0 if it is not known."""

    def known(self, file: int, inode: int, modified: int) -> None:
        """The file is as it should be, with this time of change in ns."""


def logged_write(
    log: WriteLog | None, file: int, target: PositionalFile, offset: int, buffers: Sequence[Buffer]
) -> None:
    """Write ``buffers`` to ``target``, which is number ``file`` in the log. OSError."""
    if log is None:
        target.write(offset, buffers)
        return
    modified = 0
    log.begin(file, target.inode)
    try:
        modified = target.write_and_stat(offset, buffers).st_mtime_ns
    finally:
        log.end(file, modified)


class Seen(NamedTuple):
    """A file as the system shows it. ``inode``: 0 where files have no numbers."""

    inode: int
    size: int
    modified: int  # ns

    @classmethod
    def of(cls, identity: Identity) -> Seen:
        """The file of this identity, on any device: its number changes with a new mount."""
        return cls(*identity[1:])


class Stored(NamedTuple):
    """Where bytes ``[start, end)`` of the content are. ``entry``: of the file, in the record."""

    start: int
    end: int
    entry: int
    seen: Seen | None  # None: there is no such file
    size: int | None  # the file's length; None: any


class Entry(NamedTuple):
    """A file as the record knows it. ``writing``: time of a write that may be unfinished, or 0."""

    inode: int = 0
    modified: int = 0  # ns
    writing: int = 0  # ns of Unix time

    def explains(self, seen: Seen | None, size: int | None) -> bool:
        """True if nothing but our own writes can have changed the file since."""
        if seen is None:
            return self == Entry()
        if seen.inode != self.inode or (size is not None and seen.size != size) or not self.modified:
            return False
        if self.writing:
            return self.modified <= seen.modified <= self.writing + int(WRITE_SECONDS * 1e9)
        return seen.modified == self.modified


class RecordedState:
    """What a record says. ``verified``: the pieces that were verified."""

    def __init__(self, verified: Bitfield, entries: Mapping[int, Entry]) -> None:
        self.verified = verified
        self.entries = entries

    def trusted(self, info: Metainfo, stored: Iterable[Stored]) -> Bitfield:
        """The pieces that need not be hashed: verified, in files that are unchanged."""
        pieces = self.verified.copy()
        for part in stored:
            if not self.entries.get(part.entry, Entry()).explains(part.seen, part.size):
                for piece in info.geometry.pieces_touched(part.start, part.end):
                    pieces.clear(piece)
        return pieces


def read_record(path: Path, info: Metainfo) -> RecordedState | None:
    """What ``path`` says about ``info``; None if it is no record, or one that must not be believed."""
    try:
        with open(os.open(path, _FLAGS & ~os.O_RDWR | os.O_RDONLY), "rb") as file:
            data = file.read(_size(info) + 1)
        folder = os.stat(path.parent).st_ino
    except OSError:
        return None
    if len(data) != _size(info) or not _is_believed(data, info, folder):
        return None
    return RecordedState(_read_pieces(data, info), _read_entries(data, info))


class ResumeRecord:
    """The record of a content that is being written, in NAME.resume. Implements WriteLog. Thread-safe.

    Never raises: without a record, everything is hashed after a restart. So if it cannot be written, it is
    given up with one line in the log.
    """

    def __init__(self, path: Path, info: Metainfo) -> None:
        self.path = path
        self._info = info
        self._pieces_at = _ENTRIES_AT + _ENTRY_SIZE * (len(info.files) + 1)
        self._lock = threading.Lock()  # guards what follows
        self._number = -1  # descriptor
        self._entries: dict[int, Entry] = {}
        self._writers: dict[int, int] = {}  # writes in progress, by file

    def begin_record(self, stored: Iterable[Stored], verified: Bitfield, clean: bool = False) -> None:
        """Replace the record: ``stored`` as it was before ``verified`` was found out."""
        entries = {
            part.entry: Entry(part.seen.inode, part.seen.modified) for part in stored if part.seen is not None
        }
        self.close()
        with self._lock:
            self._entries, self._writers = entries, {}
            try:
                if not _may_replace(self.path):
                    log(f"{sanitize(self.path)} is another file: the progress is not recorded")
                    return
                atomic_write(self.path, self._content(verified, clean), sync=clean)
                if not clean:
                    self._number = os.open(self.path, _FLAGS)
            except OSError as error:
                self._give_up(error)

    def begin(self, file: int, inode: int) -> None:
        """A write to ``file`` begins."""
        with self._lock:
            if self._number < 0:
                return
            self._writers[file] = self._writers.get(file, 0) + 1
            before = self._entries.get(file, Entry())
            now = time.time_ns()
            self._set(file, Entry(inode, before.modified or now - int(WRITE_SECONDS * 1e9), now))

    def end(self, file: int, modified: int) -> None:
        """It has ended. ``modified``: the file's time of change, in ns; 0 if it is not known."""
        with self._lock:
            if self._number < 0 or file not in self._writers:
                return
            self._writers[file] -= 1
            entry = self._entries[file]
            if not modified:
                return
            entry = entry._replace(modified=max(modified, entry.modified))
            if self._writers[file]:
                self._entries[file] = entry  # the next write records it
            else:
                self._set(file, entry._replace(writing=0))

    def known(self, file: int, inode: int, modified: int) -> None:
        """The file is as it should be, with this time of change in ns."""
        with self._lock:
            self._set(file, Entry(inode, modified, 0))

    def mark_verified(self, piece: int, verified: Bitfield) -> None:
        """``piece`` was added to ``verified``."""
        with self._lock:
            bits = verified.byte(piece // 8)
            self._write(self._pieces_at + piece // 8 * 2, bytes((bits, bits ^ 0xFF)))

    def close(self, clean: bool = False) -> None:
        """Write no more. ``clean``: the files were synced since the last write."""
        with self._lock:
            if clean and self._number >= 0 and not any(self._writers.values()):
                with contextlib.suppress(OSError):
                    os.fsync(self._number)
                self._write(_CLEAN_AT, b"\1")
            if self._number >= 0:
                os.close(self._number)
            self._number = -1

    def delete(self) -> None:
        """Delete the record, if it is one."""
        self.close()
        with contextlib.suppress(OSError):
            if _may_replace(self.path):
                self.path.unlink()

    def _set(self, file: int, entry: Entry) -> None:
        self._entries[file] = entry
        self._write(_ENTRIES_AT + file * _ENTRY_SIZE, _encode_entry(entry))

    def _write(self, offset: int, data: bytes) -> None:
        if self._number < 0:
            return
        try:
            os.lseek(self._number, offset, os.SEEK_SET)
            os.write(self._number, data)
        except OSError as error:
            os.close(self._number)
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._number = -1
        log(f"{sanitize(self.path)} cannot be written ({error.strerror}): the progress is not recorded")

    def _content(self, verified: Bitfield, clean: bool) -> Iterable[bytes]:
        info = self._info
        count = len(info.files) + 1
        place = os.stat(self.path.parent).st_ino
        header = _HEADER.pack(
            MAGIC, info.info_hash, boot_digest(), place, time.time_ns(), count, verified.size
        )
        head = header + _CHECKSUM.pack(zlib.crc32(header)) + bytes([clean])
        yield head.ljust(_ENTRIES_AT, b"\0")
        for file in range(count):
            yield _encode_entry(self._entries.get(file, Entry()))
        bits = verified.to_bytes()
        yield bytes(byte for bits_of_8 in bits for byte in (bits_of_8, bits_of_8 ^ 0xFF))


def _size(info: Metainfo) -> int:
    return _ENTRIES_AT + _ENTRY_SIZE * (len(info.files) + 1) + 2 * ((info.geometry.piece_count + 7) // 8)


def _encode_entry(entry: Entry) -> bytes:
    data = _ENTRY.pack(*entry)
    return data + _CHECKSUM.pack(zlib.crc32(data))


def _is_believed(data: bytes, info: Metainfo, folder: int) -> bool:
    header = data[: _HEADER.size]
    if _CHECKSUM.unpack_from(data, _HEADER.size)[0] != zlib.crc32(header):
        return False
    magic, info_hash, boot, place, begun, entries, pieces = _HEADER.unpack(header)
    if (magic, info_hash, place) != (MAGIC, info.info_hash, folder):
        return False
    if (entries, pieces) != (len(info.files) + 1, info.geometry.piece_count):
        return False
    if begun > time.time_ns() + int(FUTURE_SECONDS * 1e9):
        return False
    return data[_CLEAN_AT] == 1 or (boot == boot_digest() and any(boot))


def _read_entries(data: bytes, info: Metainfo) -> dict[int, Entry]:
    entries = {}
    for file in range(len(info.files) + 1):
        at = _ENTRIES_AT + file * _ENTRY_SIZE
        fields = data[at : at + _ENTRY.size]
        if _CHECKSUM.unpack_from(data, at + _ENTRY.size)[0] == zlib.crc32(fields):
            entries[file] = Entry(*_ENTRY.unpack(fields))
        else:
            entries[file] = Entry(modified=-1)  # it explains nothing, not even a missing file
    return entries


def _read_pieces(data: bytes, info: Metainfo) -> Bitfield:
    at = _ENTRIES_AT + _ENTRY_SIZE * (len(info.files) + 1)
    count = info.geometry.piece_count
    pieces = Bitfield(count)
    for piece in range(count):
        bits, inverted = data[at + piece // 8 * 2], data[at + piece // 8 * 2 + 1]
        if bits ^ inverted == 0xFF and bits & (0x80 >> piece % 8):
            pieces.set(piece)
    return pieces


def _may_replace(path: Path) -> bool:
    """False if ``path`` is a file that is no record: a user may have a file of this name."""
    try:
        with open(os.open(path, _FLAGS & ~os.O_RDWR | os.O_RDONLY), "rb") as file:
            return file.read(len(MAGIC)) in (MAGIC, b"")
    except FileNotFoundError:
        return True
    except OSError:
        return False
