"""The fetcher's loop: one thread for each peer that is fetched from (the report's ``receive_chunk``).

Send requests while the connection has room, receive, do what is due. All decisions are in ``connection``,
and the session decides what the download wants.
"""

from __future__ import annotations

import errno
import random
import secrets
import selectors
import socket
import time
from collections.abc import Sequence

from common.errors import PeerFault
from common.metainfo import Metainfo
from node.chunk_udp import sockets, wire
from node.chunk_udp.address_validation import Address
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.datagram_size import largest_datagram
from node.chunk_udp.events import ConnectionConfig
from node.chunk_udp.session_driver import SessionDriver
from node.notes import ConnectionSample
from node.rate_limit import RateLimit
from node.settings import TransferSettings
from node.tap import NO_TAP, Tap
from node.transport import DownloadSession, Range

RECEIVES_PER_STEP = 8  # datagrams handled before the next look at requests and timers


class Fetcher:
    """Fetches from the peer at ``addr`` for ``session``. A ``PeerConnection``.

    ``host`` is the address of this machine to fetch from; "": any. ``node_id`` is sent to the peer.
    ``manager``, ``limit`` and ``tap`` are shared by all connections of the node.
    """

    def __init__(
        self,
        addr: Address,
        info: Metainfo,
        session: DownloadSession,
        settings: TransferSettings,
        manager: CongestionManager | None = None,
        limit: RateLimit | None = None,
        host: str = "",
        node_id: int | None = None,
        tap: Tap = NO_TAP,
    ) -> None:
        self._session = session
        self._tap, self._peer = tap, addr
        try:
            self._sock = sockets.udp_socket(source_host(host, addr[0]), 0, settings.socket_buffer_size)
        except OSError as error:
            raise PeerFault(f"no socket for it: {error.strerror}") from None
        try:
            config = self._connect(addr, info.info_hash, settings, largest_datagram(limit), node_id)
            controller = make_controller(settings.congestion_control, config.segment_size)
            flow = (manager or CongestionManager()).join()
        except BaseException:
            self._sock.close()
            raise
        self.connection = FetchConnection(config, controller, time.monotonic(), flow, limit)
        self._driver = SessionDriver(self.connection, info, session)
        self._buffer = memoryview(bytearray(sockets.MAX_RECEIVE))
        self._drained = True  # the last receive call found nothing

    def _connect(
        self,
        addr: Address,
        info_hash: bytes,
        settings: TransferSettings,
        max_datagram: int,
        node_id: int | None,
    ) -> ConnectionConfig:
        """Connect the socket, and ask the system about the path to ``addr``."""
        try:
            self._sock.connect(addr)  # from now on the system drops datagrams of other senders
        except OSError as error:
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        self._here: Address = self._sock.getsockname()[:2]
        self._sock.setblocking(False)
        segment = sockets.path_segment_size(
            self._sock,
            addr[0],
            settings.segment_size,
            min(settings.loopback_segment_size, settings.max_datagram - wire.HEADER_SIZE),
            settings.datagram_limit,
        )
        if self._tap.single:
            self._tap.opened(self._sock)
        self._gro = not self._tap.single and sockets.enable_gro(self._sock, segment)
        loopback = sockets.is_loopback(addr[0])
        largest = min(segment, max_datagram - wire.HEADER_SIZE)
        return ConnectionConfig(
            info_hash,
            secrets.randbits(64),
            largest if loopback else min(largest, wire.SMALL_SEGMENT),
            sockets.receive_limit(self._sock, segment),
            settings.owner_timeout,
            largest_segment=largest,
            checked=not loopback if settings.checked is None else settings.checked,
            node_id=node_id,
            poll_phase=random.random(),
        )

    def run(self) -> None:
        """Fetch until the session wants nothing more; PeerFault if the peer fails. Closes the socket."""
        self.receive_chunk()

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Another peer delivered ``ranges`` first. May be called from any thread."""
        self._driver.cancel(ranges)

    def sample(self) -> ConnectionSample:
        """The limits of the requests now. May be called from any thread."""
        tracker, rtt = self.connection.tracker, self.connection.rtt
        return ConnectionSample(
            tracker.window, rtt.smoothed if rtt.measured else None, tracker.in_flight.bytes
        )

    def receive_chunk(self) -> None:
        """``run``, by the name that the course report gives it."""
        try:
            with self._sock, self._selector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                while self._step(selector):
                    pass
        finally:
            self._driver.end()

    @staticmethod
    def _selector() -> selectors.BaseSelector:
        try:
            return selectors.DefaultSelector()
        except OSError as error:
            raise PeerFault(f"no socket for it: {error.strerror}") from None

    def _step(self, selector: selectors.BaseSelector) -> bool:
        """Request, receive, look at the timers. False when there is nothing more to do."""
        connection, session = self.connection, self._session
        if session.closing:
            return False
        now = time.monotonic()
        self._send(self._driver.datagrams_to_send(now))
        wake_at = connection.next_timer()
        timeout = None if wake_at is None else max(0.0, wake_at - now)
        if connection.idle:
            if not session.wait_for_work(timeout):
                return False
        else:
            if self._tap.single:
                timeout = self._take_delayed(timeout)
            if self._drained:
                selector.select(timeout)
            for _ in range(RECEIVES_PER_STEP):
                self._drained = not self._receive(time.monotonic())
                if self._drained:
                    break
        if wake_at is not None and wake_at <= (now := time.monotonic()):
            connection.on_timer(now)
        return True

    def _take_delayed(self, timeout: float | None) -> float | None:
        """Handle datagrams that the tap delayed until now; ``timeout``, or less if it delays others."""
        for datagram, _ in self._tap.due(self._here):
            self._tap.received(memoryview(datagram), len(datagram), self._here, self._peer)
            self._driver.datagram_received(memoryview(datagram), time.monotonic())
        wait = self._tap.wait(self._here)
        return timeout if wait == float("inf") else min(wait, wait if timeout is None else timeout)

    def _send(self, datagrams: Sequence[bytes]) -> None:
        tap = self._tap
        for datagram in datagrams:
            try:
                if not tap.single or tap.passes(datagram, True, self._here, self._peer):
                    self._sock.send(datagram)
            except OSError as error:
                self._on_socket_error(error)
            else:
                tap.sent(datagram, (datagram,), 0, self._here, self._peer)

    def _receive(self, now: float) -> bool:
        """Hand over the datagrams of one receive call. False if there were none."""
        try:
            if self._gro:
                size, step = sockets.receive_batch(self._sock, self._buffer)
            else:
                size = step = self._sock.recv_into(self._buffer)
        except OSError as error:
            self._on_socket_error(error)
            return False
        received = self._buffer[:size]
        if self._tap.single and not self._tap.passes(received, False, self._here, self._peer):
            return True
        self._tap.received(received, step, self._here, self._peer)
        for at in range(0, size, step or 1):
            self._driver.datagram_received(received[at : at + step], now)
        return True

    def _on_socket_error(self, error: OSError) -> None:
        """An empty socket is fine, a closed port is fine once or twice. Any other error is a fault."""
        if isinstance(error, (BlockingIOError, InterruptedError)) or error.errno == errno.ENOBUFS:
            return  # a request that finds no buffer is like a lost request
        if not isinstance(error, ConnectionError):
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        self.connection.on_port_error(time.monotonic())  # ICMP: port closed (Windows: 10054)


def source_host(host: str, peer_host: str) -> str:
    """The address to send from to ``peer_host``: ``host``, where that can reach it.

    A node is seen at the address that it announces, even if the machine has others (a VPN, a second network
    card). But a loopback address reaches only loopback addresses, and IPv4 only IPv4. There the system
    chooses.
    """
    family, loopback = sockets.family_of(peer_host), sockets.is_loopback(peer_host)
    if host and sockets.family_of(host) == family and sockets.is_loopback(host) == loopback:
        return host
    if loopback:
        return peer_host
    return "::" if family == socket.AF_INET6 else "0.0.0.0"
