"""``TcpTransport``: BitTorrent's peer wire behind the interface that every transport has.

    PeerListener   accepts connections
    PeerThread     one connection and its thread; it serves and fetches at once
    PeerTable      all connections: one for each peer and torrent
    ChokeRounds    unchokes peers, and has verified pieces announced

A connection belongs to the transport. A download attaches its session to one, and the connection goes on
serving when the download is over.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from common.errors import LocalFault, PeerFault
from common.logs import log
from common.metainfo import Metainfo
from common.peer_id import client_name
from node.notes import SlotsStatus
from node.peer import FoundPeer, Peer
from node.peer_tcp import events as ev
from node.peer_tcp.choke_rounds import ChokeRounds, MakeChoker
from node.peer_tcp.config import Encryption, WireConfig, WireTorrent
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.dialler import WAYS, Way, dial
from node.peer_tcp.faulty_wire import make_wire
from node.peer_tcp.listener import PeerListener
from node.peer_tcp.metadata_dial import MetadataDial
from node.peer_tcp.peer_loop import PeerLoop
from node.peer_tcp.peer_table import PeerTable
from node.peer_tcp.peer_thread import Fetch, PeerThread
from node.peer_tcp.read_buffers import ReadBuffers
from node.personas import is_silent, verified_pieces
from node.rate_limit import TransferLimits
from node.tap import NO_TAP, Tap
from node.transport import (
    DownloadSession,
    PeerConnection,
    ServedTorrent,
    TransportObserver,
    UploadStatus,
)

MAX_HALF_OPEN = 32  # connections that are dialled at a time
MAX_ENDED = 50  # rows of -peers about connections that are over
JOIN_LIMIT = 2.0  # max seconds that ``stop`` waits for all connections


class TcpTransport:
    """Serves and fetches over TCP. A ``Transport``.

    ``host``: the address to listen on and dial from; ``port``: 0 for any. ``peer_id``: 20 bytes.
    ``max_peers``: connections of one torrent. ``tap`` sees all messages.
    ``make_choker``: in place of ``Choker``. ``node_id``: this node's number in the classroom, if it has one.
    """

    name = "tcp"

    def __init__(
        self,
        peer_id: bytes,
        host: str,
        port: int = 0,
        encryption: Encryption = Encryption.PREFER,
        max_peers: int = 50,
        limits: TransferLimits | None = None,
        tap: Tap = NO_TAP,
        make_choker: MakeChoker | None = None,
        node_id: int | None = None,
    ) -> None:
        self.limits = limits or TransferLimits()
        self._tap = tap
        self.read_buffers = ReadBuffers()
        self.peer_id = peer_id
        self._host = host
        self._encryption = encryption
        self._listener = PeerListener(host, port)
        self._table = PeerTable(peer_id, max_peers)
        self._torrents: Mapping[bytes, ServedTorrent] = {}
        self._observer: TransportObserver | None = None
        self._make_choker, self._node_id = make_choker, node_id
        self._rounds = ChokeRounds(self._table, self._torrents, None)
        self._half_open = threading.BoundedSemaphore(MAX_HALF_OPEN)
        self._lock = threading.Lock()  # guards the two below
        self._ended: deque[UploadStatus] = deque(maxlen=MAX_ENDED)
        self._uploaded: Counter[bytes] = Counter()  # by connections that are over
        self._stopped = threading.Event()

    @property
    def addr(self) -> tuple[str, int]:
        """The address that it listens at."""
        return self._listener.addr

    # ---- Transport

    def start(self, torrents: Mapping[bytes, ServedTorrent], observer: TransportObserver) -> None:
        """Serve ``torrents``, by info hash, from now on. The caller adds to and removes from the mapping."""
        self._torrents, self._observer = torrents, observer
        limit = self.limits.upload
        rate = None if limit is None else limit.rate
        self._rounds = ChokeRounds(self._table, torrents, rate, self._make_choker)
        self._start_thread("tcp listener", lambda: self._listener.run(self._accept), observer)
        self._start_thread("choker", self._rounds.run, observer)

    def connect(self, peer: Peer, info: Metainfo, session: DownloadSession) -> PeerConnection:
        """A connection that fetches from ``peer``: the one that is open, or a new one. PeerFault."""
        if peer.node_id is not None:
            self._tap.introduce(peer.addr, peer.node_id)
        return Fetch(self._connection(peer, info.info_hash, to_fetch=True), session)

    def meet(self, info_hash: bytes, peers: Iterable[FoundPeer]) -> None:
        """Dial peers that a tracker named, as far as they need pieces: a seed calls its leechers.

        Peers that are connected are left as they are.
        """
        for found in peers:
            peer = found.peer
            if peer.transport == self.name and not found.complete and peer.addr != self.addr:
                if peer.node_id is not None:
                    self._tap.introduce(peer.addr, peer.node_id)
                try:
                    self._connection(peer, info_hash)
                except PeerFault:
                    return  # enough connections

    def fetch_metadata(
        self,
        peer: Peer,
        info_hash: bytes,
        on_progress: Callable[[int, int], None],
        closing: Callable[[], bool],
    ) -> bytes:
        """The raw info dictionary of a torrent from ``peer`` (BEP 9). PeerFault."""
        fetch = MetadataDial(peer, info_hash, self.peer_id, self._encryption, on_progress, closing, self._tap)
        return fetch.run(self._host)

    def uploads(self) -> Sequence[UploadStatus]:
        """Every peer served so far, the latest last."""
        with self._lock:
            rows = list(self._ended)
        return rows + [_row(thread) for thread in self._table.all() if thread.uploaded]

    def slots_of(self, info_hash: bytes) -> SlotsStatus:
        """The interested peers that are unchoked, and those that are choked, longest connected first."""
        wanting = [
            thread
            for thread in sorted(self._table.of(info_hash), key=lambda thread: thread.since)
            if thread.loop is not None and thread.loop.wire.peer and thread.loop.wire.upload.peer_interested
        ]
        return SlotsStatus(
            self._rounds.slots(info_hash),
            tuple(thread.peer for thread in wanting if thread.is_unchoked),
            tuple(thread.peer for thread in wanting if not thread.is_unchoked),
        )

    def uploaded(self, info_hash: bytes) -> int:
        """Bytes of this torrent sent so far."""
        with self._lock:
            ended = self._uploaded[info_hash]
        return ended + sum(thread.uploaded for thread in self._table.of(info_hash))

    def clients(self) -> dict[tuple[str, int], str]:
        """The programs of the connected peers, as they say, by address."""
        return {thread.peer.addr: thread.program for thread in self._table.all()}

    def stop(self) -> None:
        """Serve nothing more, and close all connections."""
        self._stopped.set()
        self._rounds.stop()
        self._listener.close()
        threads = self._table.close()
        for thread in threads:
            thread.close("closed: this node stops")
        until = time.monotonic() + JOIN_LIMIT
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    # ---- connections

    def _connection(self, peer: Peer, info_hash: bytes, to_fetch: bool = False) -> PeerThread:
        thread = self._table.find(info_hash, peer)
        if thread is not None:
            return thread
        made = PeerThread(self, peer, WAYS[self._encryption])
        made.is_to_fetch = to_fetch
        chosen = self._table.add_dialled(made, info_hash)
        if chosen is None:
            raise PeerFault("not needed: this node has enough connections")
        if chosen is made:
            made.start()
        return chosen

    def _accept(self, sock: socket.socket, addr: tuple[str, int]) -> None:
        thread = PeerThread(self, Peer(*addr, "tcp"), sock=sock)
        if self._table.add_accepted(thread):  # refused
            sock.close()
        else:
            thread.start()

    def open(self, thread: PeerThread, way: Way | None) -> tuple[socket.socket, PeerWire]:
        """Dial the thread's peer; None: take over its accepted socket. PeerFault."""
        if way is None:
            assert thread.accepted is not None
            sock = thread.accepted
        else:
            with self._half_open:
                sock = dial(thread.peer, self._host)
        thread.tap.closed()  # of an earlier dial
        thread.tap = self._tap.stream(sock.getsockname()[:2], thread.peer.addr, way is not None)
        config = WireConfig(
            self.peer_id,
            _HostOf(self, thread),
            self._encryption,
            listen_port=self.addr[1],
            node_id=self._node_id,
            peer_host=thread.peer.host,
            tap=thread.tap,
        )
        if way is None:
            return sock, make_wire(config, time.monotonic())
        return sock, make_wire(config, time.monotonic(), thread.info_hash, way is Way.ENCRYPTED)

    # ---- what happens to them; on their threads

    def on_event(self, thread: PeerThread, loop: PeerLoop, event: ev.WireEvent) -> None:
        """Something happened that concerns more than fetching. PeerFault ends the connection."""
        if isinstance(event, ev.PeerIdentified):
            loop.sender.torrent = self._torrents.get(event.info_hash)
            thread.program = client_name(event.peer_id)
            self._rounds.poke()
            log(f"tcp {thread.peer}: connected{', encrypted' if event.encrypted else ''}")
        elif isinstance(event, ev.ClientIdentified):
            thread.client = event.handshake.client
            thread.program = thread.client or thread.program
            if event.handshake.node_id is not None:  # the tap knows the peer by this end of the connection
                self._tap.introduce(thread.peer.addr, event.handshake.node_id)
            if event.handshake.port:
                self._table.set_listening(thread, event.handshake.port)
        elif not isinstance(event, (ev.PeerInterested, ev.PeerNotInterested, ev.PiecesKnown, ev.PieceGained)):
            return
        if isinstance(event, (ev.PeerInterested, ev.PeerNotInterested)):
            self._rounds.poke()
        self._look_at(thread, loop)

    def _look_at(self, thread: PeerThread, loop: PeerLoop) -> None:
        """Is the peer a candidate for a download? Do both have everything?"""
        torrent = self._torrents.get(thread.info_hash)
        if torrent is None or not loop.fetching.pieces_known:
            return
        complete = loop.wire.download.held.complete
        if complete and verified_pieces(torrent).all():
            raise PeerFault("closed: it has everything, as we do")
        is_client_known = thread.client or loop.wire.peer is None or not loop.wire.peer.extended
        if thread.is_reported or self._observer is None or not is_client_known:
            return
        self._table.set_reported(thread)
        if thread.accepted is not None:
            self._observer.on_peer(thread.info_hash, FoundPeer(thread.peer, complete))

    def on_end(self, thread: PeerThread) -> None:
        """The connection is over."""
        thread.tap.closed()
        uploaded = thread.uploaded
        with self._lock:
            self._table.remove(thread)
            self._uploaded[thread.info_hash] += uploaded
            if uploaded:
                self._ended.append(replace(_row(thread), rate=0.0))
        log(f"tcp {thread.peer}: {thread.why}")
        self._rounds.poke()

    def _start_thread(self, name: str, body: Callable[[], None], observer: TransportObserver) -> None:
        def run() -> None:
            try:
                body()
            except Exception as error:  # any: without this thread the node would look well and not serve
                if not self._stopped.is_set():
                    observer.on_failed(LocalFault(f"serving over TCP has stopped, {name} thread: {error!r}"))

        threading.Thread(target=run, name=name, daemon=True).start()

    # ---- for WireHost

    def wire_torrent(self, info_hash: bytes) -> WireTorrent | None:
        """The torrent as connections see it; None if it takes no part."""
        torrent = self._torrents.get(info_hash)
        if torrent is None or not torrent.is_served or self._stopped.is_set():
            return None
        info = torrent.info
        given = b"" if info.private else info.raw_info  # a private torrent comes from its tracker only
        return WireTorrent(
            info_hash,
            info.geometry,
            lambda: torrent.have,
            given,
            is_silent(torrent),
            lambda: verified_pieces(torrent),
        )

    def info_hashes(self) -> Iterable[bytes]:
        """The torrents that take part."""
        return list(self._torrents)

    def identify(self, thread: PeerThread, info_hash: bytes, peer_id: bytes) -> str:
        """Why this peer is not wanted; "" if it is."""
        return self._table.identify(thread, info_hash, peer_id)


class _HostOf:
    """The node as one connection sees it. A ``WireHost``."""

    def __init__(self, transport: TcpTransport, thread: PeerThread) -> None:
        self._transport = transport
        self._thread = thread

    def info_hashes(self) -> Iterable[bytes]:
        return self._transport.info_hashes()

    def find(self, info_hash: bytes) -> WireTorrent | None:
        return self._transport.wire_torrent(info_hash)

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        return self._transport.identify(self._thread, info_hash, peer_id)


def _row(thread: PeerThread) -> UploadStatus:
    return UploadStatus(thread.peer, thread.info_hash, thread.uploaded, thread.rate, client=thread.program)
