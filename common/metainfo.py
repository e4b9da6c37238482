"""What a ``.torrent`` says (BEP 3): a file's name, its size, its pieces' hashes and where to ask for it.

    d
      8:announce    the tracker's URL
      13:announce-list    more of them, in tiers that are tried one after the other (BEP 12)
      4:info        d  4:name  6:length  12:piece length  6:pieces  e     (a folder has 5:files for 6:length)
    e

The torrent's identity, the info hash, is the SHA-1 of the bytes of ``info`` exactly as they stand.
A torrent comes from anywhere: whatever parses here is safe to store under ``name`` and consistent in
itself; everything else is a MetainfoError.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from common import bencode
from common.errors import BencodeError, MetainfoError
from common.filenames import check_component, check_name
from common.geometry import Geometry

HASH_LENGTH = 20  # bytes of a SHA-1
MAX_TORRENT_BYTES = 64 << 20  # of a .torrent
MAX_SIZE = 1 << 53  # bytes of content; every integer up to here is exact in JSON and in JavaScript
MAX_PIECE_LENGTH = 1 << 29  # bytes; nobody makes larger ones, and a piece is the least that can be verified
MAX_PIECES = 1 << 21
MAX_PATH_DEPTH = 32  # components of one file's path
MAX_ANNOUNCE_BYTES = 2048
MAX_TRACKERS = 16  # of an announce-list that are looked at
MIN_CHOSEN_PIECE_LENGTH = 32 << 10
MAX_CHOSEN_PIECE_LENGTH = 16 << 20
_PIECES_WANTED = 2048

_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")


@dataclass(frozen=True)
class FileEntry:
    """One file: its path below the folder that the content is stored in, and its length in bytes."""

    path: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Metainfo:
    """A torrent that passed every check.

    ``files`` has one entry, ``(name,)``, or, for a folder, one for each file, ``(name, ..., file)``.
    ``raw_info`` are the original bytes that ``info_hash`` is the SHA-1 of. ``announce`` may be "";
    ``announce_list`` are the URLs of all tiers (BEP 12), one after the other.
    """

    name: str
    files: tuple[FileEntry, ...]
    piece_length: int
    pieces: bytes = field(repr=False)
    info_hash: bytes
    announce: str
    raw_info: bytes = field(repr=False)
    is_single_file: bool = True
    private: bool = False  # BEP 27: only the tracker may tell who else is there
    announce_list: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        """Bytes of content, all files together."""
        return sum(entry.length for entry in self.files)

    @cached_property
    def geometry(self) -> Geometry:
        """How the content divides into pieces."""
        return Geometry(self.size, self.piece_length)

    @property
    def trackers(self) -> tuple[str, ...]:
        """Every URL that is named, each once, ``announce`` first."""
        return tuple(dict.fromkeys(filter(None, (self.announce, *self.announce_list))))

    @property
    def info_hash_hex(self) -> str:
        """The info hash in 40 lower-case hexadecimal digits."""
        return self.info_hash.hex()

    def piece_hash(self, index: int) -> bytes:
        """The SHA-1 that piece ``index`` must have; IndexError if there is no such piece."""
        if not 0 <= index < len(self.pieces) // HASH_LENGTH:
            raise IndexError(f"piece {index} of {len(self.pieces) // HASH_LENGTH}")
        return self.pieces[index * HASH_LENGTH : (index + 1) * HASH_LENGTH]


def choose_piece_length(size: int) -> int:
    """The piece length for ``size`` bytes: a power of two that gives 1,024 to 2,047 pieces, if it can.

    Fewer pieces would make a mistake cost more to repair, more would make the torrent large. It stays
    between 32 KiB and 16 MiB, as with other tools: 1 GiB has pieces of 1 MiB.
    """
    piece_length = MIN_CHOSEN_PIECE_LENGTH
    while piece_length < MAX_CHOSEN_PIECE_LENGTH and size >= _PIECES_WANTED * piece_length:
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
    """The ``.torrent`` of a single file. ``creation_date`` is in seconds of Unix time.

    Each URL of ``announce_list`` is a tier of its own: clients ask them in this order. The result is not
    checked; ``decode_metainfo`` does that.
    """
    info: dict[bytes, bencode.Value] = {
        b"length": length,
        b"name": name.encode("utf-8"),
        b"piece length": piece_length,
        b"pieces": pieces,
    }
    torrent: dict[bytes, bencode.Value] = {b"info": info}
    if announce:
        torrent[b"announce"] = announce.encode("utf-8")
    if announce_list:
        torrent[b"announce-list"] = [[url.encode("utf-8")] for url in announce_list]
    if created_by:
        torrent[b"created by"] = created_by.encode("utf-8")
    if creation_date is not None:
        torrent[b"creation date"] = creation_date
    return bencode.encode(torrent)


def decode_metainfo(data: bytes) -> Metainfo:
    """The torrent in ``data``; MetainfoError, and nothing else, if it is not one that is safe and whole."""
    if len(data) > MAX_TORRENT_BYTES:
        raise MetainfoError(f"larger than a torrent may be ({MAX_TORRENT_BYTES} bytes)")
    try:
        torrent, spans = bencode.decode_with_spans(data)
    except BencodeError as error:
        raise MetainfoError(f"not a torrent: {error}") from None
    info = torrent.get(b"info")
    if not isinstance(info, dict):
        raise MetainfoError("not a torrent: no info dictionary")
    start, end = spans[b"info"]
    raw_info = data[start:end]
    listed = tuple(itertools.islice(_announce_list(torrent), MAX_TRACKERS))
    return replace(_checked_info(info, raw_info, _announce(torrent)), announce_list=listed)


def single_file_only(metainfo: Metainfo) -> Metainfo:
    """``metainfo``, if it is of a single file; MetainfoError otherwise."""
    if not metainfo.is_single_file:
        raise MetainfoError(
            f'torrent "{metainfo.name}" is of a folder; only torrents of one file are supported'
        )
    return metainfo


def _checked_info(info: Mapping[bytes, bencode.Value], raw_info: bytes, announce: str) -> Metainfo:
    if b"pieces" not in info and b"meta version" in info:
        raise MetainfoError("a torrent of version 2 only (BEP 52) is not supported")
    name = check_name(_text(info, b"name"))
    piece_length = _integer(info, b"piece length", 1, MAX_PIECE_LENGTH)
    files = _files(info, name)
    size = sum(entry.length for entry in files)
    if size > MAX_SIZE:
        raise MetainfoError(f"content of {size} bytes is more than {MAX_SIZE}")
    return Metainfo(
        name=name,
        files=files,
        piece_length=piece_length,
        pieces=_pieces(info, Geometry(size, piece_length).piece_count),
        info_hash=hashlib.sha1(raw_info, usedforsecurity=False).digest(),
        announce=announce,
        raw_info=raw_info,
        is_single_file=b"files" not in info,
        private=info.get(b"private") == 1,
    )


def _announce(torrent: Mapping[bytes, bencode.Value]) -> str:
    if b"announce" not in torrent:
        return ""
    announce = _text(torrent, b"announce")
    if len(announce) > MAX_ANNOUNCE_BYTES or _NOT_IN_A_URL.search(announce):
        raise MetainfoError("announce is not a URL")
    return announce


def _announce_list(torrent: Mapping[bytes, bencode.Value]) -> Iterator[str]:
    """The URLs of all tiers; what is none is passed over, as other clients do: nothing depends on it."""
    tiers = torrent.get(b"announce-list")
    for tier in tiers if isinstance(tiers, list) else ():
        for url in tier if isinstance(tier, list) else ():
            with contextlib.suppress(MetainfoError):
                if announce := _announce({b"announce": url}):
                    yield announce


def _files(info: Mapping[bytes, bencode.Value], name: str) -> tuple[FileEntry, ...]:
    if (b"length" in info) == (b"files" in info):
        raise MetainfoError("exactly one of length and files is wanted")
    if b"length" in info:
        return (FileEntry((name,), _integer(info, b"length", 0, MAX_SIZE)),)
    listed = info[b"files"]
    if not isinstance(listed, list) or not listed:
        raise MetainfoError("files is not a list of files")
    files = tuple(_file_entry(item, name) for item in listed)
    _check_distinct(files)
    return files


def _file_entry(item: bencode.Value, name: str) -> FileEntry:
    if not isinstance(item, dict):
        raise MetainfoError("an entry of files is not a dictionary")
    path = item.get(b"path")
    if not isinstance(path, list) or not 0 < len(path) < MAX_PATH_DEPTH:
        raise MetainfoError(f"path of a file is not a list of 1 to {MAX_PATH_DEPTH - 1} names")
    components = tuple(check_component(_as_text(component, "path of a file")) for component in path)
    return FileEntry((name, *components), _integer(item, b"length", 0, MAX_SIZE))


def _check_distinct(files: tuple[FileEntry, ...]) -> None:
    """MetainfoError if a path is there twice, or is also the folder of another."""
    paths = {entry.path for entry in files}
    folders = {entry.path[:depth] for entry in files for depth in range(1, len(entry.path))}
    if len(paths) != len(files) or paths & folders:
        raise MetainfoError("two files of one path")


def _pieces(info: Mapping[bytes, bencode.Value], count: int) -> bytes:
    pieces = _value(info, b"pieces")
    if not isinstance(pieces, bytes):
        raise MetainfoError("pieces is not a byte string")
    if count > MAX_PIECES:
        raise MetainfoError(f"{count} pieces are more than {MAX_PIECES}")
    if len(pieces) != count * HASH_LENGTH:
        raise MetainfoError(
            f"pieces has {len(pieces)} bytes, where {count} pieces take {count * HASH_LENGTH}"
        )
    return pieces


def _value(source: Mapping[bytes, bencode.Value], key: bytes) -> bencode.Value:
    if key not in source:
        raise MetainfoError(f"{key.decode()} is missing")
    return source[key]


def _integer(source: Mapping[bytes, bencode.Value], key: bytes, low: int, high: int) -> int:
    value = _value(source, key)
    if not isinstance(value, int):
        raise MetainfoError(f"{key.decode()} is not an integer")
    if not low <= value <= high:
        raise MetainfoError(f"{key.decode()} {value} is not from {low} to {high}")
    return value


def _text(source: Mapping[bytes, bencode.Value], key: bytes) -> str:
    return _as_text(_value(source, key), key.decode())


def _as_text(value: bencode.Value, what: str) -> str:
    if not isinstance(value, bytes):
        raise MetainfoError(f"{what} is not a byte string")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise MetainfoError(f"{what} is not UTF-8") from None
