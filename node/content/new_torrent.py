"""A torrent made of a file or folder on this disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.errors import FileFault, MetainfoError
from common.filenames import check_name
from common.geometry import Geometry
from common.metainfo import MAX_PIECES, choose_piece_length
from common.safe_paths import StoredPath, safe_paths
from common.text import sanitize
from common.torrent_encoding import TorrentNotes, encode_folder, encode_single_file
from node.content.folder_scan import scan_folder
from node.content.local_files import LocalFile, LocalFiles
from node.content.piece_hashing import hash_pieces
from node.content.shared_file import SharedFile

OnProgress = Callable[[int, int], None]  # bytes done, bytes in all; called on the hashing caller's thread


@dataclass(frozen=True)
class NewTorrent:
    """The files of a torrent that is to be made. ``listed``: paths and lengths; None for a single file."""

    name: str
    files: tuple[LocalFile, ...]
    listed: tuple[tuple[StoredPath, int], ...] | None
    geometry: Geometry

    @classmethod
    def plan(cls, path: Path, piece_length: int | None = None, follow_links: bool = True) -> NewTorrent:
        """Look at the file or folder ``path``; nothing is read yet. ``piece_length`` None: by the size.

        Without ``follow_links`` a link inside the folder is an error: peers are served only plain files.
        FileFault if it cannot be read, or cannot be a torrent that every system can store.
        """
        path = Path(path)
        name = path.name or path.resolve().name
        if path.is_dir():
            found = scan_folder(path, follow_links)
            _check(path, lambda: safe_paths([(name, *file.names) for file in found]))
            files = tuple(LocalFile(file.length, file.path, file.identity) for file in found)
            listed = tuple((file.names, file.length) for file in found)
        else:
            _check(path, lambda: check_name(name))
            with_size = SharedFile.open(path)
            with_size.close()
            files, listed = (LocalFile(with_size.size, path, with_size.identity),), None
        size = sum(file.length for file in files)
        geometry = Geometry(size, piece_length or choose_piece_length(size))
        check_piece_count(path, geometry)
        return cls(name, files, listed, geometry)

    def encode(
        self,
        notes: TorrentNotes,
        threads: int,
        on_progress: OnProgress | None = None,
        cancelled: threading.Event | None = None,
    ) -> bytes:
        """Hash the files; the bytes of the torrent. The same files and notes always give the same bytes.

        FileFault if a file cannot be read or changes meanwhile, or once ``cancelled`` is set.
        """
        content = LocalFiles(self.files)
        try:
            pieces = hash_pieces(content.read_into, self.geometry, threads, on_progress, cancelled)
            content.check_unchanged()
        finally:
            content.close()
        if self.listed is None:
            length = self.geometry.size
            return encode_single_file(self.name, length, self.geometry.piece_length, pieces, notes)
        return encode_folder(self.name, self.listed, self.geometry.piece_length, pieces, notes)


def check_piece_count(path: Path, geometry: Geometry) -> None:
    """FileFault if a torrent of ``path`` would have too many pieces."""
    if geometry.piece_count > MAX_PIECES:
        raise FileFault(
            f"{sanitize(path)} is too large for a torrent with pieces of {geometry.piece_length} bytes: "
            f"{geometry.piece_count} pieces, and {MAX_PIECES} are allowed"
        )


def _check(path: Path, call: Callable[[], object]) -> None:
    try:
        call()
    except MetainfoError as error:
        raise FileFault(f"{sanitize(path)} cannot be shared: {error}") from None
