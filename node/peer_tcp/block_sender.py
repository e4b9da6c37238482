"""What one connection sends: messages first, then blocks of the content, within the upload limit.

A message waits for the rest of one block at most. Behind this sender is the system's send buffer; its unsent
bytes are bounded (``TCP_NOTSENT_LOWAT``), so a cancel or a choke comes in time, and a request of ours is not
delayed by the bytes that we upload.
"""

from __future__ import annotations

import contextlib
import socket

from common.errors import FileFault, PeerFault, TransientFileFault
from node.peer_tcp.connection import PeerWire
from node.rate_limit import RateLimit
from node.transport import ServedTorrent

UNSENT_LIMIT = 256 << 10  # bytes that wait in the system's send buffer, of one connection
READ_RETRY = 0.05  # seconds before content is read again that could not be read
READ_PATIENCE = 5.0  # seconds of failed reads after which the connection ends
_MORE = getattr(socket, "MSG_MORE", 0)  # the content follows: one packet for both


def prepare(sock: socket.socket) -> None:
    """Set the options of a connected socket."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LIMIT)


class BlockSender:
    """For the connection's thread only."""

    def __init__(self, sock: socket.socket, wire: PeerWire, limit: RateLimit | None) -> None:
        self.uploaded = 0  # bytes of content sent
        self.is_full = False  # the socket takes no more: call ``send`` once it is writable
        self.wait = 0.0  # seconds until ``send`` can go on; 0: nothing waits for time
        self.torrent: ServedTorrent | None = None
        self._sock = sock
        self._wire = wire
        self._limit = limit
        self._flow = None if limit is None else limit.flow()
        self._head = memoryview(b"")  # messages, the header of a block, or encrypted content
        self._flags = 0  # for the head
        self._offset = self._left = 0  # content of the present block that is not sent
        self._unreadable_since: float | None = None

    @property
    def waiting(self) -> int:
        """Bytes of messages that wait."""
        return len(self._head)

    def send(self, now: float) -> None:
        """Send as much as the socket and the upload limit take. OSError of the socket; PeerFault."""
        self.is_full, self.wait = False, 0.0
        while True:
            if self._head:
                if not self._send_head(now):
                    return
            elif self._left:
                if not self._send_content(now):
                    return
            elif messages := self._wire.data_to_send(now):
                self._head, self._flags = memoryview(messages), 0
                if self._limit is not None:  # messages do not wait for a turn
                    self._limit.spend(len(messages), now)
            elif not self._begin_block(now):
                return

    def _send_head(self, now: float) -> bool:
        try:
            sent = self._sock.send(self._head, self._flags)
        except BlockingIOError:
            self.is_full = True
            return False
        self._head = self._head[sent:]
        return True

    def _begin_block(self, now: float) -> bool:
        """Take the next block that the peer waits for. False if there is none, or none may be sent now."""
        if not self._wire.has_blocks:
            if self._flow is not None:
                self._flow.release(now)
            return False
        if not self._may_send(now):
            return False
        block = self._wire.next_block(now)
        if block is None:
            return False
        self._head, self._flags = memoryview(block.header), _MORE
        self._spend(len(block.header), now)
        self._offset, self._left = block.offset, block.length
        return True

    def _send_content(self, now: float) -> bool:
        length = self._left
        if self._flow is not None:
            if not self._may_send(now):
                return False
            length = min(length, self._flow.available(now))
        torrent = self.torrent
        if torrent is None or not torrent.is_served:
            raise PeerFault("closed: the torrent is not shared here any more")
        try:
            sent = self._send_from(torrent, length, now)
        except BlockingIOError:
            self.is_full = True
            if self._flow is not None:
                self._flow.release(now)  # its turn is over: other connections can use it
            return False
        except TransientFileFault as fault:
            return self._read_later(fault, now)
        except FileFault as fault:
            raise PeerFault(f"closed: {fault}") from None
        self._unreadable_since = None
        self.uploaded += sent
        self._offset += sent
        self._left -= sent
        return True

    def _send_from(self, torrent: ServedTorrent, length: int, now: float) -> int:
        """Send content, or make it the head if it must be encrypted; returns its bytes."""
        if not self._wire.encrypts_payload:
            sent = torrent.send_to(self._sock, self._offset, length)
            self._spend(sent, now)
            return sent
        buffer = memoryview(bytearray(length))
        torrent.read_into(self._offset, buffer)
        self._head, self._flags = memoryview(self._wire.encrypt(buffer)), 0
        self._spend(length, now)
        return length

    def _read_later(self, fault: TransientFileFault, now: float) -> bool:
        """A part that gets its final name is back at once; a disk that fails is not."""
        if self._unreadable_since is None:
            self._unreadable_since = now
        if now - self._unreadable_since > READ_PATIENCE:
            raise PeerFault(f"closed: {fault}") from None
        self.wait = READ_RETRY
        return False

    # ---- the upload limit

    def _may_send(self, now: float) -> bool:
        """True once it is this connection's turn. A turn is a quantum, however little of a block is left."""
        if self._flow is None or self._flow.has_turn(now):
            return True
        self.wait = self._flow.wait(self._flow.limit.quantum, now)
        return self.wait <= 0.0

    def _spend(self, size: int, now: float) -> None:
        if self._flow is not None:
            self._flow.spend(size, now)
