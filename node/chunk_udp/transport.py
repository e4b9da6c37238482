"""``UdpTransport``: the classroom transport behind the interface that every transport has.

One listening thread serves (``owner``), one thread for each peer fetches (``fetcher``). A third checks that
the address which the node announces is still this machine's.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from common.errors import LocalFault
from common.metainfo import Metainfo
from node.chunk_udp import sockets
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.loss_log import LossLog
from node.chunk_udp.metadata_fetcher import fetch_metadata
from node.chunk_udp.owner import Owner
from node.notes import ConnectionNote, SlotsStatus
from node.peer import Peer
from node.rate_limit import TransferLimits, limit_of
from node.settings import TransferSettings
from node.tap import NO_TAP, Tap
from node.transport import (
    DownloadSession,
    PeerConnection,
    ServedTorrent,
    TransportObserver,
    UploadStatus,
)

SECRET_SIZE = 32  # bytes of the key of an owner's tokens
ADDRESS_CHECK = 1.0  # seconds between two looks at whether the listening address is still this machine's
JOIN_LIMIT = 5.0  # max seconds that ``stop`` waits for a thread


class UdpTransport:
    """Serves and fetches over UDP. A ``Transport``.

    ``sock`` is the bound socket to serve on; it is closed by ``stop``. Without a socket the transport only
    fetches. ``node_id`` is sent to the owners that are fetched from, for their ``-peers``. ``limits``: of the
    node (default: those of ``settings``). ``tap`` sees all datagrams.
    """

    name = "udp"

    def __init__(
        self,
        settings: TransferSettings,
        sock: socket.socket | None = None,
        node_id: int | None = None,
        limits: TransferLimits | None = None,
        tap: Tap = NO_TAP,
    ) -> None:
        self._settings = settings
        self._sock = sock
        self._node_id = node_id
        self._host: str = "" if sock is None else sock.getsockname()[0]
        self._manager = CongestionManager()
        self._tap = tap
        self._limits = limits or TransferLimits(
            limit_of(settings.upload_limit), limit_of(settings.download_limit)
        )
        self._owner: Owner | None = None
        self.on_note: Callable[[ConnectionNote], None] | None = None  # set it before ``connect``
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def addr(self) -> tuple[str, int]:
        """The address that it serves at."""
        if self._sock is None:
            raise LocalFault("this transport has no socket to serve on")
        host, port = self._sock.getsockname()[:2]
        return host, port

    def start(self, torrents: Mapping[bytes, ServedTorrent], observer: TransportObserver) -> None:
        """Serve ``torrents``, by info hash, from now on. The caller adds to and removes from the mapping."""
        if self._sock is None:
            raise LocalFault("this transport has no socket to serve on")
        key = secrets.token_bytes(SECRET_SIZE)
        self._owner = Owner(self._sock, torrents, key, self._settings, self._limits.upload, self._tap)
        watch = AddressWatch(self._host, observer, self._stopped)
        self._start_thread("listener", self._owner.listen, observer)
        self._start_thread("address", watch.run, observer)

    def connect(self, peer: Peer, info: Metainfo, session: DownloadSession) -> PeerConnection:
        """A connection that fetches from ``peer``. PeerFault if this machine has no socket for it."""
        if peer.node_id is not None:
            self._tap.introduce(peer.addr, peer.node_id)
        fetcher = Fetcher(
            peer.addr,
            info,
            session,
            self._settings,
            self._manager,
            self._limits.download,
            self._host,
            self._node_id,
            self._tap,
        )
        if self.on_note is not None:
            fetcher.connection.tracker.losses = LossLog(peer, info.info_hash, self.on_note)
        return fetcher

    def fetch_metadata(
        self,
        peer: Peer,
        info_hash: bytes,
        on_progress: Callable[[int, int], None],
        closing: Callable[[], bool],
    ) -> bytes:
        """The raw info dictionary of a torrent, from ``peer``. See ``Transport.fetch_metadata``."""
        return fetch_metadata(peer.addr, info_hash, self._host, on_progress, closing, self._tap)

    def uploads(self) -> Sequence[UploadStatus]:
        """Every peer served so far, the latest last; then the queue, in order."""
        owner, limit = self._owner, self._settings.upload_slots
        if owner is None:
            return []
        queue = owner.slots.queue()
        rows = owner.uploads.rows(queue, time.monotonic())
        return [
            replace(row, reason=_reason(row, len(queue), limit)) if row.queue_position else row
            for row in rows
        ]

    def slots_of(self, info_hash: bytes) -> SlotsStatus:
        """The fetchers of this torrent that hold a slot, and those that wait. Slots are those of the node."""
        owner = self._owner
        if owner is None:
            return SlotsStatus(self._settings.upload_slots, (), ())
        served, queue = owner.slots.holders(time.monotonic())
        return SlotsStatus(
            self._settings.upload_slots,
            tuple(owner.uploads.peer(addr) for addr, wanted in served if wanted == info_hash),
            tuple(owner.uploads.peer(addr) for addr, wanted in queue if wanted == info_hash),
        )

    def uploaded(self, info_hash: bytes) -> int:
        """Bytes of this torrent sent so far."""
        return 0 if self._owner is None else self._owner.uploads.totals[info_hash]

    def stop(self) -> None:
        """Serve nothing more and close the listening socket. Connections end when their sessions do."""
        self._end_serving()
        for thread in self._threads:
            thread.join(JOIN_LIMIT)
        if self._sock is not None:
            self._sock.close()

    def _end_serving(self) -> None:
        self._stopped.set()
        if self._owner is not None:
            self._owner.stop()

    def _start_thread(self, name: str, body: Callable[[], None], observer: TransportObserver) -> None:
        def run() -> None:
            try:
                body()
            except Exception as error:  # any: without this thread the node would look well and not serve
                if not self._stopped.is_set():
                    self._end_serving()
                    observer.on_failed(LocalFault(f"serving over UDP has stopped, {name} thread: {error!r}"))

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _reason(row: UploadStatus, waiting: int, slots: int) -> str:
    served = "1 is" if slots == 1 else f"{slots} are"
    return f"waits, place {row.queue_position} of {waiting}: {served} served at a time (UPLOAD_SLOTS)"


class AddressWatch:
    """Notices when ``host`` stops being an address of this machine, and when it is again.

    A laptop changes its Wi-Fi, a VPN ends, a DHCP lease runs out. The bound socket stays: it receives nothing
    meanwhile, and works again as soon as the address is back.
    """

    def __init__(
        self,
        host: str,
        observer: TransportObserver,
        stopped: threading.Event,
        is_here: Callable[[str], bool] = sockets.is_local_address,
        interval: float = ADDRESS_CHECK,
    ) -> None:
        self._host = host
        self._observer = observer
        self._stopped = stopped
        self._is_here = is_here
        self._interval = interval

    def run(self) -> None:
        """The body of a thread: look every ``interval`` seconds until stopped."""
        was_here = True
        while not self._stopped.wait(self._interval):
            is_here = self._is_here(self._host)
            if is_here and not was_here:
                self._observer.on_address_restored(self._host)
            elif was_here and not is_here:
                self._observer.on_address_lost(self._host)
            was_here = is_here
