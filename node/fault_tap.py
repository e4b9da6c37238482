"""Faults on a real node, without root: ``-faults`` applied to its datagrams and messages.

    sent        ─▶ exact rules, then a Link ─▶ the socket, now or (the thread "faults") later
    received    ─▶ exact rules, then a Link ─▶ handled now, or once ``due``

``node.message_faults`` decides. Over TCP the connection itself holds its messages back
(``node.peer_tcp.faulty_wire``).

While a node has faults, each datagram is a call of its own, payloads have checksums also over loopback, and
segments have the size of a real network's. Otherwise a loss would cost 64 KiB, and damage would look like a
lie.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from common.logs import log
from faults.exact import ExactFaults
from faults.spec import FaultSpec
from node.message_faults import MessageFaults, OnHit
from node.settings import TransferSettings
from node.tap import Address, Buffer, DatagramSocket, StreamFaults, StreamTap, Tap

SEGMENT = 1440  # bytes of content in a datagram while there are faults
MAX_HELD = 10_000  # datagrams that are held back; further ones are dropped
LEAST_WAIT = 0.001  # seconds
MAX_OPEN = 1024  # sockets that are remembered
MAX_NAMES = 4096  # addresses whose node number is remembered


def with_faults(settings: TransferSettings) -> TransferSettings:
    """``settings`` for a node with faults."""
    return replace(settings, checked=True, segment_size=SEGMENT, loopback_segment_size=SEGMENT)


class FaultTap(Tap):
    """Applies ``spec``. ``piece_length()``: of the torrent in use, in bytes; 0: no torrent.

    ``on_hit`` is called for each message that an exact rule hits.
    """

    single = True

    def __init__(
        self,
        spec: FaultSpec,
        own_id: int | None,
        piece_length: Callable[[], int],
        on_hit: OnHit = lambda rule, message: None,
    ) -> None:
        self._on_hit = on_hit
        self._lock = threading.Condition()  # guards all that follows
        self._faults = MessageFaults(spec, own_id, piece_length, self._hits)
        self._sockets: dict[Address, DatagramSocket] = {}
        self._outgoing: list[tuple[float, int, Address, Address, bytes]] = []
        self._incoming: dict[Address, list[tuple[float, int, bytes, Address]]] = {}
        self._count = itertools.count()
        self._closed = False
        self.set(spec)
        threading.Thread(target=self._send_held, name="faults", daemon=True).start()

    @property
    def exact(self) -> ExactFaults:
        """The rules, and what they hit."""
        return self._faults.exact

    def set(self, spec: FaultSpec) -> None:
        """From now on these faults; an empty specification: none."""
        with self._lock:
            self._faults.set(spec)
        log(f"faults: {spec.text or 'none'}")

    def _hits(self, rule: str, message: str) -> None:
        log(f"fault: {rule} hits {message}")
        self._on_hit(rule, message)

    def close(self) -> None:
        """Hold nothing back any more."""
        with self._lock:
            self._closed = True
            self._lock.notify()

    # ---- datagrams

    def opened(self, sock: DatagramSocket) -> None:
        """A UDP socket of this node."""
        with self._lock, contextlib.suppress(OSError):
            self._sockets[sock.getsockname()[:2]] = sock
            if len(self._sockets) > MAX_OPEN:
                del self._sockets[next(iter(self._sockets))]

    def introduce(self, peer: Address, node_id: int) -> None:
        """See ``Tap``."""
        names = self._faults.names
        if len(names) >= MAX_NAMES:
            names.clear()
        names[peer] = node_id

    def passes(self, datagram: Buffer, outgoing: bool, here: Address, peer: Address) -> bool:
        """True: as if nothing were. False: the datagram is lost, or held back."""
        with self._lock:
            if self._faults.spec.is_empty:
                return True
            data, now = bytes(datagram), time.monotonic()
            arrivals = self._faults.datagram(data, outgoing, peer, now)
            if len(arrivals) == 1 and arrivals[0] == (now, data):
                return True
            for when, arriving in arrivals:
                self._hold(when, arriving, outgoing, here, peer)
            return False

    def due(self, here: Address) -> list[tuple[bytes, Address]]:
        """Datagrams that were held back before the socket at ``here``, and are to be handled now."""
        if not self._incoming:
            return []
        with self._lock:
            held, found = self._incoming.get(here, []), list[tuple[bytes, Address]]()
            while held and held[0][0] <= time.monotonic():
                _, _, data, peer = heapq.heappop(held)
                found.append((data, peer))
            if not held:
                self._incoming.pop(here, None)
            return found

    def wait(self, here: Address) -> float:
        """See ``Tap``."""
        with self._lock:
            held = self._incoming.get(here)
            return max(LEAST_WAIT, held[0][0] - time.monotonic()) if held else float("inf")

    def _hold(self, when: float, data: bytes, outgoing: bool, here: Address, peer: Address) -> None:
        number = next(self._count)
        if outgoing and len(self._outgoing) < MAX_HELD:
            heapq.heappush(self._outgoing, (when, number, here, peer, data))
            self._lock.notify()
        elif not outgoing:
            held = self._incoming.setdefault(here, [])
            if len(held) < MAX_HELD:
                heapq.heappush(held, (when, number, data, peer))

    def _send_held(self) -> None:
        """The thread that sends datagrams later."""
        while True:
            with self._lock:
                if self._closed:
                    return
                wait = self._outgoing[0][0] - time.monotonic() if self._outgoing else None
                if wait is None or wait > 0:
                    self._lock.wait(wait)
                    continue
                _, _, here, peer, data = heapq.heappop(self._outgoing)
                sock = self._sockets.get(here)
            if sock is not None:
                with contextlib.suppress(OSError, ValueError):
                    _send(sock, data, peer)

    # ---- the peer wire

    def stream(self, here: Address, peer: Address, dialled: bool) -> StreamTap:
        """See ``Tap``."""
        with self._lock:
            return _FaultyStream(self._faults.connection(peer, self._lock))


class _FaultyStream(StreamTap):
    def __init__(self, faults: StreamFaults) -> None:
        self.faults = faults


def _send(sock: DatagramSocket, data: bytes, peer: Address) -> None:
    """Over a connected socket, or one that is not."""
    try:
        sock.send(data)
    except OSError:
        sock.sendto(data, peer)
