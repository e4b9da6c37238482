"""The connections of one node: at most one for a peer and torrent, and bounded in number.

A peer is known by its peer id, and found by its address: the dialled one, and the one at which it listens as
its extended handshake says. Two peers may dial each other at the same moment; then both keep the same one of
the two connections (``keeps_newer``).
"""

from __future__ import annotations

import threading

from node.peer import Peer
from node.peer_tcp.handshake import keeps_newer
from node.peer_tcp.peer_thread import PeerThread

MAX_CONNECTIONS = 400  # of a node, in all states
MAX_BANNED = 1000  # peer ids and addresses; the latest
MAX_OPENING = 64  # accepted connections before the end of their handshakes
MAX_OPENING_OF_HOST = 32  # of these from one host, so that it cannot keep other peers out
SIMULTANEOUS = 5.0  # seconds between two connections of peers that dialled each other at the same moment


class PeerTable:
    """Thread-safe. ``max_peers``: connections of one torrent.

    Whoever adds a connection starts it at once: others that find it here may wait for its end.
    """

    def __init__(self, own_id: bytes, max_peers: int) -> None:
        self._own_id = own_id
        self._max_peers = max_peers
        self._lock = threading.Lock()
        self._is_closed = False
        self._threads: dict[PeerThread, None] = {}
        self._by_id: dict[tuple[bytes, bytes], PeerThread] = {}  # info hash and peer id
        self._by_addr: dict[tuple[bytes, Peer], PeerThread] = {}
        self._banned: dict[tuple[bytes, object], None] = {}  # info hash, and peer id or address

    def all(self) -> list[PeerThread]:
        """Every connection, in any state."""
        with self._lock:
            return list(self._threads)

    def of(self, info_hash: bytes) -> list[PeerThread]:
        """The connections of a torrent that are past their handshakes."""
        with self._lock:
            return [thread for (key, _), thread in self._by_id.items() if key == info_hash]

    def info_hashes(self) -> set[bytes]:
        """The torrents that have connections."""
        with self._lock:
            return {info_hash for info_hash, _ in self._by_id}

    def find(self, info_hash: bytes, peer: Peer) -> PeerThread | None:
        """The connection to ``peer``, also while it is being dialled."""
        return self._by_addr.get((info_hash, peer))

    # ---- coming

    def add_accepted(self, thread: PeerThread) -> str:
        """Add an accepted connection. Returns why it is refused; "": it is not."""
        with self._lock:
            if self._is_closed:
                return "this node stops"
            opening = [each for each in self._threads if each.accepted is not None and not each.info_hash]
            from_host = sum(each.peer.host == thread.peer.host for each in opening)
            if len(self._threads) >= MAX_CONNECTIONS or len(opening) >= MAX_OPENING:
                return "this node has enough connections"
            if from_host >= MAX_OPENING_OF_HOST:
                return "its host has enough connections without a handshake"
            self._threads[thread] = None
            return ""

    def add_dialled(self, thread: PeerThread, info_hash: bytes) -> PeerThread | None:
        """Add a connection that is to be dialled, unless there is one: returns the one to use.

        None: there are too many, or the table is closed.
        """
        with self._lock:
            present = self._by_addr.get((info_hash, thread.peer))
            if present is not None:
                return present
            if self._is_closed or len(self._threads) >= MAX_CONNECTIONS:
                return None
            thread.info_hash = info_hash
            self._threads[thread] = None
            self._by_addr[info_hash, thread.peer] = thread
            return thread

    def identify(self, thread: PeerThread, info_hash: bytes, peer_id: bytes) -> str:
        """The handshake is done. Returns why the connection is not wanted; "": it is."""
        with self._lock:
            if (info_hash, peer_id) in self._banned or (info_hash, thread.peer) in self._banned:
                return "is banned: it sent wrong bytes"
            present = self._by_id.get((info_hash, peer_id))
            if present is not None and not self._replaces(thread, present, peer_id):
                if thread.accepted is None:  # the download that dialled finds the other one next time
                    self._by_addr[info_hash, thread.peer] = present
                return "is connected already"
            count = sum(key == info_hash for key, _ in self._by_id)
            useless = self._useless(thread, info_hash) if count >= self._max_peers else None
            if present is None and count >= self._max_peers and useless is None:
                return f"not needed: {self._max_peers} peers are connected (MAX_PEERS)"
            thread.info_hash = info_hash
            self._by_id[info_hash, peer_id] = thread
            if present is not None:  # downloads find the newer connection at the same addresses
                moved = {key: thread for key, value in self._by_addr.items() if value is present}
                self._by_addr.update(moved)
        if present is not None:
            present.close("closed: the peer's other connection is kept")
        elif useless is not None:
            useless.close("closed: it made room for another peer")
        return ""

    def _useless(self, newcomer: PeerThread, info_hash: bytes) -> PeerThread | None:
        """The oldest connection over which nothing is fetched or sent, for one that is to be fetched over."""
        if newcomer.fetch is None and not newcomer.is_to_fetch:
            return None
        others = [thread for (key, _), thread in self._by_id.items() if key == info_hash]
        return next((each for each in others if not (each.fetch or each.is_unchoked or each.rate)), None)

    def _replaces(self, newer: PeerThread, older: PeerThread, peer_id: bytes) -> bool:
        if (newer.accepted is None) == (older.accepted is None) or newer.since - older.since > SIMULTANEOUS:
            return False
        return keeps_newer(self._own_id, peer_id, newer.accepted is None)

    def set_listening(self, thread: PeerThread, port: int) -> None:
        """The peer listens at ``port``: it is found, and dialled, there."""
        peer = Peer(thread.peer.host, port, "tcp")
        with self._lock:
            if thread.accepted is None or self._by_addr.get((thread.info_hash, peer), thread) is not thread:
                return
            thread.peer = peer
            self._by_addr[thread.info_hash, peer] = thread

    def set_reported(self, thread: PeerThread) -> None:
        """Downloads know the peer by ``thread.peer`` from now on."""
        with self._lock:
            self._by_addr.setdefault((thread.info_hash, thread.peer), thread)
            thread.is_reported = True

    # ---- going

    def close(self) -> list[PeerThread]:
        """Take in no more connections. Returns all that there are."""
        with self._lock:
            self._is_closed = True
            return list(self._threads)

    def _ban(self, thread: PeerThread) -> None:
        """Refuse the peer from now on, by its peer id and address."""
        ids = [key for key, value in self._by_id.items() if value is thread]
        self._banned.update(dict.fromkeys([*ids, (thread.info_hash, thread.peer)]))
        while len(self._banned) > MAX_BANNED:
            del self._banned[next(iter(self._banned))]

    def remove(self, thread: PeerThread) -> None:
        """The connection is over."""
        with self._lock:
            if thread.is_banned:
                self._ban(thread)
            self._threads.pop(thread, None)
            self._by_id = {key: value for key, value in self._by_id.items() if value is not thread}
            self._by_addr = {key: value for key, value in self._by_addr.items() if value is not thread}
