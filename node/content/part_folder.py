"""The folder that a download of several files fills: ``NAME.part``, whose files end up in ``NAME``.

Where the bytes of a file are:

    PADDING   on no disk: zeros (BEP 47)
    PART      in NAME.part: the file is selected, or was; it is created with its first byte
    FINAL     in NAME: the file was there before, or an earlier selection was finished. It is only read
    SIDE      in NAME.side: the file is not selected, and only its boundary pieces are fetched

A file in NAME may not be this torrent's. If a piece of it has to be fetched, because the piece also holds
bytes of a missing file, the fetched bytes go to NAME.side. Once the piece is verified, they are compared with
the file (``confirm``). So nothing in NAME is ever written to, and nothing there is believed without a hash.
"""

from __future__ import annotations

import contextlib
import enum
import os
import stat
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from common.bitfield import Bitfield
from common.errors import FileFault
from common.filenames import PART_SUFFIX, SIDE_SUFFIX
from common.files import try_lock
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.finished_files import FinishedFiles, find_file
from node.content.folder_tree import FolderTree, tree_fault
from node.content.layout import FileRange, Layout
from node.content.open_parts import OpenParts
from node.content.positional_file import Buffer
from node.content.resume_format import Seen, Stored
from node.content.resume_record import WriteLog
from node.content.sending import send_ranges, send_zeros
from node.content.shared_file import Identity, OpenFiles, identity_of
from node.content.side_file import SideFile
from node.transport import StreamSocket

_T = TypeVar("_T")
_COPIED = 1 << 17  # bytes of one comparison or copy


class Place(enum.Enum):
    """Where the bytes of a file are."""

    PADDING = "padding"
    PART = "part"
    FINAL = "final"
    SIDE = "side"


class PartFolder:
    """The unfinished content of a torrent of several files. Thread-safe. After ``close`` all calls fail.

    Nothing here knows which bytes are right. A lock on NAME.part keeps other downloads out.
    """

    def __init__(self, info: Metainfo, tree: FolderTree, open_files: OpenFiles) -> None:
        self.path = tree.path
        self.final_path = tree.path.with_name(info.name)
        self.closed = False
        self.info = info
        self.tree = tree
        self.parts = OpenParts(tree, info.files)
        self.side = SideFile(tree.path.with_name(info.name + SIDE_SUFFIX), info)
        self._layout = Layout([entry.length for entry in info.files])
        self._overlaid: set[int] = set()  # unverified pieces with bytes in the side file that NAME has, too
        self.moving = threading.Lock()  # held while a file, or bytes of it, move to another place
        self.places: list[Place] = []
        self._identities: list[Identity | None] = []
        self.final = FinishedFiles(info, self.final_path, self._identities, open_files)  # the files in NAME
        self._find_places()

    @classmethod
    def open(cls, folder: Path, info: Metainfo, open_files: OpenFiles) -> PartFolder:
        """Open ``folder/NAME.part``, created if missing. Existing files keep their bytes.

        No other file is created before ``select``. FileFault if NAME.part is no folder or in use, or if
        another file is in the place of one of the torrent's.
        """
        path = Path(folder) / (info.name + PART_SUFFIX)
        try:
            path.mkdir(exist_ok=True)
            tree = FolderTree(path)
        except OSError as error:
            raise tree_fault(path, error, writing=True) from None
        try:
            if tree.root.number >= 0 and not try_lock(tree.root.number):
                raise FileFault(f"{sanitize(path)} is in use by another download")
            return cls(info, tree, open_files)
        except FileFault:
            tree.close()
            raise

    # ---- bytes

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on and return its length. FileFault; ValueError outside."""
        done = 0
        for part in self._layout.split(offset, offset + len(buffer)):
            length = part.end - part.start
            self._read(part, offset + done, buffer[done : done + length])
            done += length
        return done

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send bytes to a connected socket, as ``ServedTorrent.send_to``. FileFault; ValueError outside."""
        starts = self._starts_in_content(offset, offset + length)

        def send(file: int, start: int, count: int) -> int:
            place = self.places[file]
            if place is Place.PADDING:
                return send_zeros(sock, count)
            if place is Place.SIDE or (place is Place.FINAL and self._overlaid):
                buffer = memoryview(bytearray(min(count, _COPIED)))
                self._read(FileRange(file, start, start + len(buffer)), starts[file], buffer)
                return sock.send(buffer)
            return self._at_its_place(
                file,
                lambda: self.parts.send_to(file, sock, start, count),
                lambda: self.final.send_to(sock, starts[file], count),
            )

        return send_ranges(self._layout.split(offset, offset + length), send)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on. DiskFull, FileFault; ValueError outside."""
        data = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        done = 0
        for file, start, end in self._layout.split(offset, offset + len(data)):
            part = data[done : done + end - start]
            if self.places[file] is Place.PART:
                self.parts.write(file, start, part)
            elif self.places[file] is not Place.PADDING:
                self._write_to_side(file, start, offset + done, part)
            done += len(part)

    def is_hole(self, start: int, end: int) -> bool:
        """True if no byte of ``[start, end)`` was ever written, as far as the file systems know."""
        holes = [self._is_hole(part, start) for part in self._layout.split(start, end)]
        return True in holes and False not in holes

    @property
    def allocated(self) -> int:
        """Bytes of the content that need no more room on the disk."""
        return sum(
            entry.length
            if place in (Place.FINAL, Place.PADDING)
            else self.parts.allocated(file)
            if place is Place.PART
            else 0
            for file, (place, entry) in enumerate(zip(self.places, self.info.files, strict=True))
        )

    # ---- pieces and files

    def confirm(self, piece: int) -> None:
        """``piece`` is verified. FileFault if a file in NAME has other bytes there: it is another file."""
        if piece not in self._overlaid:
            return
        fetched = memoryview(bytearray(_COPIED))
        kept = memoryview(bytearray(_COPIED))
        first, last = self.info.geometry.piece_range(piece)
        for offset in range(first, last, _COPIED):
            size = min(_COPIED, last - offset)
            at = offset
            for file, start, end in self._layout.split(offset, offset + size):
                if self.places[file] is Place.FINAL:
                    self.side.read_into(at, fetched[: end - start])
                    self.final.read_into(at, kept[: end - start])
                    if fetched[: end - start] != kept[: end - start]:
                        raise self.another_file(file)
                at += end - start
        self._overlaid.discard(piece)

    def select(self, selected: Collection[int]) -> None:
        """These files are selected: their bytes in NAME.side move to NAME.part.

        A file that is not selected any more stays where it is. DiskFull, FileFault.
        """
        start = 0
        for file, entry in enumerate(self.info.files):
            if file in selected and self.places[file] is Place.SIDE:
                with self.moving:
                    self._copy_from_side(file, start, start + entry.length)
                    self.places[file] = Place.PART
            start += entry.length

    def set_final(self, file: int, identity: Identity) -> None:
        """The file has its name in NAME now. The caller holds ``moving``."""
        self._identities[file] = identity
        self.places[file] = Place.FINAL

    def first_wrong(self, verified: Bitfield) -> FileFault | None:
        """The fault of a file in NAME that is not this torrent's, if only ``verified`` pieces are right.

        A wrong piece with bytes of a file that is not in NAME is no fault: it has to be fetched.
        """
        if Place.FINAL not in self.places:
            return None
        for piece in verified.missing():
            files = {part.file for part in self._layout.split(*self.info.geometry.piece_range(piece))}
            places = {self.places[file] for file in files}
            if places <= {Place.FINAL, Place.PADDING}:
                return self.another_file(min(file for file in files if self.places[file] is Place.FINAL))
        return None

    def another_file(self, file: int) -> FileFault:
        """The fault of a file in NAME that is not this torrent's."""
        path = self.final_path.joinpath(*self.info.files[file].path[1:])
        return FileFault(f"{sanitize(path)} exists and is another file; it is not overwritten: move it away")

    @property
    def is_final(self) -> bool:
        """True if every file is in NAME."""
        return all(place in (Place.FINAL, Place.PADDING) for place in self.places)

    def stored(self) -> list[Stored]:
        """Where each range of the content is at present, for the record."""
        side = self.side.status()
        aside = Seen.of(identity_of(side)) if side is not None else None
        stored, start = [], 0
        for file, (place, entry) in enumerate(zip(self.places, self.info.files, strict=True)):
            end = start + entry.length
            if place is Place.SIDE:
                stored.append(Stored(start, end, len(self.info.files), aside, None))
                stored.append(Stored(start, end, file, None, entry.length))
            elif place is not Place.PADDING:
                identity = self._identities[file]
                if place is Place.PART:
                    status = self.parts.status(file)
                    identity = identity_of(status) if status is not None else None
                seen = Seen.of(identity) if identity is not None else None
                stored.append(Stored(start, end, file, seen, entry.length))
            start = end
        return stored

    def look(self, file: int) -> Seen | None:
        """File number ``file`` as it is now, for the record; NAME.side comes after all files."""
        status = self.side.status() if file == len(self.info.files) else self.parts.status(file)
        return Seen.of(identity_of(status)) if status is not None else None

    def log_writes(self, log: WriteLog) -> None:
        """Tell ``log`` of each write from now on."""
        self.parts.log = self.side.log = log

    def sync(self) -> None:
        """Make all bytes that were written survive a power cut. FileFault."""
        self.parts.sync()
        self.side.sync()

    def close(self) -> None:
        """Close everything. NAME.part and NAME.side stay for a later download, unless they are empty."""
        self.closed = True
        self.parts.close()
        self.side.close()
        with contextlib.suppress(OSError):
            self.path.rmdir()
        self.tree.close()

    # ---- inner

    def _find_places(self) -> None:
        final = _open_final(self.final_path)
        try:
            for file, entry in enumerate(self.info.files):
                place, identity = Place.PADDING, None
                if not entry.padding:
                    place, identity = self._find_place(file, final)
                self.places.append(place)
                self._identities.append(identity)
        finally:
            if final is not None:
                final.close()

    def _find_place(self, file: int, final: FolderTree | None) -> tuple[Place, Identity | None]:
        names = self.info.files[file].path[1:]
        here = self.parts.status(file)
        try:
            there = final.status(names) if final is not None else None
        except OSError as error:
            raise tree_fault(self.final_path.joinpath(*names), error) from None
        if final is None or there is None:
            return (Place.SIDE if here is None else Place.PART), None
        if not stat.S_ISREG(there.st_mode) or there.st_size != self.info.files[file].length:
            raise self.another_file(file)
        if here is not None and os.path.samestat(here, there):
            self.tree.remove_file(names)  # the process ended between link and unlink
        return Place.FINAL, find_file(final, names, there.st_size)

    def _read(self, part: FileRange, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with a range of one file, which is at ``offset`` of the content."""
        place = self.places[part.file]
        if place is Place.PADDING:
            buffer[:] = bytes(len(buffer))
        elif place is Place.SIDE:
            self.side.read_into(offset, buffer)
        elif self._overlaid and place is Place.FINAL:
            self._read_overlaid(offset, buffer)
        else:
            self._at_its_place(
                part.file,
                lambda: self.parts.read_into(part.file, part.start, buffer),
                lambda: self.final.read_into(offset, buffer) and None,
            )

    def _at_its_place(self, file: int, in_part: Callable[[], _T], in_final: Callable[[], _T]) -> _T:
        """The call for NAME.part or NAME; repeated if the file has just got its final name."""
        if self.places[file] is Place.FINAL:
            return in_final()
        try:
            return in_part()
        except FileFault:
            with self.moving:
                if self.places[file] is Place.PART:
                    raise
        return in_final()

    def _read_overlaid(self, offset: int, buffer: memoryview) -> None:
        """Read a range of a file in NAME, of which some pieces are in NAME.side until they are verified."""
        length, done = self.info.piece_length, 0
        while done < len(buffer):
            at = offset + done
            piece = at // length
            part = buffer[done : done + (piece + 1) * length - at]
            read = self.side.read_into if piece in self._overlaid else self.final.read_into
            read(at, part)
            done += len(part)

    def _write_to_side(self, file: int, start: int, offset: int, data: memoryview) -> None:
        with self.moving:
            if self.places[file] is not Place.PART:
                if self.places[file] is Place.FINAL:
                    self._overlaid.update(self.info.geometry.pieces_touched(offset, offset + len(data)))
                self.side.write(offset, data)
                return
        self.parts.write(file, start, data)  # it was selected a moment ago

    def _copy_from_side(self, file: int, start: int, end: int) -> None:
        """Copy what NAME.side has of a file. The file is in no record before it is complete.

        Else, after a kill in between, a verified piece would be believed although it was not copied.
        """
        copied = False
        buffer = memoryview(bytearray(_COPIED))
        for piece in self.info.geometry.pieces_touched(start, end):
            if piece not in self.side:
                continue
            first, last = self.info.geometry.piece_range(piece)
            first, last = max(first, start), min(last, end)
            for offset in range(first, last, _COPIED):
                part = buffer[: min(_COPIED, last - offset)]
                self.side.read_into(offset, part)
                self.parts.write(file, offset - start, part, is_logged=False)
                copied = True
        if copied:
            self.parts.log_status(file)

    def _is_hole(self, part: FileRange, offset: int) -> bool | None:
        """As ``is_hole`` of one file; None if that cannot be known."""
        place = self.places[part.file]
        if place is Place.PART:
            return self.parts.is_hole(part.file, part.start, part.end)
        if place is Place.SIDE:
            return offset // self.info.piece_length not in self.side
        return None if place is Place.PADDING else False

    def _starts_in_content(self, start: int, end: int) -> dict[int, int]:
        """The offset in the content at which the range of each file begins."""
        starts = {}
        for file, first, last in self._layout.split(start, end):
            starts[file] = start
            start += last - first
        return starts


def _open_final(path: Path) -> FolderTree | None:
    """The folder NAME, if there is one. FileFault if something else has its name."""
    try:
        return FolderTree(path, follow=True) if os.path.lexists(path) else None
    except OSError:
        raise FileFault(f"{sanitize(path)} exists and is no folder; it is not overwritten") from None
