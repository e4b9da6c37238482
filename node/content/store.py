"""A torrent's content on disk, from the first byte that a download writes to the file that peers fetch.

    missing ──open_part──▶ unfinished (NAME.part) ──finish──▶ finished (NAME)
       └───────────────────────adopt (a file that is complete already)──▲

No content is held in memory. A reader does not notice when an unfinished content is finished: a read that
meets the closed part file is repeated on the finished file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import FileFault
from common.filenames import PART_SUFFIX
from common.metainfo import Metainfo, single_file_only
from common.text import sanitize
from node.content.lookalike import find_lookalike
from node.content.part_file import PartFile
from node.content.positional_file import Buffer
from node.content.shared_file import Identity, OpenFiles, SharedFile, check_identity
from node.transport import StreamSocket


class ContentStore:
    """The content of ``info`` in ``folder``, and which of its pieces are verified. Implements Content.

    ``open_files`` is shared by all contents of a node. MetainfoError for a torrent of a folder: its bytes
    would be in several files (``node.content.layout``).
    """

    def __init__(self, info: Metainfo, folder: Path, open_files: OpenFiles) -> None:
        single_file_only(info)
        self.info = info
        final_path = Path(folder) / info.name
        self.final_path = find_lookalike(final_path) or final_path
        self._open_files = open_files
        self._finishing = threading.Lock()  # held while the part file is renamed
        self._lock = threading.Lock()  # guards what follows
        self._part: PartFile | None = None
        self._identity: Identity | None = None  # of the finished file
        self._verified = Bitfield(info.geometry.piece_count)
        self._have = self._verified.copy()

    @property
    def path(self) -> Path:
        """The file that holds the content at present."""
        if self.is_finished:
            return self.final_path
        return self.final_path.with_name(self.final_path.name + PART_SUFFIX)

    @property
    def is_finished(self) -> bool:
        """True if the content is complete and has its final name."""
        return self._identity is not None

    @property
    def have(self) -> Bitfield:
        """The verified pieces. A snapshot: replaced when a piece is verified, never changed."""
        if self._have.count != self._verified.count:
            with self._lock:
                self._have = self._verified.copy()
        return self._have

    def set_verified(self, pieces: Bitfield) -> None:
        """Replace the verified pieces."""
        with self._lock:
            self._verified = pieces.copy()
            self._have = pieces.copy()

    def mark_verified(self, piece: int) -> None:
        """One more piece is verified. Ignored after ``close``: a hashing thread may come late."""
        with self._lock:
            if self._part is not None:
                self._verified.set(piece)

    # ---- unfinished

    def open_part(self) -> PartFile:
        """Open NAME.part, created if missing, with no piece verified. Raises as ``PartFile.open``."""
        part = PartFile.open(self.final_path.parent, self.info)
        with self._lock:
            self._part = part
        self.set_verified(Bitfield(self.info.geometry.piece_count))
        return part

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on. DiskFull, FileFault; ValueError outside."""
        self._unfinished().write(offset, buffers)

    def finish(self) -> Path:
        """Sync to disk and rename NAME.part to NAME, once every piece is verified. Returns NAME's path.

        FileFault, with NAME.part kept, if that fails.
        """
        part = self._unfinished()
        with self._finishing:
            part.finish()
            self.set_verified(Bitfield.full(self.info.geometry.piece_count))
            with self._lock:
                self._identity = part.identity
                self._part = None
        return self.final_path

    def close(self) -> None:
        """Close an unfinished file. NAME.part stays, and its pieces are not served any more."""
        with self._lock:
            part, self._part = self._part, None
        if part is not None:
            self.set_verified(Bitfield(self.info.geometry.piece_count))
            part.close()

    # ---- finished

    def adopt(self, file: SharedFile) -> None:
        """``file``, verified since it was opened, is the content. Closes it; FileFault if it changed."""
        try:
            file.check_unchanged()
        finally:
            file.close()
        with self._lock:
            self.final_path = file.path
            self._identity = file.identity
        self.set_verified(Bitfield.full(self.info.geometry.piece_count))

    def check_unchanged(self) -> None:
        """FileFault if the finished file is not the one that was verified."""
        identity = self._identity
        if identity is not None:
            check_identity(self.final_path, identity)

    # ---- both

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset`` on. FileFault, TransientFileFault; ValueError outside."""
        self._read(lambda file: file.read_into(offset, buffer))

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send verified bytes to a connected socket, as ``ServedTorrent.send_to``. ValueError outside."""
        have = self._verified
        for piece in self.info.geometry.pieces_touched(offset, offset + length):
            if piece not in have:
                raise FileFault(f"{sanitize(self.path)}: piece {piece} is not verified")
        return self._read(lambda file: file.send_to(sock, offset, length))

    def _read(self, call: Callable[[PartFile | SharedFile], int]) -> int:
        """``call`` with the file that has the content; called again if that file was just finished."""
        part = self._part
        if part is not None:
            try:
                return call(part)
            except FileFault:
                if not part.closed:
                    raise
                with self._finishing:  # for the moment between closing the part and knowing its new name
                    if not self.is_finished:
                        raise
        identity = self._identity
        if identity is None:
            raise FileFault(f"{sanitize(self.path)} is closed")
        return call(self._open_files.get(self.final_path, identity))

    def _unfinished(self) -> PartFile:
        part = self._part
        if part is None:
            raise FileFault(f"{sanitize(self.path)} is closed")
        return part
