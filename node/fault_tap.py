"""Faults on a real node, without root: ``-faults`` applied to its datagrams and messages.

    sent        ─▶ exact rules, then a Link ─▶ the socket, now or (the thread "faults") later
    received    ─▶ exact rules, then a Link ─▶ handled now, or once ``due``

Over TCP a message can be dropped exactly, and named nodes are cut off. Loss by chance is left to TCP, which
repeats what is lost.

While a node has faults, each datagram is a call of its own, payloads have checksums also over loopback, and
segments have the size of a real network's. Otherwise a loss would
cost 64 KiB, and damage would look like a lie.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from common.errors import WireError
from common.logs import log
from faults.exact import ExactFaults, Facts
from faults.link import Link, LinkFaults, damaged
from faults.spec import FaultSpec, Rule
from node.chunk_udp import wire
from node.peer_tcp import messages as m
from node.settings import TransferSettings
from node.tap import Address, Buffer, DatagramSocket, StreamTap, Tap

SEGMENT = 1440  # bytes of content in a datagram while there are faults
MAX_HELD = 10_000  # datagrams that are held back; further ones are dropped
LEAST_WAIT = 0.001  # seconds
MAX_OPEN = 1024  # sockets that are remembered
_NAMES: dict[type, str] = {m.Block: "piece", m.BlockRequest: "request", m.PieceSet: "bitfield"}  # as in BEP 3


def with_faults(settings: TransferSettings) -> TransferSettings:
    """``settings`` for a node with faults."""
    return replace(settings, checked=True, segment_size=SEGMENT, loopback_segment_size=SEGMENT)


class FaultTap(Tap):
    """Applies ``spec``. ``piece_length()``: of the torrent in use, in bytes; 0: no torrent."""

    single = True

    def __init__(self, spec: FaultSpec, own_id: int | None, piece_length: Callable[[], int]) -> None:
        self._own_id, self._piece_length = own_id, piece_length
        self._lock = threading.Condition()  # guards all that follows
        self._names: dict[Address, int] = {}
        self._sockets: dict[Address, DatagramSocket] = {}
        self._outgoing: list[tuple[float, int, Address, Address, bytes]] = []
        self._incoming: dict[Address, list[tuple[float, int, bytes, Address]]] = {}
        self._count = itertools.count()
        self._closed = False
        self.set(spec)
        threading.Thread(target=self._send_held, name="faults", daemon=True).start()

    def set(self, spec: FaultSpec) -> None:
        """From now on these faults; an empty specification: none."""
        with self._lock:
            self.spec = spec
            self.exact = ExactFaults(spec.rules)
            self._links = Link(spec.link, spec.seed), Link(spec.link, spec.seed + 1)
        log(f"faults: {spec.text or 'none'}")

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
        self._names[peer] = node_id

    def passes(self, datagram: Buffer, outgoing: bool, here: Address, peer: Address) -> bool:
        """True: as if nothing were. False: the datagram is lost, or held back."""
        with self._lock:
            if self.spec.is_empty:
                return True
            data, now = bytes(datagram), time.monotonic()
            arrivals = self._arrivals(data, outgoing, peer, now)
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

    def _arrivals(self, data: bytes, outgoing: bool, peer: Address, now: float) -> list[tuple[float, bytes]]:
        other = self._names.get(peer)
        if other is not None and other in self.spec.cut_off:
            return []
        self.exact.piece_length = self._piece_length()
        ends = (self._own_id, other) if outgoing else (other, self._own_id)
        rule = self.exact.hit(_facts(data, *ends)) if self.spec.rules else None
        if rule is not None:
            way = "to" if outgoing else "from"
            log(f"fault: {rule.text} hits {_facts(data, *ends).message} {way} {other or peer}")
            return _after(rule, data, now)
        if self.spec.link == LinkFaults():
            return [(now, data)]
        return self._links[outgoing].send(data, now)

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
        return _FaultyStream(self, peer)

    def takes(self, message: object, peer: Address) -> bool:
        """False: this message from ``peer`` is lost, or its node is cut off."""
        with self._lock:
            other = self._names.get(peer)
            if other is not None and other in self.spec.cut_off:
                return False
            self.exact.piece_length = self._piece_length()
            rule = self.exact.hit(_stream_facts(message, self.exact.piece_length, other, self._own_id))
        if rule is not None:
            log(f"fault: {rule.text} hits {type(message).__name__} from {peer}")
        return rule is None or rule.action == "delay"


class _FaultyStream(StreamTap):
    single = True

    def __init__(self, tap: FaultTap, peer: Address) -> None:
        self._tap, self._peer = tap, peer

    def took(self, message: object) -> bool:
        return self._tap.takes(message, self._peer)


def _after(rule: Rule, data: bytes, now: float) -> list[tuple[float, bytes]]:
    """The datagrams that a rule leaves of one, and their times."""
    if rule.action == "drop":
        return []
    if rule.action == "delay":
        return [(now + rule.seconds, data)]
    return [(now, damaged(data, 0.999, 0.5))]  # a byte near its end: of the payload, if it has one


def _facts(data: bytes, sender: int | None, receiver: int | None) -> Facts:
    """The facts for the rules, of a datagram of the classroom transport."""
    try:
        message = wire.decode(data)
    except WireError:
        return Facts("MALFORMED", None, None, sender, receiver)
    span = None
    if isinstance(message, (wire.Data, wire.Request)):
        length = len(message.payload) if isinstance(message, wire.Data) else message.length
        span = (message.offset, message.offset + length)
    name = "METADATA" if isinstance(message, wire.MetadataPage) else type(message).__name__.upper()
    return Facts(name, message.sequence, span, sender, receiver)


def _stream_facts(message: object, piece_length: int, sender: int | None, receiver: int | None) -> Facts:
    """The same of a message of the peer wire. It has no number."""
    span = None
    if isinstance(message, m.Block):
        begin = message.piece * piece_length + message.begin + message.at
        span = (begin, begin + len(message.data))
    name = _NAMES.get(type(message)) or re.sub(r"(?<!^)(?=[A-Z])", " ", type(message).__name__)
    return Facts(name.upper(), None, span, sender, receiver)


def _send(sock: DatagramSocket, data: bytes, peer: Address) -> None:
    """Over a connected socket, or one that is not."""
    try:
        sock.send(data)
    except OSError:
        sock.sendto(data, peer)
