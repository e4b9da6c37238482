"""The content of a ``.torrent`` file (BEP 3).

    d
      8:announce         the tracker's URL
      13:announce-list   lists of URLs, one list per tier; clients try the tiers in order (BEP 12)
      4:info             d  4:name  6:length  12:piece length  6:pieces  e    (a folder: 5:files, no 6:length)
    e

The info hash is the SHA-1 of the bytes of ``info`` as they stand in the file. It is the torrent's identity.

A torrent may come from anyone. ``decode_metainfo`` accepts a torrent only if its names are safe to store
on every system and its fields are consistent. It raises MetainfoError otherwise.

Inside ``info`` the bencoding must be strict, because these bytes are hashed. Outside, other clients accept
more, and nothing there decides what is downloaded. So keys out of order, line breaks after the end and
trackers that are not URLs are accepted; each adds a line to ``Metainfo.warnings``.

Some old programs write ``name`` and ``path`` in a local encoding, and the same text in UTF-8 under
``name.utf-8`` and ``path.utf-8``. The UTF-8 text is used where it is present.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from common import bencode
from common.errors import BencodeError, MetainfoError
from common.geometry import Geometry
from common.safe_paths import safe_name
from common.torrent_encoding import TorrentNotes, encode_single_file
from common.torrent_fields import as_name, read_integer, read_note, read_value, utf8_key
from common.torrent_files import MAX_SIZE, FileEntry, read_folder, read_single_file
from common.tracker_tiers import Tiers, read_announce, read_tiers

HASH_LENGTH = 20  # bytes of a SHA-1
MAX_TORRENT_BYTES = 64 << 20  # size of a .torrent file
MAX_PIECE_LENGTH = 1 << 29  # bytes; a piece is the smallest unit that can be verified
MAX_PIECES = 1 << 21  # pieces of a torrent
MIN_CHOSEN_PIECE_LENGTH = 32 << 10  # bytes
MAX_CHOSEN_PIECE_LENGTH = 16 << 20  # bytes
_MAX_CHOSEN_PIECES = 2048

_LINE_BREAKS = b"\r\n \t\0"  # editors and downloads put these after the end


@dataclass(frozen=True)
class Metainfo:
    """A torrent that passed every check.

    ``files``: one entry with the path ``(name,)``, or for a folder one per file, ``(name, ..., file)``. All
    paths are safe and distinct on every system; ``common/safe_paths.py`` renames those of a folder.
    ``raw_info``: the original bytes of ``info``, whose SHA-1 is ``info_hash``. ``announce`` is "" if the
    torrent names no tracker there. ``tiers``: the trackers as BEP 12 wants them used. ``comment`` and
    ``created_by`` are "" and ``creation_date`` (seconds of Unix time) is None if the torrent has none.
    ``warnings``: accepted deviations from BEP 3, renamed files, links left out; a line each, for people.
    """

    name: str
    files: tuple[FileEntry, ...]
    piece_length: int
    pieces: bytes = field(repr=False)
    info_hash: bytes
    announce: str
    raw_info: bytes = field(repr=False)
    is_single_file: bool = True
    private: bool = False  # BEP 27: peers come only from the torrent's own trackers
    tiers: Tiers = ()
    comment: str = ""
    created_by: str = ""
    creation_date: int | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        """Bytes of content in all files."""
        return sum(entry.length for entry in self.files)

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry(self.size, self.piece_length)

    @property
    def stored_files(self) -> tuple[FileEntry, ...]:
        """The files that are on disk: ``files`` without padding."""
        return tuple(entry for entry in self.files if not entry.padding)

    @property
    def announce_list(self) -> tuple[str, ...]:
        """The URLs of all tiers, in order."""
        return tuple(url for tier in self.tiers for url in tier)

    @property
    def trackers(self) -> tuple[str, ...]:
        """The URLs of all trackers, each once, ``announce`` first."""
        return tuple(dict.fromkeys(filter(None, (self.announce, *self.announce_list))))

    @property
    def info_hash_hex(self) -> str:
        """The info hash in 40 lower-case hexadecimal digits."""
        return self.info_hash.hex()

    def piece_hash(self, index: int) -> bytes:
        """The expected SHA-1 of piece ``index``; IndexError if there is no such piece."""
        if not 0 <= index < len(self.pieces) // HASH_LENGTH:
            raise IndexError(f"piece {index} of {len(self.pieces) // HASH_LENGTH}")
        return self.pieces[index * HASH_LENGTH : (index + 1) * HASH_LENGTH]


def choose_piece_length(size: int) -> int:
    """The piece length for ``size`` bytes: a power of two from 32 KiB to 16 MiB.

    If these bounds allow it, the content has 1,024 to 2,047 pieces: 1 GiB has pieces of 1 MiB. With fewer
    pieces a wrong byte costs more to repair. With more pieces the torrent grows large.
    """
    piece_length = MIN_CHOSEN_PIECE_LENGTH
    while piece_length < MAX_CHOSEN_PIECE_LENGTH and size >= _MAX_CHOSEN_PIECES * piece_length:
        piece_length *= 2
    return piece_length


def encode_metainfo(
    name: str,
    length: int,
    piece_length: int,
    pieces: bytes,
    announce: str,
    created_by: str = "",
    creation_date: int | None = None,
    announce_list: Sequence[str] = (),
) -> bytes:
    """The bytes of a ``.torrent`` for a single file. ``creation_date``: seconds of Unix time.

    Each URL of ``announce_list`` becomes a tier, so clients ask the URLs in this order. The result is not
    checked; ``decode_metainfo`` checks it.
    """
    tiers = tuple((url,) for url in announce_list)
    notes = TorrentNotes(announce, tiers, created_by=created_by, creation_date=creation_date)
    return encode_single_file(name, length, piece_length, pieces, notes)


def decode_metainfo(data: bytes) -> Metainfo:
    """The torrent that ``data`` encodes. MetainfoError if it is not safe, whole and consistent."""
    if len(data) > MAX_TORRENT_BYTES:
        raise MetainfoError(f"larger than a torrent may be ({MAX_TORRENT_BYTES} bytes)")
    try:
        torrent, spans, unsorted, end = bencode.decode_with_spans(data)
    except BencodeError as error:
        text = str(error)
        if text.startswith(bencode.TRUNCATED):
            raise MetainfoError(f"the file is cut off{text.removeprefix(bencode.TRUNCATED)}") from None
        raise MetainfoError(f"not a torrent: {text}") from None
    info = torrent.get(b"info")
    if not isinstance(info, dict):
        raise MetainfoError("not a torrent: no info dictionary")
    info_start, info_end = spans[b"info"]
    warnings = _check_encoding(data[end:], end, unsorted, range(info_start, info_end))
    announce = read_announce(torrent, warnings)
    metainfo = _checked_info(info, data[info_start:info_end])
    return replace(
        metainfo,
        announce=announce,
        tiers=read_tiers(torrent) or (((announce,),) if announce else ()),
        comment=read_note(torrent, b"comment"),
        created_by=read_note(torrent, b"created by"),
        creation_date=_creation_date(torrent),
        warnings=(*warnings, *metainfo.warnings),
    )


def decode_info(raw_info: bytes, tiers: Tiers = ()) -> Metainfo:
    """The torrent whose ``info`` has the bytes ``raw_info``: metadata from peers (BEP 9).

    ``tiers``: trackers from a magnet link. The caller compares the info hash. MetainfoError as
    ``decode_metainfo`` raises it.
    """
    if len(raw_info) > MAX_TORRENT_BYTES:
        raise MetainfoError(f"larger than a torrent may be ({MAX_TORRENT_BYTES} bytes)")
    try:
        info = bencode.decode(raw_info)
    except BencodeError as error:
        raise MetainfoError(f"not the metadata of a torrent: {error}") from None
    if not isinstance(info, dict):
        raise MetainfoError("not the metadata of a torrent: no dictionary")
    announce = next((url for tier in tiers for url in tier), "")
    return replace(_checked_info(info, raw_info), announce=announce, tiers=tiers)


def _check_encoding(rest: bytes, end: int, unsorted: Sequence[int], info: range) -> list[str]:
    """Warnings about the bencoding outside ``info``; MetainfoError if the deviation is not harmless."""
    warnings = []
    if rest.strip(_LINE_BREAKS):
        raise MetainfoError(f"not a torrent: bytes after the end of the value at offset {end}")
    if rest:
        warnings.append("line breaks or blanks after the end of the torrent")
    for offset in unsorted:
        if offset in info:
            raise MetainfoError(f"not a torrent: dictionary key out of order at offset {offset}, inside info")
    if unsorted:
        warnings.append("keys outside info are not in order")
    return warnings


def _checked_info(info: Mapping[bytes, bencode.Value], raw_info: bytes) -> Metainfo:
    if b"pieces" not in info and b"meta version" in info:
        raise MetainfoError("a torrent of version 2 only (BEP 52) is not supported")
    raw_name = as_name(read_value(info, utf8_key(info, b"name")), "name")
    if (b"length" in info) == (b"files" in info):
        raise MetainfoError("exactly one of length and files is needed")
    piece_length = read_integer(info, b"piece length", 1, MAX_PIECE_LENGTH)
    warnings: list[str] = []
    read_files = read_single_file if b"length" in info else read_folder
    name, files = safe_name(raw_name), read_files(info, raw_name, warnings)
    size = sum(entry.length for entry in files)
    if size > MAX_SIZE:
        raise MetainfoError(f"content of {size} bytes is more than {MAX_SIZE}")
    return Metainfo(
        name=name,
        files=files,
        piece_length=piece_length,
        pieces=_pieces(info, Geometry(size, piece_length).piece_count),
        info_hash=hashlib.sha1(raw_info, usedforsecurity=False).digest(),
        announce="",
        raw_info=raw_info,
        is_single_file=b"files" not in info,
        private=info.get(b"private") not in (None, 0),
        warnings=tuple(warnings),
    )


def _creation_date(torrent: Mapping[bytes, bencode.Value]) -> int | None:
    value = torrent.get(b"creation date")
    return value if isinstance(value, int) and 0 <= value <= MAX_SIZE else None


def _pieces(info: Mapping[bytes, bencode.Value], count: int) -> bytes:
    pieces = read_value(info, b"pieces")
    if not isinstance(pieces, bytes):
        raise MetainfoError("pieces is not a byte string")
    if count > MAX_PIECES:
        raise MetainfoError(f"{count} pieces are more than {MAX_PIECES}")
    if len(pieces) != count * HASH_LENGTH:
        raise MetainfoError(
            f"pieces has {len(pieces)} bytes, where {count} pieces take {count * HASH_LENGTH}"
        )
    return pieces
