"""The format of ``NAME.resume``, the record of verified pieces. Pure.

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
                    inode (8), time of change in ns (8), until when we may write, or 0 (8), 4 zeros,
                    CRC-32 of the entry (4)
    then    2 each  for every 8 pieces: their bits as in BEP 3, and the same bits inverted

All numbers are big-endian. A damaged entry is an unknown file; of damaged bits no piece is believed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from common.bitfield import Bitfield
from common.metainfo import Metainfo
from node.content.shared_file import Identity

WRITE_SECONDS = 0.01  # a write changes its file's time at its beginning: at most so long after it is recorded
FUTURE_SECONDS = 60.0  # a record that was begun later than now plus this is not believed
MAGIC = b"classroom-swarm resume 1"

_HEADER = struct.Struct(">24s20s16sQqII")
_CHECKSUM = struct.Struct(">I")
_ENTRY = struct.Struct(">Qqq4x")
CLEAN_AT = _HEADER.size + _CHECKSUM.size  # offset of the mark
_ENTRIES_AT = 96
_ENTRY_SIZE = _ENTRY.size + _CHECKSUM.size


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
    writing: int = 0  # ns of Unix time until which we may write, or 0

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
    """The content of a record. ``verified``: the pieces that were verified."""

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


def encode_record(
    info: Metainfo,
    boot: bytes,
    folder: int,
    begun: int,
    entries: Mapping[int, Entry],
    bits: bytes,
    clean: bool,
) -> Iterator[bytes]:
    """The bytes of a record. ``begun``: ns of Unix time; ``bits``: of ``encode_pieces``."""
    count = len(info.files) + 1
    header = _HEADER.pack(MAGIC, info.info_hash, boot, folder, begun, count, info.geometry.piece_count)
    yield (header + _CHECKSUM.pack(zlib.crc32(header)) + bytes([clean])).ljust(_ENTRIES_AT, b"\0")
    for file in range(count):
        yield encode_entry(entries.get(file, Entry()))
    yield bits


def decode_record(data: bytes, info: Metainfo, boot: bytes, folder: int, now: int) -> RecordedState | None:
    """The record of ``info`` in ``data``; None if there is no record, or no trustworthy one.

    ``boot``: of the system now; ``folder``: inode of the folder it is in; ``now``: ns of Unix time.
    """
    if len(data) != record_size(info) or not _is_believed(data, info, boot, folder, now):
        return None
    return RecordedState(_read_pieces(data, info), _read_entries(data, info))


def entry_at(file: int) -> int:
    """The offset of a file's entry."""
    return _ENTRIES_AT + _ENTRY_SIZE * file


def pieces_at(info: Metainfo) -> int:
    """The offset of the verified pieces."""
    return entry_at(len(info.files) + 1)


def encode_pieces(verified: Bitfield) -> bytes:
    """8 pieces a byte, each followed by the same bits inverted."""
    return bytes(byte for of_8 in verified.to_bytes() for byte in (of_8, of_8 ^ 0xFF))


def record_size(info: Metainfo) -> int:
    """Bytes of a record."""
    return _ENTRIES_AT + _ENTRY_SIZE * (len(info.files) + 1) + 2 * ((info.geometry.piece_count + 7) // 8)


def encode_entry(entry: Entry) -> bytes:
    """The bytes of an entry."""
    data = _ENTRY.pack(*entry)
    return data + _CHECKSUM.pack(zlib.crc32(data))


def _is_believed(data: bytes, info: Metainfo, boot: bytes, folder: int, now: int) -> bool:
    header = data[: _HEADER.size]
    if _CHECKSUM.unpack_from(data, _HEADER.size)[0] != zlib.crc32(header):
        return False
    magic, info_hash, its_boot, place, begun, entries, pieces = _HEADER.unpack(header)
    if (magic, info_hash, place) != (MAGIC, info.info_hash, folder):
        return False
    if (entries, pieces) != (len(info.files) + 1, info.geometry.piece_count):
        return False
    if begun > now + int(FUTURE_SECONDS * 1e9):
        return False
    return data[CLEAN_AT] == 1 or (boot == its_boot and any(boot))


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
