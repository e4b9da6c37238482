"""Torrents as files: making one of a file, and reading one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import DiskFull, FileFault, MetainfoError
from common.filenames import check_name
from common.files import atomic_write
from common.geometry import Geometry
from common.metainfo import (
    HASH_LENGTH,
    MAX_PIECES,
    MAX_TORRENT_BYTES,
    Metainfo,
    choose_piece_length,
    decode_metainfo,
    encode_metainfo,
)
from common.text import sanitize
from node.content.hashing import BUFFER_LENGTH, piece_hashes
from node.content.os_errors import NO_ROOM, check_plain, file_fault, write_fault
from node.content.shared_file import SharedFile

CREATED_BY = "classroom-swarm"


def create_torrent(
    file_path: Path,
    output_path: Path,
    announce: str,
    on_progress: Callable[[int, int], None] | None = None,
    threads: int = 2,
    announce_list: Sequence[str] = (),
) -> Metainfo:
    """Hash ``file_path`` and write its torrent to ``output_path``, replacing what is there.

    The same file and the same URLs always give the same bytes. ``on_progress(bytes done, size)`` is called
    after each piece, on the calling thread. Raises FileFault, with nothing written, if the file cannot be
    read, changes meanwhile, or has a name that not every system can store.
    """
    file_path, output_path = Path(file_path), Path(output_path)
    shared = SharedFile.open(file_path)
    try:
        try:
            check_name(file_path.name)
        except MetainfoError as error:
            raise FileFault(f"{sanitize(file_path)} cannot be shared: {error}") from None
        geometry = Geometry(shared.size, choose_piece_length(shared.size))
        pieces = _hash_pieces(shared, geometry, on_progress, threads)
        shared.check_unchanged()
    finally:
        shared.close()
    torrent = encode_metainfo(
        file_path.name,
        geometry.size,
        geometry.piece_length,
        pieces,
        announce,
        CREATED_BY,
        announce_list=announce_list,
    )
    metainfo = decode_metainfo(torrent)  # what we write is what everybody else's checks accept
    _replace_file(output_path, torrent)
    return metainfo


def parse_torrent_file(path: Path) -> Metainfo:
    """The torrent in the file ``path``. FileFault: it cannot be read; MetainfoError: it is not a good one."""
    path = Path(path)
    try:
        check_plain(path)
        with open(path, "rb") as file:
            data = file.read(MAX_TORRENT_BYTES + 1)
    except OSError as error:
        raise file_fault(path, error) from None
    if len(data) > MAX_TORRENT_BYTES:
        raise FileFault(
            f"{sanitize(path)} is larger than a torrent may be ({MAX_TORRENT_BYTES} bytes){_hint(path)}"
        )
    try:
        return decode_metainfo(data)
    except MetainfoError as error:
        raise MetainfoError(f"{sanitize(path)}: {error}{_hint(path)}") from None


def _hint(path: Path) -> str:
    """What was meant, if somebody named a file instead of the torrent beside it."""
    torrent = f"{path}.torrent"
    return f"; did you mean {sanitize(torrent)}?" if os.path.isfile(torrent) else ""


def calculate_file_hash(file_path: Path) -> str:
    """SHA-1 of a whole file in 40 hexadecimal digits, for people to compare; FileFault if unreadable."""
    digest = hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(BUFFER_LENGTH))
    try:
        check_plain(Path(file_path))
        with open(file_path, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        raise file_fault(Path(file_path), error) from None
    return digest.hexdigest()


def _hash_pieces(
    shared: SharedFile, geometry: Geometry, on_progress: Callable[[int, int], None] | None, threads: int
) -> bytes:
    if geometry.piece_count > MAX_PIECES:
        raise FileFault(f"{sanitize(shared.path)} is too large for a torrent")
    pieces = bytearray(geometry.piece_count * HASH_LENGTH)
    done = 0
    for index, digest in piece_hashes(shared.read_into, geometry, threads):
        pieces[index * HASH_LENGTH : (index + 1) * HASH_LENGTH] = digest
        done += geometry.piece_length_of(index)
        if on_progress is not None:
            on_progress(done, geometry.size)
    return bytes(pieces)


def _replace_file(path: Path, content: bytes) -> None:
    """Write ``path`` atomically: readers see the old file or the new one."""
    try:
        atomic_write(path, content)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFull(f"no room left on {sanitize(path.parent)} for {sanitize(path.name)}") from None
        raise write_fault(path, path.name, error) from None
