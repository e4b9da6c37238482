"""The loop around a ``MetadataExchange``: one socket, one owner, on the calling thread."""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Callable

from common.errors import PeerFault
from node.chunk_udp import sockets
from node.chunk_udp.address_validation import Address
from node.chunk_udp.fetcher import source_host
from node.chunk_udp.metadata_exchange import MetadataExchange
from node.tap import NO_TAP, Tap

RECEIVE_BUFFER = 1 << 18  # bytes: a window of pages fits many times
MAX_WAIT = 0.1  # seconds between two looks whether to end
MAX_PORT_ERRORS = 3  # reports that no program listens at the address, before it is believed


class TappedSocket:
    """The connected ``sock`` with a tap: datagram by datagram, for the few of a conversation."""

    def __init__(self, sock: socket.socket, tap: Tap, peer: Address) -> None:
        self.sock = sock
        self._tap, self._here, self._peer = tap, sock.getsockname()[:2], peer
        tap.opened(sock)

    def send(self, datagram: bytes) -> None:
        """Send one datagram. OSError."""
        if not self._tap.single or self._tap.passes(datagram, True, self._here, self._peer):
            self.sock.send(datagram)
        self._tap.sent(datagram, (datagram,), 0, self._here, self._peer)

    def receive(self) -> bytes:
        """The next datagram that the tap lets pass. OSError; BlockingIOError if there is none."""
        while True:
            for delayed, _ in self._tap.due(self._here):
                return delayed
            datagram = self.sock.recv(sockets.MAX_RECEIVE)
            if not self._tap.single or self._tap.passes(datagram, False, self._here, self._peer):
                self._tap.received(memoryview(datagram), len(datagram), self._here, self._peer)
                return datagram


def fetch_metadata(
    addr: Address,
    info_hash: bytes,
    host: str,
    on_progress: Callable[[int, int], None],
    closing: Callable[[], bool],
    tap: Tap = NO_TAP,
) -> bytes:
    """The info dictionary of a torrent, from the owner at ``addr``. As ``Transport.fetch_metadata``.

    ``host``: the address of this machine to ask from; "": any. ``tap`` sees all datagrams.
    """
    try:
        sock = sockets.udp_socket(source_host(host, addr[0]), 0, RECEIVE_BUFFER)
    except OSError as error:
        raise PeerFault(f"no socket for it: {error.strerror}") from None
    with sock:
        try:
            sock.connect(addr)  # from now on the system drops datagrams of other senders
        except OSError as error:
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        sock.setblocking(False)
        exchange = MetadataExchange(info_hash, secrets.randbits(64), time.monotonic())
        return _run(exchange, TappedSocket(sock, tap, addr), on_progress, closing)


def _run(
    exchange: MetadataExchange,
    sock: TappedSocket,
    on_progress: Callable[[int, int], None],
    closing: Callable[[], bool],
) -> bytes:
    port_errors = 0
    while exchange.metadata is None:
        if closing():
            raise PeerFault("not needed any more")
        try:
            now = time.monotonic()
            for datagram in exchange.datagrams_to_send(now):
                sock.send(datagram)
            select.select([sock.sock], [], [], min(MAX_WAIT, max(0.0, exchange.next_timer() - now)))
            while exchange.metadata is None:
                exchange.datagram_received(sock.receive(), time.monotonic())
        except (BlockingIOError, InterruptedError):
            on_progress(exchange.received, exchange.size or 0)
        except ConnectionError:  # ICMP: port closed (Windows: 10054)
            port_errors += 1
            if port_errors >= MAX_PORT_ERRORS:
                raise PeerFault("no program listens at its address") from None
        except OSError as error:
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
    return exchange.metadata
