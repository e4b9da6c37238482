"""Writing ``.torrent`` files (BEP 3, 12, 27). Pure.

The info hash covers ``info`` alone: name, files, piece length, pieces and ``private``. So the same files and
piece length give the same info hash with every program that sorts the files as this one does, whatever the
trackers, comment and date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common import bencode
from common.safe_paths import StoredPath
from common.tracker_tiers import Tiers


@dataclass(frozen=True)
class TorrentNotes:
    """Everything of a torrent that does not come from its files.

    ``announce`` is "" and ``tiers`` are empty for none. ``creation_date``: seconds of Unix time.
    """

    announce: str = ""
    tiers: Tiers = ()
    private: bool = False
    comment: str = ""
    created_by: str = ""
    creation_date: int | None = None


def encode_single_file(
    name: str, length: int, piece_length: int, pieces: bytes, notes: TorrentNotes
) -> bytes:
    """The torrent of one file. The result is not checked; ``decode_metainfo`` checks it."""
    return _encode({b"length": length}, name, piece_length, pieces, notes)


def encode_folder(
    name: str,
    files: Sequence[tuple[StoredPath, int]],
    piece_length: int,
    pieces: bytes,
    notes: TorrentNotes,
) -> bytes:
    """The torrent of a folder: its files' paths below it, and their lengths, in the order of the content."""
    entries: list[bencode.Value] = [
        {b"length": length, b"path": [encode_name(part) for part in path]} for path, length in files
    ]
    return _encode({b"files": entries}, name, piece_length, pieces, notes)


def encode_name(name: str) -> bytes:
    """UTF-8; bytes that are not UTF-8 on disk stay as they are. UnicodeEncodeError: half a character."""
    return name.encode("utf-8", "surrogateescape")


def _encode(
    content: dict[bytes, bencode.Value], name: str, piece_length: int, pieces: bytes, notes: TorrentNotes
) -> bytes:
    info: dict[bytes, bencode.Value] = {
        **content,
        b"name": encode_name(name),
        b"piece length": piece_length,
        b"pieces": pieces,
    }
    if notes.private:
        info[b"private"] = 1
    torrent: dict[bytes, bencode.Value] = {b"info": info}
    for key, text in (
        (b"announce", notes.announce),
        (b"comment", notes.comment),
        (b"created by", notes.created_by),
    ):
        if text:
            torrent[key] = text.encode("utf-8")
    if notes.tiers:
        torrent[b"announce-list"] = [[url.encode("utf-8") for url in tier] for tier in notes.tiers]
    if notes.creation_date is not None:
        torrent[b"creation date"] = notes.creation_date
    return bencode.encode(torrent)
