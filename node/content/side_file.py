"""``NAME.side``: bytes of boundary pieces that belong to files which the user did not select.

A piece may begin in a selected file and end in another one. It can be verified, and served, only as a whole.
So its bytes of files that are not selected are kept here instead of creating these files.

The file is a header and slots of one piece each, in the order in which they were first needed:

    offset  bytes
    0       24             "classroom-swarm side 1", padded with zeros
    24      20             the torrent's info hash
    44      4              zeros
    48+k·S  4              the piece in slot k plus 1, big-endian; 0: the slot is free
            4              CRC-32 of these 4 bytes
            piece length   bytes of the piece at their offsets in it; any bytes where none was written

S is the piece length plus 8. A slot whose checksum is wrong is free.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from pathlib import Path

from common.errors import FileFault
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.os_errors import check_plain, file_fault, write_fault
from node.content.positional_file import PositionalFile
from node.content.resume_record import WriteLog, logged_write

_MAGIC = b"classroom-swarm side 1".ljust(24, b"\0")
_HEADER = 48  # bytes
_SLOT = struct.Struct(">II")
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class SideFile:
    """The side file of ``info`` at ``path``, created with its first byte. Thread-safe."""

    def __init__(self, path: Path, info: Metainfo) -> None:
        """Read the slots of an existing file. FileFault if it is another torrent's, or no side file."""
        self.path = path
        self._info = info
        self._stride = _SLOT.size + info.piece_length
        self._count = info.geometry.piece_count
        self._entry = len(info.files)  # in the log
        self.log: WriteLog | None = None  # told of each write
        self._lock = threading.Lock()  # guards what follows
        self._file: PositionalFile | None = None
        self._slots: dict[int, int] = {}  # offset of a piece's bytes
        self._free: list[int] = []  # numbers of free slots
        self._used = 0  # slots in the file
        if os.path.lexists(path):
            self._open()

    def __contains__(self, piece: object) -> bool:
        """True if a byte of ``piece`` was written here."""
        return piece in self._slots

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset`` of the content on. FileFault.

        Zeros for a piece that is not here; any bytes where nothing was written of a piece that is here.
        """
        for piece, at, first, last in self._split(offset, len(buffer)):
            part, slot = buffer[first:last], self._slots.get(piece)
            done = 0
            if slot is not None and self._file is not None:
                try:
                    done = self._file.read_into(slot + at, part)
                except OSError as error:
                    raise file_fault(self.path, error) from None
            part[done:] = bytes(len(part) - done)

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data`` at ``offset`` of the content. DiskFull, FileFault."""
        try:
            for piece, at, first, last in self._split(offset, len(data)):
                slot = self._slots.get(piece) or self._take_slot(piece)
                assert self._file is not None
                logged_write(self.log, self._entry, self._file, slot + at, [data[first:last]])
        except OSError as error:
            raise write_fault(self.path, error) from None

    def status(self) -> os.stat_result | None:
        """The status of the file; None if there is none."""
        try:
            return self._file.status() if self._file is not None else None
        except OSError as error:
            raise file_fault(self.path, error) from None

    def release(self, piece: int) -> None:
        """The bytes of ``piece`` are not needed here any more."""
        with self._lock:
            slot = self._slots.pop(piece, None)
            if slot is None or self._file is None:
                return
            number = (slot - _HEADER) // self._stride
            try:
                self._log_write(self._at(number), bytes(_SLOT.size))
            except OSError as error:
                raise write_fault(self.path, error) from None
            self._free.append(number)

    def sync(self) -> None:
        """Return once all written bytes are on the disk. FileFault."""
        try:
            if self._file is not None:
                self._file.sync()
        except OSError as error:
            raise write_fault(self.path, error) from None

    def discard(self) -> None:
        """No byte here is needed any more: ``close`` deletes the file."""
        with self._lock:
            self._slots.clear()

    def close(self) -> None:
        """Close the file, and delete it if no slot is in use."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()
                if not self._slots:
                    with contextlib.suppress(OSError):
                        self.path.unlink()

    def _split(self, offset: int, length: int) -> list[tuple[int, int, int, int]]:
        """``(piece, offset in it, first, last)``: the bytes ``[first, last)`` of the range that it holds."""
        size, end, parts = self._info.piece_length, offset + length, []
        for piece in self._info.geometry.pieces_touched(offset, end):
            start, stop = max(offset, piece * size), min(end, (piece + 1) * size)
            parts.append((piece, start - piece * size, start - offset, stop - offset))
        return parts

    def _log_write(self, offset: int, data: bytes) -> None:
        assert self._file is not None
        logged_write(self.log, self._entry, self._file, offset, [data])

    def _at(self, number: int) -> int:
        return _HEADER + number * self._stride

    def _take_slot(self, piece: int) -> int:
        """The offset of a slot for ``piece``; OSError."""
        with self._lock:
            if piece in self._slots:
                return self._slots[piece]
            if self._file is None:
                number = os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
                self._file = PositionalFile(number)
                self._log_write(0, _MAGIC + self._info.info_hash + bytes(4))
            slot = self._free[-1] if self._free else self._used
            name = struct.pack(">I", piece + 1)
            at = self._at(slot)
            self._log_write(at, name + struct.pack(">I", zlib.crc32(name)))
            if self._free:
                self._free.pop()
            else:
                self._used += 1
            self._slots[piece] = at + _SLOT.size
            return at + _SLOT.size

    def _open(self) -> None:
        try:
            check_plain(self.path, follow=False)
            self._file = PositionalFile(os.open(self.path, _FLAGS))
            header = memoryview(bytearray(_HEADER))
            self._file.read_into(0, header)
            if bytes(header[:44]) != _MAGIC + self._info.info_hash:
                raise FileFault(f"{sanitize(self.path)} belongs to another torrent; move it away")
            size = self._file.status().st_size
            self._used = max(0, -(-(size - _HEADER) // self._stride))
            for number in range(self._used):
                self._read_slot(number)
        except OSError as error:
            raise file_fault(self.path, error) from None

    def _read_slot(self, number: int) -> None:
        assert self._file is not None
        head = memoryview(bytearray(_SLOT.size))
        self._file.read_into(self._at(number), head)
        name, checksum = _SLOT.unpack(head)
        piece = name - 1
        if checksum != zlib.crc32(head[:4]) or not 0 <= piece < self._count or piece in self._slots:
            self._free.append(number)
        else:
            self._slots[piece] = self._at(number) + _SLOT.size
