"""``.torrent`` files: created from a file, read, and stored without losing another torrent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from common.errors import DiskFull, FileFault, MetainfoError, SwarmError
from common.filenames import MAX_COMPONENT_BYTES, TORRENT_SUFFIX
from common.files import atomic_write
from common.logs import log
from common.metainfo import (
    MAX_TORRENT_BYTES,
    Metainfo,
    decode_metainfo,
)
from common.text import sanitize
from common.torrent_encoding import TorrentNotes
from node.content.atomic_rename import rename_exclusive
from node.content.hashing import BUFFER_LENGTH
from node.content.new_torrent import NewTorrent, OnProgress
from node.content.os_errors import NO_ROOM, check_plain, file_fault, write_fault

CREATED_BY = "classroom-swarm"


class TorrentFile:
    """A torrent and the file that it was read from, or written to."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.info = decode_torrent(path, data)

    @classmethod
    def read(cls, path: Path) -> TorrentFile:
        """FileFault if the file cannot be read; MetainfoError if it is no valid torrent."""
        return cls(Path(path), read_torrent_file(path))

    def keep_in(self, folder: Path) -> None:
        """Have a copy of the torrent in ``folder``, for a later run. A failure is only logged."""
        if self.path.parent.resolve() == folder.resolve():
            return
        try:
            self.path = store_torrent(self.data, folder, lambda path, present: False)
        except FileFault as fault:
            log(f"the torrent is not kept beside the file: {fault}")


def create_torrent(
    file_path: Path,
    output_path: Path,
    announce: str,
    on_progress: OnProgress | None = None,
    threads: int = 2,
    announce_list: Sequence[str] = (),
) -> Metainfo:
    """Hash ``file_path`` and write its torrent to ``output_path``, replacing an existing file.

    Each URL of ``announce_list`` is a tier. FileFault if the file cannot be read, changes meanwhile, or has a
    name that not every system can store; then nothing is written.
    """
    notes = TorrentNotes(announce, tuple((url,) for url in announce_list), created_by=CREATED_BY)
    data = NewTorrent.plan(file_path).encode(notes, threads, on_progress)
    write_torrent(Path(output_path), data)
    return decode_metainfo(data)


def parse_torrent_file(path: Path) -> Metainfo:
    """The torrent in the file ``path``. FileFault if it cannot be read; MetainfoError if it is invalid."""
    return decode_torrent(path, read_torrent_file(path))


def decode_torrent(path: Path, data: bytes) -> Metainfo:
    """The torrent ``data``, which was read from ``path``; MetainfoError names the file."""
    try:
        return decode_metainfo(data)
    except MetainfoError as error:
        raise MetainfoError(f"{sanitize(path)}: {error}{_hint(Path(path))}") from None


def read_torrent_file(path: Path) -> bytes:
    """The bytes of the torrent ``path``; FileFault if it cannot be read or is too large for a torrent."""
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
    return data


def store_torrent(data: bytes, folder: Path, may_replace: Callable[[Path, Metainfo], bool]) -> Path:
    """Write the torrent ``data`` to ``folder/NAME.torrent`` and return its path.

    An existing file is replaced only if it is a torrent with the same info hash, or a torrent that
    ``may_replace(path, metainfo)`` allows. Else the torrent is stored as NAME.2.torrent, NAME.3.torrent, ...
    FileFault, DiskFull if it cannot be written.
    """
    info = decode_metainfo(data)
    for number in count(1):
        path = folder / _torrent_name(info, number)
        if not os.path.lexists(path):
            if _write_new(path, data):
                return path
        elif _is_replaceable(path, info, may_replace):
            write_torrent(path, data)
            return path
    raise AssertionError("count() does not end")


def calculate_file_hash(file_path: Path) -> str:
    """SHA-1 of a whole file in 40 hexadecimal digits, for users to compare; FileFault if unreadable."""
    digest = hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(BUFFER_LENGTH))
    try:
        check_plain(Path(file_path))
        with open(file_path, "rb", buffering=0) as file:
            while size := file.readinto(buffer):
                digest.update(buffer[:size])
    except OSError as error:
        raise file_fault(Path(file_path), error) from None
    return digest.hexdigest()


def _hint(path: Path) -> str:
    """A question to the user, if the torrent of this file exists."""
    torrent = f"{path}{TORRENT_SUFFIX}"
    return f"; did you mean {sanitize(torrent)}?" if os.path.isfile(torrent) else ""


def _torrent_name(info: Metainfo, number: int) -> str:
    """The ``number``-th name to try, from 1."""
    if number == 1:
        return info.name + TORRENT_SUFFIX
    name = f"{info.name}.{number}{TORRENT_SUFFIX}"
    if len(name.encode("utf-8")) <= MAX_COMPONENT_BYTES:
        return name
    return f"{info.info_hash_hex}.{number}{TORRENT_SUFFIX}"


def _is_replaceable(path: Path, info: Metainfo, may_replace: Callable[[Path, Metainfo], bool]) -> bool:
    try:
        present = parse_torrent_file(path)
    except SwarmError:
        return False
    return present.info_hash == info.info_hash or may_replace(path, present)


def write_torrent(path: Path, data: bytes) -> None:
    """Write ``path`` atomically: readers see the old file or the new one. FileFault, DiskFull."""
    try:
        atomic_write(path, data)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _write_new(path: Path, data: bytes) -> bool:
    """Write ``path`` atomically; False if a file of that name appeared meanwhile."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        atomic_write(temporary, data)
        try:
            rename_exclusive(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot_write(path, error) from None
    return True


def _cannot_write(path: Path, error: OSError) -> FileFault:
    if error.errno in NO_ROOM:
        return DiskFull(f"no room left on {sanitize(path.parent)} for {sanitize(path.name)}")
    return write_fault(path, error)
