"""The fetcher's loop: one thread for each peer that is fetched from (the report's ``receive_chunk``).

Send requests while the connection has room, receive, do what is due. Everything that needs thought is in
``connection``; what the download wants is the session's affair.
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
from node.chunk_udp.events import ConnectionConfig
from node.chunk_udp.session_driver import SessionDriver
from node.settings import TransferSettings
from node.transport import DownloadSession, Range

RECEIVES_PER_STEP = 8  # datagrams taken between two looks at what to ask for and at the timers


class Fetcher:
    """Fetches from the peer at ``addr`` for ``session``. A ``PeerConnection``.

    ``host`` is the address of this machine to fetch from; "": any. ``node_id`` is told to the peer.
    """

    def __init__(
        self,
        addr: Address,
        info: Metainfo,
        session: DownloadSession,
        settings: TransferSettings,
        access: CongestionManager | None = None,
        host: str = "",
        node_id: int | None = None,
    ) -> None:
        self._session = session
        self._node_id = node_id
        self._access = access or CongestionManager(settings.download_limit)
        try:
            self._sock = sockets.udp_socket(source_host(host, addr[0]), 0, settings.socket_buffer_size)
        except OSError as error:
            raise PeerFault(f"no socket for it: {error.strerror}") from None
        try:
            self.connection = self._connect(addr, info.info_hash, settings)
        except BaseException:
            self._sock.close()
            raise
        self._driver = SessionDriver(self.connection, info, session)
        self._buffer = memoryview(bytearray(sockets.MAX_RECEIVE))
        self._dry = True  # the socket had nothing more when it was last asked

    def _connect(self, addr: Address, info_hash: bytes, settings: TransferSettings) -> FetchConnection:
        """Ask the system what the path to ``addr`` is like, and make a connection for it."""
        try:
            self._sock.connect(addr)  # from now on the system drops what others send
        except OSError as error:
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        self._sock.setblocking(False)
        segment = sockets.path_segment_size(
            self._sock,
            addr[0],
            settings.segment_size,
            min(settings.loopback_segment_size, settings.max_datagram - wire.HEADER_SIZE),
            settings.datagram_limit,
        )
        largest = min(segment, self._access.largest_datagram - wire.HEADER_SIZE)
        known = largest if sockets.is_loopback(addr[0]) else min(largest, wire.SMALL_SEGMENT)
        terms = ConnectionConfig(
            info_hash,
            secrets.randbits(64),
            known,
            sockets.receive_limit(self._sock, segment),
            settings.owner_timeout,
            largest_segment=largest,
            checked=not sockets.is_loopback(addr[0]) if settings.checked is None else settings.checked,
            node_id=self._node_id,
            poll_phase=random.random(),
        )
        self._batches = sockets.enable_gro(self._sock, segment)
        controller = make_controller(settings.congestion_control, known)
        return FetchConnection(terms, controller, time.monotonic(), self._access.join())

    def run(self) -> None:
        """Fetch until the session wants nothing more; PeerFault if the peer fails. Closes the socket."""
        self.receive_chunk()

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Another peer delivered ``ranges`` first. May be called from any thread."""
        self._driver.cancel(ranges)

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
        """Request, receive, look at the clock. False when there is nothing more to do."""
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
            if self._dry:
                selector.select(timeout)
            for _ in range(RECEIVES_PER_STEP):
                self._dry = not self._receive(time.monotonic())
                if self._dry:
                    break
        if wake_at is not None and wake_at <= (now := time.monotonic()):
            connection.on_timer(now)
        return True

    def _send(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            try:
                self._sock.send(datagram)
            except OSError as error:
                self._survive(error)

    def _receive(self, now: float) -> bool:
        """Take what one receive call gives, hand it over. False if there was nothing."""
        try:
            if self._batches:
                size, step = sockets.receive_batch(self._sock, self._buffer)
            else:
                size = step = self._sock.recv_into(self._buffer)
        except OSError as error:
            self._survive(error)
            return False
        received = self._buffer[:size]
        for at in range(0, size, step or 1):
            self._driver.datagram_received(received[at : at + step], now)
        return True

    def _survive(self, error: OSError) -> None:
        """Handle a failed socket call: an empty socket is fine, a closed port is fine once or twice."""
        if isinstance(error, (BlockingIOError, InterruptedError)) or error.errno == errno.ENOBUFS:
            return  # no buffer for a request is as good as a lost one
        if not isinstance(error, ConnectionError):
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        self.connection.refused(time.monotonic())  # ICMP: nobody listens there (Windows: 10054)


def source_host(host: str, peer_host: str) -> str:
    """The address to send from to ``peer_host``: ``host``, where that can reach it.

    A node is seen at the address that it announces, and nowhere else (a VPN, a second network card). But a
    loopback address reaches only loopback addresses, and IPv4 only IPv4; there the system chooses.
    """
    family, loopback = sockets.family_of(peer_host), sockets.is_loopback(peer_host)
    if host and sockets.family_of(host) == family and sockets.is_loopback(host) == loopback:
        return host
    if loopback:
        return peer_host
    return "::" if family == socket.AF_INET6 else "0.0.0.0"
