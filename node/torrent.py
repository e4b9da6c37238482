"""``Torrent``: everything that a node has and does of one info hash.

A torrent is fetched, served, or both: its content and the set of verified pieces are the same object all the
time, so peers are served while a download goes on, and do not notice when it is complete.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from common.bitfield import Bitfield
from common.errors import CommandError, FileFault, TransientFileFault
from common.messages import OwnedFile
from common.metainfo import Metainfo
from node import events
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.discovery.base import TransferTotals
from node.download import Download, NodeParts
from node.download.coordinator import DownloadPhase
from node.download.piece_copies import piece_states
from node.download.swarm import SwarmTrackers, owned_file
from node.transport import SentBlock, StreamSocket

PAUSE_LIMIT = 5.0  # max seconds that ``resume`` waits for the end of the download that was paused


class TorrentState(enum.Enum):
    """What happens with a torrent at present."""

    CHECKING = "checking"  # hashing the bytes that are here already
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    PAUSED = "paused"  # nothing is fetched, and nothing is served
    FAILED = "failed"  # the download ended without its file, or the file is not what it was


class Torrent:
    """One torrent on this node. Implements ServedTorrent. Methods may be called from any thread."""

    def __init__(
        self,
        content: ContentStore,
        file: TorrentFile,
        emit: events.EventSink,
        withdraw: Callable[[OwnedFile], None],
    ) -> None:
        """``withdraw`` is called once the user stops a finished file.

        A file that changed is not withdrawn: fetchers that ask for it should be told why it is gone.
        """
        self.info: Metainfo = content.info
        self.content = content
        self.file = file
        self.download: Download | None = None  # the last one
        self.is_stopped = False  # the user stopped it
        self.is_paused = False
        self._emit = emit
        self._withdraw = withdraw
        self._lock = threading.Lock()  # guards _fault against being set twice
        self._first_left: int | None = None  # bytes that were missing at the first announce
        self._fault = ""  # why the finished file is not served any more

    @property
    def state(self) -> TorrentState:
        if self.is_paused:
            return TorrentState.PAUSED
        if self._fault:
            return TorrentState.FAILED
        if self.content.is_satisfied:
            return TorrentState.SEEDING
        if self.download is None:
            return TorrentState.PAUSED
        if self.download.over:
            return TorrentState.FAILED
        return TorrentState.CHECKING if self.download.is_checking else TorrentState.DOWNLOADING

    # ---- ServedTorrent

    @property
    def have(self) -> Bitfield:
        """The verified pieces. A snapshot: replaced when a piece is verified, never changed."""
        return self.content.have

    @property
    def is_served(self) -> bool:
        """False while the torrent is paused, and once the finished file is not what was hashed."""
        return not self._fault and not self.is_paused

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with verified bytes. FileFault if the file changed: it is not served any more.

        TransientFileFault if the bytes cannot be read now. A fault of an unfinished file ends its download,
        which then withdraws it.
        """
        with self._noticing_changes():
            self.content.read_into(offset, buffer)

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send verified bytes to a connected socket; returns how many. Faults as ``read_into``'s."""
        with self._noticing_changes():
            return self.content.send_to(sock, offset, length)

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int | None:
        """Send blocks to a connected socket; None: read them. Faults as ``read_into``'s."""
        with self._noticing_changes():
            return self.content.send_blocks(sock, blocks)

    @contextmanager
    def _noticing_changes(self) -> Iterator[None]:
        """Stop serving a finished file that changed."""
        try:
            yield
        except TransientFileFault:
            raise
        except FileFault as fault:
            if not self.content.is_satisfied:
                raise TransientFileFault(str(fault)) from None
            self.stop_serving(str(fault))
            raise

    # ---- for the node

    def pieces(self) -> events.PiecesStatus:
        """The answer to -pieces."""
        if self.download is not None and not self.content.is_finished:
            return self.download.pieces()
        info, states = self.info, piece_states(self.have, wanted=self.content.wanted)
        return events.PiecesStatus(info.name, info.info_hash_hex, info.piece_length, states)

    def status(self) -> events.DownloadStatus | None:
        """The row of -status of the last download; None: there was none in this run."""
        row = self.download.status() if self.download is not None else None
        is_done = row is not None and row.state == "completed"
        return replace(row, state="paused") if row is not None and is_done and self.is_paused else row

    @property
    def is_downloading(self) -> bool:
        """True until the last download has let go of the content."""
        return self.download is not None and not self.download.over

    @property
    def has_pieces(self) -> bool:
        """True if peers can fetch something, or could until the file changed."""
        return self.content.is_finished or self.content.have.count > 0

    def fetch(self, swarm: SwarmTrackers, parts: NodeParts) -> Download:
        """Begin to download the content, in the background. Peers are served its verified pieces."""
        self._fault, self.is_stopped, self.is_paused = "", False, False
        self.download = Download(self.content, self.file, swarm, parts)
        self.download.start()
        return self.download

    def select(self, numbers: Collection[int] | None) -> bool:
        """Fetch these files, numbered from 1; None: all. True if ``fetch`` has to be called for them.

        A running download goes on with them. CommandError, DiskFull, FileFault.
        """
        self.content.select(numbers)
        if self.download is not None and not self.download.over:
            self.download.on_selection()
            return False
        return not self.content.is_satisfied and not self.is_paused

    def pause(self) -> bool:
        """Fetch, serve and announce nothing. False if it does neither; CommandError if paused already."""
        if self.is_paused:
            raise CommandError(f"{self.info.name} is paused already")
        is_downloading = self.is_downloading and not self.content.is_satisfied
        if is_downloading and self.download is not None:
            self.download.cancel(DownloadPhase.PAUSED)  # and withdraws it; first, so that no peer is lost
        elif not (self.has_pieces and self.is_served):
            return False
        self.is_paused = True
        if not is_downloading:
            self._withdraw(self.owned())
        return True

    def resume(self, swarm: SwarmTrackers, parts: NodeParts) -> Download | None:
        """Go on after ``pause``: the new download; None if the files are served again. CommandError."""
        if not self.is_paused:
            raise CommandError(f"{self.info.name} is not paused")
        if not self.content.is_satisfied:
            if self.download is not None and not self.download.done.wait(PAUSE_LIMIT):
                raise CommandError(f"{self.info.name} is not paused yet; try again")
            return self.fetch(swarm, parts)
        self.is_paused = False
        swarm.announce(self.owned())
        return None

    def stop(self) -> bool:
        """End the download, or stop serving the file, as the user asked. False if there is neither."""
        if self.is_paused:
            self.is_paused, self.is_stopped = False, True
            self.stop_serving("you stopped it")
            return True
        if self.download is not None and not self.download.over and not self.content.is_satisfied:
            self.download.cancel()
            return True
        if not self.content.is_satisfied or not self.is_served:
            return False
        self.is_stopped = True
        self.stop_serving("you stopped it")
        self._withdraw(self.owned())
        return True

    def check_file(self) -> None:
        """Stop serving the finished file if it changed or is gone."""
        if self.content.is_satisfied and self.is_served:
            try:
                self.content.check_unchanged()
            except FileFault as fault:
                self.stop_serving(str(fault))

    def stop_serving(self, reason: str) -> None:
        """Serve nothing of this torrent any more. Emits one SharingStopped."""
        with self._lock:
            if self._fault:
                return
            self._fault = reason
        self._emit(events.SharingStopped(self.info.name, self.info.info_hash_hex, reason))

    def owned(self) -> OwnedFile:
        """The torrent as OWN announces it."""
        return owned_file(self.info, self.content.is_finished)

    def totals(self, uploaded: int) -> TransferTotals:
        """What announces report. ``uploaded``: bytes sent to peers.

        Bytes that were here at the first call are not counted as downloaded: it comes after they are checked.
        """
        left = self.info.size - self.content.verified_size
        self._first_left = left if self._first_left is None else self._first_left
        return TransferTotals(uploaded, max(0, self._first_left - left), left)

    def sharing(self) -> events.Sharing:
        """The event that the selected files are served."""
        info, size, path = self.info, self.content.selected_size, str(self.file.path)
        return events.Sharing(info.name, info.info_hash_hex, size, path, is_selection=size < info.size)

    def row(self, uploaded: int) -> events.FileStatus:
        """A row of ``-files``. ``uploaded``: bytes sent to peers."""
        info, content, fault = self.info, self.content, self._fault
        state = "paused" if self.is_paused else f"stopped: {fault}" if fault else "sharing"
        named = (info.name, info.info_hash_hex, info.size, content.is_finished, str(content.path))
        return events.FileStatus(*named, uploaded, state)
