"""``NAME.resume``: which pieces are verified, and how to tell that their files are still the same.

After a restart, a piece is believed without hashing it again if the record says that it was verified, and if
every file that holds a byte of it is unchanged since. All other pieces with bytes on the disk are hashed.

A file is unchanged if its number (inode), its length and its time of change are those in its entry. But our
own writes change the time, too, and a process can be killed between any two instructions. So writes are
recorded in the entry of their file:

    before a write   "we may write until" this moment
    after it         the file's new time of change, and "we do not write"

If the process is killed in between, a time of change up to ``WRITE_SECONDS`` after that moment is explained
by our own write. A program that changes the file later is noticed. The piece that was written is not in the
set of verified pieces, so it is hashed anyway.

Each call of the system costs a thread its turn at the interpreter. So while writes to a file follow each
other closely, one entry covers all writes of the next ``PROMISE_SECONDS``, and ``settle`` records the exact
time once they have ended. A piece that is verified is only noted, without a call of the system: ``settle``
writes the notes a few times a second, and ``begin`` does once there are MOST_UNWRITTEN. So of the pieces of
the last moment before a kill, some may be hashed again.

The record is a small file that is overwritten in place, a few bytes at a time, and never while nothing
happens. It is not synced. The system has these bytes as soon as the call returns, so they survive the end of
the process, but not a power cut. Therefore the record names the boot of the system. After another boot it
counts only if it is marked ``clean``: that happens when the content is closed, after its files were synced.

Its format is in ``node.content.resume_format``.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from common.bitfield import Bitfield
from common.files import atomic_write
from common.logs import log
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.boot import boot_digest
from node.content.positional_file import HAS_POSITIONAL, Buffer, PositionalFile
from node.content.resume_format import (
    CLEAN_AT,
    MAGIC,
    Entry,
    RecordedState,
    Seen,
    Stored,
    decode_record,
    encode_entry,
    encode_pieces,
    encode_record,
    entry_at,
    pieces_at,
    record_size,
)

PROMISE_SECONDS = 0.03  # writes within that time of each other are recorded together
MOST_UNWRITTEN = 32  # verified pieces that are not in the file yet; more are written before the next write

_PROMISE = int(PROMISE_SECONDS * 1e9)  # ns
_LONG_SPAN = 4096  # groups of pieces; a longer span is not written in one go
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class WriteLog(Protocol):
    """Is called around each write to a file, on the thread that writes. Never raises."""

    def begin(self, file: int, inode: int) -> bool:
        """A write to file number ``file`` begins. True if ``end`` needs the file's time of change."""

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
    wants_time = log.begin(file, target.inode)
    try:
        if wants_time:
            modified = target.write_and_stat(offset, buffers).st_mtime_ns
        else:
            target.write(offset, buffers)
    finally:
        log.end(file, modified)


def read_record(path: Path, info: Metainfo) -> RecordedState | None:
    """The record of ``info`` in ``path``; None if there is no record, or no trustworthy one."""
    try:
        with open(os.open(path, _FLAGS & ~os.O_RDWR | os.O_RDONLY), "rb") as file:
            data = file.read(record_size(info) + 1)
        folder = os.stat(path.parent).st_ino
    except OSError:
        return None
    return decode_record(data, info, boot_digest(), folder, time.time_ns())


class ResumeRecord:
    """The record of a content that is being written, in NAME.resume. Implements WriteLog. Thread-safe.

    Never raises: without a record, everything is hashed after a restart. So if it cannot be written, it is
    given up with one line in the log.
    """

    def __init__(self, path: Path, info: Metainfo) -> None:
        self.path = path
        self._info = info
        self._lock = threading.Lock()  # guards what follows
        self._number = -1  # descriptor
        self._entries: dict[int, Entry] = {}
        self._writers: dict[int, int] = {}  # writes in progress, by file
        self._begun: dict[int, int] = {}  # writes so far, by file
        self._unsettled: set[int] = set()  # files whose entry says that we may write
        self._bits = bytearray()  # the verified pieces, as they are written
        self._unwritten: list[int] = []  # groups of 8 pieces that changed since, one for each piece

    def begin_record(self, stored: Iterable[Stored], verified: Bitfield, clean: bool = False) -> None:
        """Replace the record: ``stored`` as it was before ``verified`` was found out."""
        entries = {
            part.entry: Entry(part.seen.inode, part.seen.modified) for part in stored if part.seen is not None
        }
        self.close()
        with self._lock:
            self._entries, self._writers, self._begun = entries, {}, {}
            self._unsettled, self._unwritten = set(), []
            self._bits = bytearray(encode_pieces(verified))
            try:
                if not _may_replace(self.path):
                    log(f"{sanitize(self.path)} is another file: the progress is not recorded")
                    return
                record = encode_record(
                    self._info,
                    boot_digest(),
                    os.stat(self.path.parent).st_ino,
                    time.time_ns(),
                    entries,
                    bytes(self._bits),
                    clean,
                )
                atomic_write(self.path, record, sync=clean)
                if not clean:
                    self._number = os.open(self.path, _FLAGS)
            except OSError as error:
                self._give_up(error)

    def begin(self, file: int, inode: int) -> bool:
        """A write to ``file`` begins. True if ``end`` needs the file's time of change."""
        with self._lock:
            self._writers[file] = self._writers.get(file, 0) + 1
            self._begun[file] = self._begun.get(file, 0) + 1
            if self._number < 0:
                return False
            if len(self._unwritten) >= MOST_UNWRITTEN:
                self._write_bits()
            now, before = time.time_ns(), self._entries.get(file, Entry())
            if now < before.writing:
                return False
            is_busy = now - before.writing < _PROMISE
            modified = before.modified or now - _PROMISE
            self._unsettled.add(file)
            self._set(file, Entry(inode, modified, now + _PROMISE if is_busy else now))
            return not is_busy

    def end(self, file: int, modified: int) -> None:
        """It has ended. ``modified``: the file's time of change, in ns; 0 if it is not known."""
        with self._lock:
            self._writers[file] = max(0, self._writers.get(file, 0) - 1)
            entry = self._entries.get(file)
            if not modified or entry is None or self._number < 0:
                return
            if self._writers[file] or entry.writing > time.time_ns():
                return  # other writes go on, and ``settle`` comes after them
            self._settle(file, entry.inode, modified)

    def settle(self, look: Callable[[int], Seen | None], closing: bool = False) -> None:
        """Record the exact times of the files that are not written any more, and all verified pieces.

        ``look(file)``: the file as it is now. ``closing``: no write comes any more.
        """
        now = time.time_ns()
        with self._lock:
            self._write_bits()
            idle = [
                (file, self._begun.get(file, 0))
                for file in self._unsettled
                if not self._writers.get(file) and (closing or self._entries[file].writing < now)
            ]
        for file, begun in idle:
            seen = look(file)
            with self._lock:
                if seen is not None and not self._writers.get(file) and self._begun.get(file, 0) == begun:
                    self._settle(file, seen.inode, seen.modified)

    def _settle(self, file: int, inode: int, modified: int) -> None:
        self._unsettled.discard(file)
        last = self._entries[file]
        self._set(file, Entry(inode, modified, 0))
        self._entries[file] = last._replace(modified=modified)  # the next ``begin`` sees how long ago it was

    def known(self, file: int, inode: int, modified: int) -> None:
        """The file is as it should be, with this time of change in ns."""
        with self._lock:
            self._set(file, Entry(inode, modified, 0))

    def mark_verified(self, piece: int) -> None:
        """``piece`` is verified. Returns at once: it is written later."""
        with self._lock:
            if self._number < 0:
                return
            group, mask = piece // 8, 0x80 >> piece % 8
            self._bits[2 * group] |= mask
            self._bits[2 * group + 1] &= ~mask
            self._unwritten.append(group)

    def _write_bits(self) -> None:
        """Write the verified pieces that are not written yet."""
        if not self._unwritten:
            return
        first, last = min(self._unwritten), max(self._unwritten) + 1
        spans = [(first, last)]
        if last - first > _LONG_SPAN:
            spans = [(group, group + 1) for group in sorted(set(self._unwritten))]
        for start, end in spans:
            self._write(pieces_at(self._info) + 2 * start, bytes(self._bits[2 * start : 2 * end]))
        self._unwritten = []

    def close(self, clean: bool = False) -> None:
        """Write no more. ``clean``: the files were synced since the last write."""
        with self._lock:
            if clean and self._number >= 0 and not any(self._writers.values()):
                with contextlib.suppress(OSError):
                    os.fsync(self._number)
                self._write(CLEAN_AT, b"\1")
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
        self._write(entry_at(file), encode_entry(entry))

    def _write(self, offset: int, data: bytes) -> None:
        if self._number < 0:
            return
        try:
            if HAS_POSITIONAL:
                os.pwrite(self._number, data, offset)
            else:
                os.lseek(self._number, offset, os.SEEK_SET)
                os.write(self._number, data)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.close(self._number)
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._number = -1
        log(f"{sanitize(self.path)} cannot be written ({error.strerror}): the progress is not recorded")


def _may_replace(path: Path) -> bool:
    """False if ``path`` is a file that is no record: a user may have a file of this name."""
    try:
        with open(os.open(path, _FLAGS & ~os.O_RDWR | os.O_RDONLY), "rb") as file:
            return file.read(len(MAGIC)) in (MAGIC, b"")
    except FileNotFoundError:
        return True
    except OSError:
        return False
