"""``Torrent``: everything that a node has and does of one info hash, and the table of a node's torrents.

A torrent is fetched, served, or both: its content and the set of verified pieces are the same object all the
time, so peers are served while a download goes on, and do not notice when it is complete.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import CommandError, FileFault, TransientFileFault
from common.filenames import PART_SUFFIX, TORRENT_SUFFIX
from common.messages import OwnedFile
from common.metainfo import Metainfo
from common.text import sanitize
from node import events
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.discovery.tracker_url import classroom_urls
from node.download import Download, NodeParts
from node.download.swarm import SwarmTrackers, owned_file
from node.transport import StreamSocket

MIN_HASH_DIGITS = 4  # hexadecimal digits of an info hash that can stand for a torrent


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
        self._emit = emit
        self._withdraw = withdraw
        self._lock = threading.Lock()  # guards _fault against being set twice
        self._fault = ""  # why the finished file is not served any more

    @property
    def state(self) -> TorrentState:
        if self._fault:
            return TorrentState.FAILED
        if self.content.is_finished:
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
        """False once the finished file is not what was hashed."""
        return not self._fault

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

    @contextmanager
    def _noticing_changes(self) -> Iterator[None]:
        """Stop serving a finished file that changed."""
        try:
            yield
        except TransientFileFault:
            raise
        except FileFault as fault:
            if not self.content.is_finished:
                raise TransientFileFault(str(fault)) from None
            self.stop_serving(str(fault))
            raise

    # ---- for the node

    def pieces(self) -> events.PiecesStatus:
        """The answer to -pieces."""
        if self.download is not None and not self.content.is_finished:
            return self.download.pieces()
        return events.PiecesStatus(
            self.info.name,
            self.info.info_hash_hex,
            self.info.piece_length,
            "".join("v" if piece in self.have else "m" for piece in range(self.info.geometry.piece_count)),
        )

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
        self._fault, self.is_stopped = "", False
        self.download = Download(self.content, self.file, swarm, parts)
        self.download.start()
        return self.download

    def stop(self) -> bool:
        """End the download, or stop serving the file, as the user asked. False if there is neither."""
        if self.download is not None and not self.download.over and not self.content.is_finished:
            self.download.cancel()
            return True
        if self.content.is_finished and self.is_served:
            self.is_stopped = True
            self.stop_serving("you stopped it")
            self._withdraw(self.owned())
            return True
        return False

    def check_file(self) -> None:
        """Stop serving the finished file if it changed or is gone."""
        if self.content.is_finished and self.is_served:
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

    def row(self, uploaded: int) -> events.FileStatus:
        """A row of ``-files``. ``uploaded``: bytes sent to peers."""
        return events.FileStatus(
            filename=self.info.name,
            info_hash=self.info.info_hash_hex,
            size=self.info.size,
            complete=self.content.is_finished,
            path=str(self.content.path),
            uploaded=uploaded,
            state=f"stopped: {self._fault}" if self._fault else "sharing",
        )


class TorrentTable(Mapping[bytes, Torrent]):
    """A node's torrents by info hash.

    As a mapping it has only those with verified pieces, without those that the user stopped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _torrents while it is walked
        self._torrents: dict[bytes, Torrent] = {}

    def __getitem__(self, info_hash: bytes) -> Torrent:
        torrent = self._torrents[info_hash]
        if not _is_mapped(torrent):
            raise KeyError(info_hash)
        return torrent

    def __iter__(self) -> Iterator[bytes]:
        return (torrent.info.info_hash for torrent in self.all() if _is_mapped(torrent))

    def __len__(self) -> int:
        return sum(map(_is_mapped, self.all()))

    @property
    def in_swarms(self) -> Mapping[bytes, Torrent]:
        """The torrents that take part in a swarm of standard peers, which have a place without any piece.

        Beside those with verified pieces these are the ones that are being downloaded.
        """
        return _InSwarms(self)

    def all(self) -> list[Torrent]:
        """Every torrent, the latest last."""
        with self._lock:
            return list(self._torrents.values())

    def find(self, info_hash: bytes) -> Torrent | None:
        """The torrent of this info hash, with or without verified pieces."""
        return self._torrents.get(info_hash)

    def named(self, text: str) -> Torrent:
        """The torrent with this name or part file, or with an info hash that begins so. CommandError."""
        base = Path(text).name
        names = {base, base.removesuffix(TORRENT_SUFFIX), base.removesuffix(PART_SUFFIX)}
        found = [torrent for torrent in self.all() if torrent.info.name in names]
        if not found and len(text) >= MIN_HASH_DIGITS:
            found = [each for each in self.all() if each.info.info_hash_hex.startswith(text.lower())]
        if not found:
            raise CommandError(f"this node has no torrent {sanitize(text)}; try: files, status")
        if len(found) > 1:
            hashes = ", ".join(torrent.info.info_hash_hex[:8] for torrent in found)
            raise CommandError(f"{sanitize(text)} is the name of {len(found)} torrents; take one of {hashes}")
        return found[0]

    def add(self, torrent: Torrent) -> None:
        """Add ``torrent`` as the latest. It takes the place of one with the same info hash."""
        with self._lock:
            self._torrents.pop(torrent.info.info_hash, None)
            self._torrents[torrent.info.info_hash] = torrent

    def check_files(self) -> None:
        """Stop serving the files that changed or are gone."""
        for torrent in self.all():
            torrent.check_file()

    def is_sharing(self) -> bool:
        """True if peers can fetch anything here."""
        return any(torrent.is_served and torrent.has_pieces for torrent in self.all())

    def owned_files(self, urls: Sequence[str]) -> list[OwnedFile]:
        """The files that the tracker at ``urls`` should know; private ones only if they name it (BEP 27)."""
        return [
            torrent.owned()
            for torrent in self.all()
            if torrent.is_served
            and torrent.has_pieces
            and not (torrent.info.private and set(urls).isdisjoint(classroom_urls(torrent.info.trackers)))
        ]


class _InSwarms(Mapping[bytes, Torrent]):
    def __init__(self, table: TorrentTable) -> None:
        self._table = table

    def __getitem__(self, info_hash: bytes) -> Torrent:
        torrent = self._table.find(info_hash)
        if torrent is None or not _is_in_swarm(torrent):
            raise KeyError(info_hash)
        return torrent

    def __iter__(self) -> Iterator[bytes]:
        return (torrent.info.info_hash for torrent in self._table.all() if _is_in_swarm(torrent))

    def __len__(self) -> int:
        return sum(map(_is_in_swarm, self._table.all()))


def _is_mapped(torrent: Torrent) -> bool:
    return torrent.has_pieces and not torrent.is_stopped


def _is_in_swarm(torrent: Torrent) -> bool:
    return _is_mapped(torrent) or (torrent.is_downloading and not torrent.is_stopped)
