"""A torrent's content on disk, from the first byte that a download writes to the files that peers fetch.

    missing ──open_part──▶ unfinished (NAME.part) ──finish──▶ finished (NAME)
       └──────────────────adopt (files that are complete already)──▲

NAME is a file, or the folder of a torrent of several files. If the user selected some of these files,
``finish`` moves these to NAME, and the content stays unfinished: the verified pieces are served, and more
files can be selected later.

No content is held in memory. A reader does not notice when an unfinished content is finished: a read that
meets the closed part file is repeated on the finished file.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import FileFault
from common.filenames import PART_SUFFIX, RESUME_SUFFIX
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.finished_files import FinishedFiles
from node.content.folder_finish import finish_folder
from node.content.lookalike import find_lookalike
from node.content.part_file import PartFile
from node.content.part_folder import PartFolder, Place
from node.content.positional_file import Buffer
from node.content.resume_format import Stored
from node.content.resume_record import ResumeRecord, read_record
from node.content.selection import select, size_of, verified_size_of, wanted_pieces
from node.content.shared_file import OpenFiles, SharedFile
from node.transport import SentBlock, StreamSocket


class ContentStore:
    """The content of ``info`` in ``folder``, and which of its pieces are verified. Implements Content.

    ``open_files`` is shared by all contents of a node.
    """

    def __init__(self, info: Metainfo, folder: Path, open_files: OpenFiles) -> None:
        self.info = info
        final_path = Path(folder) / info.name
        self.final_path = find_lookalike(final_path) or final_path
        self.selected = select(info, None)  # indexes of files
        self.wanted = wanted_pieces(info, self.selected)
        self.trusted = Bitfield(info.geometry.piece_count)  # after ``open_part``: verified by an earlier run
        self._open_files = open_files
        self._record = ResumeRecord(self.final_path.with_name(info.name + RESUME_SUFFIX), info)
        self._finishing = threading.Lock()  # held while the part file is renamed
        self._lock = threading.Lock()  # guards what follows
        self._part: PartFile | PartFolder | None = None
        self._finished: FinishedFiles | None = None
        self._verified = Bitfield(info.geometry.piece_count)
        self._have = self._verified.copy()

    @property
    def path(self) -> Path:
        """The file or folder that holds the content at present."""
        if self.is_finished:
            return self.final_path
        return self.final_path.with_name(self.final_path.name + PART_SUFFIX)

    @property
    def is_finished(self) -> bool:
        """True if the content is complete and has its final name."""
        return self._finished is not None

    @property
    def is_satisfied(self) -> bool:
        """True if all selected files are complete and have their final names."""
        part = self._part
        if isinstance(part, PartFolder):
            return all(part.places[file] is Place.FINAL for file in self.selected) and self.has_wanted
        return self.is_finished

    @property
    def wanted_size(self) -> int:
        """Bytes of all wanted pieces."""
        geometry = self.info.geometry
        return geometry.size if self.wanted.all() else sum(map(geometry.piece_length_of, self.wanted))

    @property
    def selected_size(self) -> int:
        """Bytes of the selected files: the size that a user reads."""
        return size_of(self.info, self.selected)

    @property
    def selected_verified(self) -> int:
        """Bytes of the selected files that are verified."""
        if self.selected_size == self.info.size:
            return self.verified_size
        return verified_size_of(self.info, self.selected, self.have)

    @property
    def verified_size(self) -> int:
        """Bytes of all verified pieces."""
        have, geometry = self.have, self.info.geometry
        last = geometry.piece_count - 1
        missing_of_last = geometry.piece_length - geometry.piece_length_of(last) if last in have else 0
        return have.count * geometry.piece_length - missing_of_last

    @property
    def has_wanted(self) -> bool:
        """True if every wanted piece is verified."""
        have = self.have
        return have.all() or all(piece in have for piece in self.wanted)

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
        """One more piece is verified. Ignored after ``close``: a hashing thread may come late.

        FileFault if the piece shows that a file with a final name is another file.
        """
        part = self._part
        if isinstance(part, PartFolder):
            part.confirm(piece)
        with self._lock:
            if self._part is not None:
                self._verified.set(piece)
                self._record.mark_verified(piece)

    # ---- the record of verified pieces (NAME.resume)

    def trusted_pieces(self, stored: Iterable[Stored]) -> Bitfield:
        """The pieces that an earlier run verified, in files that are unchanged since."""
        state = read_record(self._record.path, self.info)
        return Bitfield(self._verified.size) if state is None else state.trusted(self.info, stored)

    def keep_record(self, stored: Iterable[Stored] | None = None) -> None:
        """Record the verified pieces of the unfinished content from now on.

        ``stored``: as it was before the pieces were checked; default: as it is now.
        """
        part = self._unfinished()
        self._record.begin_record(part.stored() if stored is None else stored, self._verified)
        part.log_writes(self._record)

    def settle_record(self) -> None:
        """Bring the record up to date with writes that have ended. Called now and then."""
        part = self._part
        if part is not None:
            with contextlib.suppress(FileFault):
                self._record.settle(part.look)

    # ---- unfinished

    def select(self, numbers: Collection[int] | None) -> None:
        """Fetch these files, numbered from 1 without padding; None: all. CommandError, DiskFull, FileFault.

        Bytes of other files are kept. Nothing of them is created from now on.
        """
        selected = select(self.info, numbers)
        part = self._part
        if isinstance(part, PartFolder):
            part.select(selected)
        self.selected, self.wanted = selected, wanted_pieces(self.info, selected)

    def open_part(self) -> PartFile | PartFolder:
        """Open NAME.part, created if missing, with no piece verified. FileFault.

        ``trusted`` has the pieces that need not be hashed before they are set as verified.
        """
        self.close()
        folder = self.final_path.parent
        part: PartFile | PartFolder
        if self.info.is_single_file:
            part = PartFile.open(folder, self.info)
        else:
            part = PartFolder.open(folder, self.info, self._open_files)
        try:
            self.trusted = self.trusted_pieces(part.stored())
            if isinstance(part, PartFolder):
                part.select(self.selected)
        except FileFault:
            part.close()
            raise
        with self._lock:
            self._part = part
        self.set_verified(Bitfield(self.info.geometry.piece_count))
        return part

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on. DiskFull, FileFault; ValueError outside."""
        self._unfinished().write(offset, buffers)

    def finish(self) -> Path:
        """Sync to disk and give the selected files their final names, once every wanted piece is verified.

        Returns the path of NAME. FileFault, with NAME.part kept, if that fails.
        """
        part = self._unfinished()
        with self._finishing:
            if isinstance(part, PartFile):
                part.finish()
                self._set_recorded(
                    FinishedFiles(self.info, part.final_path, (part.identity,), self._open_files)
                )
            else:
                finish_folder(part, self._complete_files(part))
                self._record.begin_record(part.stored(), self._verified, clean=True)
                if part.is_final:
                    part.side.discard()
                    self._set_finished(part.final)
                    part.close()
        return self.final_path

    def _complete_files(self, part: PartFolder) -> list[int]:
        """The selected files of which every piece is verified: the user may have selected more meanwhile."""
        have, files, start = self.have, [], 0
        for file, entry in enumerate(self.info.files):
            end = start + entry.length
            pieces = self.info.geometry.pieces_touched(start, end)
            if file in self.selected and all(piece in have for piece in pieces):
                files.append(file)
            start = end
        return files

    def close(self) -> None:
        """Close unfinished content. NAME.part stays, and its pieces are not served any more."""
        with self._lock:
            part, self._part = self._part, None
        if part is not None:
            self.set_verified(Bitfield(self.info.geometry.piece_count))
            try:
                part.sync()
                self._record.settle(part.look, closing=True)
                self._record.close(clean=True)
            except FileFault:  # the disk failed: after the next boot everything is hashed
                self._record.close()
            part.close()

    # ---- finished

    @property
    def is_in_place(self) -> bool:
        """True if the files seem to be complete already: NAME, or all files of a folder, is there."""
        if self.info.is_single_file:
            return os.path.lexists(self.final_path)
        if os.path.lexists(self.path):
            return False
        try:
            self.find_finished()
        except FileFault:
            return False
        return True

    def find_finished(self, path: Path | None = None) -> FinishedFiles:
        """The files at ``path`` (default: NAME), with any bytes. FileFault as ``FinishedFiles.find``."""
        return FinishedFiles.find(self.info, path or self.final_path, self._open_files)

    def adopt(self, file: SharedFile) -> None:
        """``file``, verified since it was opened, is the content. Closes it; FileFault if it changed."""
        file.close()
        self.adopt_files(FinishedFiles(self.info, file.path, (file.identity,), self._open_files))

    def adopt_files(self, files: FinishedFiles, record: bool = False) -> None:
        """``files``, verified since they were found, are the content. FileFault if one changed.

        ``record``: the next run may believe that they are right.
        """
        files.check_all_unchanged()
        self.final_path = files.path
        if record:
            self._set_recorded(files)
        else:
            self._set_finished(files)

    def check_unchanged(self) -> None:
        """FileFault if the finished files are not those that were verified."""
        part = self._part
        files = part.final if isinstance(part, PartFolder) else self._finished
        if files is not None:
            files.check_unchanged()

    # ---- both

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset`` on. FileFault, TransientFileFault; ValueError outside."""
        self._read(lambda files: files.read_into(offset, buffer))

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send verified bytes to a connected socket, as ``ServedTorrent.send_to``. ValueError outside."""
        have = self._verified
        for piece in self.info.geometry.pieces_touched(offset, offset + length):
            if piece not in have:
                raise FileFault(f"{sanitize(self.path)}: piece {piece} is not verified")
        return self._read(lambda files: files.send_to(sock, offset, length))

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int | None:
        """Send blocks as ``ServedTorrent.send_blocks``. None while the content is unfinished."""
        finished = self._finished
        return None if finished is None else finished.send_blocks(sock, blocks)

    def _read(self, call: Callable[[PartFile | PartFolder | FinishedFiles], int]) -> int:
        """``call`` with the files that have the content; called again if they were just finished."""
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
        finished = self._finished
        if finished is None:
            raise FileFault(f"{sanitize(self.path)} is closed")
        return call(finished)

    def _set_recorded(self, files: FinishedFiles) -> None:
        """``files`` are the content, on the disk, and recorded as such."""
        self._set_finished(files)
        self._record.begin_record(files.stored(), self._verified, clean=True)

    def _set_finished(self, files: FinishedFiles) -> None:
        self.set_verified(Bitfield.full(self.info.geometry.piece_count))
        with self._lock:
            self._finished = files
            self._part = None

    def _unfinished(self) -> PartFile | PartFolder:
        part = self._part
        if part is None:
            raise FileFault(f"{sanitize(self.path)} is closed")
        return part
