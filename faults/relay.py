"""A path with faults between real sockets: the relay forwards datagrams to the target and back.

    client ──▶ relay.addr ──there──▶ target        each client has a socket towards the target,
    client ◀── relay.addr ◀──back─── target        which therefore sees different addresses

One thread does it all, in real time. So a seed repeats the fate of each datagram, but not their order.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import threading
import time

from faults.link import Link, LinkFaults

Address = tuple[str, int]

MAX_CLIENTS = 64  # further clients are not served
MAX_HELD = 10_000  # datagrams under way in the relay; further datagrams are dropped
STOP_CHECK = 0.1  # seconds after which the thread looks whether it should end
BUFFER = 65_535  # bytes; no datagram is larger
SOCKET_BUFFER = 4 << 20  # bytes to ask for: the only faults should be those of the links


class FaultyRelay:
    """Relays between clients, which send to ``addr``, and ``target``. A context manager with a thread."""

    def __init__(
        self, target: Address, there: LinkFaults, back: LinkFaults, seed: int, host: str = "127.0.0.1"
    ) -> None:
        self.links: dict[Address, tuple[Link, Link]] = {}  # there and back, by client
        self._target, self._faults, self._seed = target, (there, back), seed
        self._front = _socket(host)
        self._upstream: dict[Address, socket.socket] = {}
        self._held: list[tuple[float, int, socket.socket, Address, bytes]] = []
        self._count = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faulty relay", daemon=True)

    @property
    def addr(self) -> Address:
        """The address that clients send to."""
        host, port = self._front.getsockname()[:2]
        return host, port

    def __enter__(self) -> FaultyRelay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._selector.close()
        for sock in (self._front, *self._upstream.values()):
            sock.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._deliver()
            wait = self._held[0][0] - time.monotonic() if self._held else STOP_CHECK
            for key, _ in self._selector.select(max(0.0, min(wait, STOP_CHECK))):
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(OSError):  # nothing to read, or an ICMP error
                    self._receive(key.fileobj, key.data)

    def _receive(self, sock: socket.socket, client: Address | None) -> None:
        """Take one datagram: from a client if ``client`` is None, else from the target for ``client``."""
        datagram, addr = sock.recvfrom(BUFFER)
        if client is None:
            upstream = self._upstream_of(addr[:2])
            if upstream is not None:
                self._hold(self.links[addr[:2]][0], datagram, upstream, self._target)
        else:
            self._hold(self.links[client][1], datagram, self._front, client)

    def _upstream_of(self, client: Address) -> socket.socket | None:
        if client not in self._upstream and len(self._upstream) < MAX_CLIENTS:
            seed = self._seed + 2 * len(self._upstream)
            self.links[client] = (Link(self._faults[0], seed), Link(self._faults[1], seed + 1))
            self._upstream[client] = _socket(self._target[0])
            self._selector.register(self._upstream[client], selectors.EVENT_READ, client)
        return self._upstream.get(client)

    def _hold(self, link: Link, datagram: bytes, sock: socket.socket, to: Address) -> None:
        for when, arriving in link.send(datagram, time.monotonic()):
            if len(self._held) < MAX_HELD:
                heapq.heappush(self._held, (when, next(self._count), sock, to, arriving))

    def _deliver(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic():
            _, _, sock, to, datagram = heapq.heappop(self._held)
            with contextlib.suppress(OSError):
                sock.sendto(datagram, to)


def _socket(host: str) -> socket.socket:
    """A socket on the loopback address of ``host``'s family that never blocks."""
    family, here = (socket.AF_INET6, "::1") if ":" in host else (socket.AF_INET, "127.0.0.1")
    sock = socket.socket(family, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    sock.bind((here, 0))
    sock.setblocking(False)
    return sock
