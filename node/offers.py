"""One torrent on offer: a finished file, or the verified pieces of an unfinished download.

Both are read by the listening thread only. A file is offered for as long as it is what was hashed; a part for
as long as its download goes on, and then the finished file takes its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import FileFault, TransientFileFault
from common.metainfo import Metainfo
from common.text import sanitize
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile

MAX_OPEN_FILES = 64  # the system allows a process 256 or 1,024; a node may share far more


@dataclass
class SharedTorrent:
    """One finished file on offer. ``reason`` says why it is not, once it is not."""

    info: Metainfo
    path: Path
    torrent: Path
    identity: tuple[int, int, int, int]
    open_files: OpenFiles
    on_fault: Callable[[SharedTorrent, FileFault], None]
    reason: str = ""
    have: Bitfield = field(init=False)  # every piece

    def __post_init__(self) -> None:
        self.have = Bitfield.full(self.info.geometry.piece_count)

    @property
    def is_served(self) -> bool:
        """Whether it is still served."""
        return not self.reason

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``; FileFault if the file changed, TransientFileFault if it cannot be read now."""
        try:
            self.open_files.of(self).read_into(offset, buffer)
        except TransientFileFault:
            raise
        except FileFault as fault:
            self.on_fault(self, fault)
            raise


class SharedPart:
    """The verified pieces of ``part``, whose download goes on.

    ``verified`` gives the pieces that are right, as a Bitfield that nobody changes any more; it is called
    from the listening thread, and may take the download's lock. A piece that was right once stays so.
    """

    def __init__(self, metainfo: Metainfo, part: PartFile, verified: Callable[[], Bitfield]) -> None:
        self.info = metainfo
        self.part = part
        self.path = part.path
        self.is_served = True  # it ends by being taken away or replaced
        self._verified = verified

    @property
    def have(self) -> Bitfield:
        """The pieces that are right by now."""
        return self._verified()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``; TransientFileFault once the part is closed to get its final name."""
        try:
            self.part.read_into(offset, buffer)
        except FileFault as fault:  # a disk that fails ends the download, and with it this
            raise TransientFileFault(str(fault)) from None


class OpenFiles:
    """The shared files that were read last, kept open. For the listening thread only."""

    def __init__(self) -> None:
        self._files: OrderedDict[bytes, SharedFile] = OrderedDict()

    def of(self, shared: SharedTorrent) -> SharedFile:
        """``shared``'s file, opened if need be; FileFault if it is another one by now.

        TransientFileFault if this process has too many files open: then those it can spare are closed.
        """
        file = self._files.get(shared.info.info_hash)
        if file is not None and file.identity == shared.identity:
            self._files.move_to_end(shared.info.info_hash)
            return file
        if file is not None:  # of an earlier sharing: it changed, and was shared anew
            del self._files[shared.info.info_hash]
            file.close()
        file = self._open(shared.path)
        if file.identity != shared.identity:
            file.close()
            raise FileFault(f"{sanitize(shared.path)} changed while it was shared")
        self._files[shared.info.info_hash] = file
        if len(self._files) > MAX_OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        return file

    def _open(self, path: Path) -> SharedFile:
        try:
            return SharedFile.open(path)
        except TransientFileFault:
            if not self._files:
                raise
            self._files.popitem(last=False)[1].close()
            return SharedFile.open(path)

    def close(self) -> None:
        """Close them all."""
        for file in self._files.values():
            file.close()
        self._files.clear()
