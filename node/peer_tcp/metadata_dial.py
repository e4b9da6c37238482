"""Fetching a torrent's metadata from one peer (BEP 9): a connection of its own, on the calling thread.

A torrent without metadata has no geometry, so nothing else can be exchanged. The connection is closed once
the metadata is here, and the download dials anew.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.peer import Peer
from node.peer_tcp import events as ev
from node.peer_tcp.config import Encryption, WireConfig, WireTorrent
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.dialler import WAYS, Way, dial
from node.peer_tcp.faulty_wire import make_wire
from node.tap import NO_TAP, Tap
from node.transport import MAX_METADATA_BYTES

READ_BYTES = 1 << 16  # bytes of one read
MAX_WAIT = 0.1  # seconds between two looks whether to end


class _OneTorrent:
    """A ``WireHost`` that knows one torrent, without its metadata."""

    def __init__(self, info_hash: bytes) -> None:
        self._torrent = WireTorrent(info_hash, None, lambda: Bitfield(0))

    def info_hashes(self) -> Iterable[bytes]:
        return [self._torrent.info_hash]

    def find(self, info_hash: bytes) -> WireTorrent | None:
        return self._torrent if info_hash == self._torrent.info_hash else None

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        return ""


class MetadataDial:
    """``run`` returns the metadata of ``info_hash`` from ``peer``. See ``Transport.fetch_metadata``.

    ``peer_id``: this node's. ``host``: the address to dial from. ``tap`` sees all messages.
    """

    def __init__(
        self,
        peer: Peer,
        info_hash: bytes,
        peer_id: bytes,
        encryption: Encryption,
        on_progress: Callable[[int, int], None],
        closing: Callable[[], bool],
        tap: Tap = NO_TAP,
    ) -> None:
        self._peer = peer
        self._info_hash = info_hash
        self._config = WireConfig(peer_id, _OneTorrent(info_hash), encryption, peer_host=peer.host)
        self._on_progress = on_progress
        self._closing = closing
        self._tap = tap
        self._metadata: bytes | None = None

    def run(self, host: str) -> bytes:
        """Dial in each way that the policy allows, until the peer answers a handshake. PeerFault."""
        fault = PeerFault("cannot be dialled")
        for way in WAYS[self._config.encryption]:
            wire: PeerWire | None = None
            try:
                with dial(self._peer, host) as sock:
                    stream = self._tap.stream(sock.getsockname()[:2], self._peer.addr, True)
                    config = replace(self._config, tap=stream)
                    wire = make_wire(config, time.monotonic(), self._info_hash, way is Way.ENCRYPTED)
                    try:
                        return self._converse(wire, sock)
                    finally:
                        stream.closed()
            except OSError as error:
                fault = PeerFault(f"closed the connection ({error.strerror or error})")
            except PeerFault as error:
                fault = error
            if wire is not None and wire.peer is not None:
                break
        raise fault

    def _converse(self, wire: PeerWire, sock: socket.socket) -> bytes:
        sock.setblocking(True)
        while self._metadata is None:
            if self._closing():
                raise PeerFault("not needed any more")
            now = time.monotonic()
            if data := wire.data_to_send(now):
                sock.sendall(data)
            due = wire.next_timer()
            wait = MAX_WAIT if due is None else min(MAX_WAIT, max(0.0, due - now))
            if select.select([sock], [], [], wait)[0]:
                received = sock.recv(READ_BYTES)
                now = time.monotonic()
                self._take(wire, wire.receive(received, now) if received else wire.on_closed(), now)
            else:
                now = time.monotonic()
                self._take(wire, wire.on_timer(now) if due is not None and due <= now else [], now)
        return self._metadata

    def _take(self, wire: PeerWire, events: list[ev.WireEvent], now: float) -> None:
        for event in events:
            match event:
                case ev.PeerIdentified():
                    self._take(wire, wire.fetch_metadata(now, MAX_METADATA_BYTES), now)
                case ev.MetadataProgress():
                    self._on_progress(event.received, event.size)
                case ev.MetadataComplete():
                    self._metadata = event.raw_info
                case ev.MetadataFailed() | ev.WireFailed() if self._metadata is None:
                    raise event.fault
