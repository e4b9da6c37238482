"""Which pieces of a torrent a file or folder on this disk holds. Nothing is changed."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import FileFault
from common.metainfo import Metainfo
from common.safe_paths import StoredPath
from common.text import sanitize
from common.torrent_files import FileEntry
from node.content.entry_names import is_one_name, names_on_disk
from node.content.local_files import LocalFile, LocalFiles
from node.content.new_torrent import OnProgress
from node.content.os_errors import file_fault
from node.content.piece_hashing import piece_hashes
from node.content.shared_file import identity_of

MAX_FILES_LOOKED_FOR = 1000  # files by which the folder of a torrent is recognised


@dataclass(frozen=True)
class VerifiedPieces:
    """The result. A piece is missing if a file that it needs is missing or too short, else right or wrong.

    ``absent``: the paths of such files in the torrent. ``longer``: those with bytes after their end.
    """

    right: int
    wrong: tuple[int, ...]
    missing: int
    absent: tuple[str, ...] = ()
    longer: tuple[str, ...] = ()

    @property
    def pieces(self) -> int:
        """All pieces of the torrent."""
        return self.right + len(self.wrong) + self.missing


def verify_path(
    info: Metainfo,
    path: Path,
    threads: int,
    on_progress: OnProgress | None = None,
    cancelled: threading.Event | None = None,
) -> VerifiedPieces:
    """Hash the content of ``info`` at ``path``: its file or folder, or the folder that this is in.

    FileFault if nothing is there, a file cannot be read, or changes meanwhile, or once ``cancelled`` is set.
    """
    found = _FoundFiles(info, content_root(info, Path(path)))
    present = [index for index, is_missing in enumerate(found.missing) if not is_missing]
    size = sum(info.geometry.piece_length_of(index) for index in present)
    wrong, done, count = [], 0, 0
    content = LocalFiles(found.files)
    try:
        for index, digest in piece_hashes(content.read_into, info.geometry, threads, present, cancelled):
            if digest != info.piece_hash(index):
                wrong.append(index)
            count += 1
            done += info.geometry.piece_length_of(index)
            if on_progress is not None:
                on_progress(done, size)
        content.check_unchanged()
    finally:
        content.close()
    if count < len(present):
        raise FileFault("interrupted while hashing")
    missing = info.geometry.piece_count - len(present)
    return VerifiedPieces(count - len(wrong), tuple(wrong), missing, tuple(found.absent), tuple(found.longer))


def content_root(info: Metainfo, path: Path) -> Path:
    """The torrent's file or folder: ``path``, or the one of the torrent's name in the folder ``path``."""
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError):
            raise FileFault(f"{sanitize(path)}: no file can have this name") from None
        raise file_fault(path, error) from None
    if info.is_single_file:
        return _named_file(info, path) if is_folder else path
    if not is_folder:
        raise FileFault(f"{sanitize(path)} is a file; the torrent describes a folder")
    for folder in _candidates(info, path):
        if any(_path_of(folder, entry).is_file() for entry in info.stored_files[:MAX_FILES_LOOKED_FOR]):
            return folder
    return path


def _named_file(info: Metainfo, folder: Path) -> Path:
    """The one file of the torrent, under its safe name, or under the name in the torrent."""
    raw = _raw_folder_name(info.files)
    if raw and is_one_name(raw) and not (folder / info.name).is_file() and (folder / raw).is_file():
        return folder / raw
    return folder / info.name


def _candidates(info: Metainfo, path: Path) -> Iterator[Path]:
    yield path
    yield path / info.name
    raw = _raw_folder_name(info.files)
    if raw and is_one_name(raw):
        yield path / raw


def _raw_folder_name(files: Iterable[FileEntry]) -> str:
    return next((entry.renamed_from[0] for entry in files if entry.renamed_from), "")


class _FoundFiles:
    """The files of a torrent as they are on disk, and the pieces that they cannot have."""

    def __init__(self, info: Metainfo, root: Path) -> None:
        self.files: list[LocalFile] = []
        self.missing = bytearray(info.geometry.piece_count)  # 1 for each missing piece
        self.absent: list[str] = []
        self.longer: list[str] = []
        self._geometry = info.geometry
        start = 0
        for entry in info.files:
            if entry.padding:
                self.files.append(LocalFile(entry.length))
            else:
                self._add(entry, root if info.is_single_file else _path_of(root, entry), start)
            start += entry.length

    def _add(self, entry: FileEntry, path: Path, start: int) -> None:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        except OSError as error:
            raise file_fault(path, error) from None
        if status is None or not stat.S_ISREG(status.st_mode):
            self._lose(entry, start, 0)
            self.files.append(LocalFile(entry.length))
            return
        if status.st_size < entry.length:
            self._lose(entry, start, status.st_size)
        elif status.st_size > entry.length:
            self.longer.append(_shown(entry.path))
        self.files.append(LocalFile(entry.length, path, identity_of(status)))

    def _lose(self, entry: FileEntry, start: int, size: int) -> None:
        """The file has only ``size`` bytes."""
        self.absent.append(_shown(entry.path))
        lost = self._geometry.pieces_touched(start + size, start + entry.length)
        self.missing[lost.start : lost.stop] = b"\1" * len(lost)


def _path_of(folder: Path, entry: FileEntry) -> Path:
    return folder.joinpath(*names_on_disk(folder, entry))


def _shown(path: StoredPath) -> str:
    return "/".join(path)
