"""The output of one connection: messages first, then blocks of the content, within the upload limit.

A message waits for one batch of blocks at most. Behind this sender is the system's send buffer; its unsent
bytes are bounded (``TCP_NOTSENT_LOWAT``), so a cancel or a choke comes in time, and a request of ours is not
delayed by the bytes that we upload. The bound follows the connection's rate: a slow one would hold a message
back for seconds behind what a fast one needs, so that it does not run dry while this thread waits for a
processor.

A batch of blocks goes from the page cache to the socket by ``sendfile``, behind their headers. Where that is
not possible, the blocks are read into a buffer: without ``sendfile``, while the content is unfinished, or if
the payload is encrypted.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections import deque

from common.errors import FileFault, PeerFault, TransientFileFault
from node.peer_tcp.connection import OutgoingBlock, PeerWire
from node.peer_tcp.messages import PIECE_HEADER
from node.rate_limit import RateLimit
from node.transport import ServedTorrent

HEADER_SIZE = PIECE_HEADER.size  # bytes
BATCH = 1 << 20  # bytes of content at a time, sent from the page cache
READ_BATCH = 256 << 10  # bytes of content at a time, read into memory
FIRST_UNSENT = 256 << 10  # bytes that may wait unsent in the system's send buffer, at first
LEAST_UNSENT = 32 << 10  # bytes; the same for a slow connection
MOST_UNSENT = 1 << 20  # bytes; the same for a fast one
UNSENT_SECONDS = 0.25  # of the connection's own rate that may wait unsent
TUNE_INTERVAL = 0.5  # seconds between two looks at that rate
LOOPBACK_CONGESTION = b"reno"  # loopback loses nothing; to pace it as bbr does costs more than the copying
READ_RETRY = 0.05  # seconds before content is read again that could not be read
READ_PATIENCE = 5.0  # seconds of failed reads after which the connection ends


def prepare(sock: socket.socket) -> None:
    """Set the options of a connected socket."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _limit_unsent(sock, FIRST_UNSENT)
    if hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError, ValueError):  # it is not allowed here; an address of no network
            if ipaddress.ip_address(sock.getpeername()[0]).is_loopback:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, LOOPBACK_CONGESTION)


def _limit_unsent(sock: socket.socket, size: int) -> None:
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)


class BlockSender:
    """For the thread that leads the connection."""

    def __init__(self, sock: socket.socket, wire: PeerWire, limit: RateLimit | None) -> None:
        self.uploaded = 0  # bytes of content sent
        self.is_full = False  # the socket takes no more: call ``send`` once it is writable
        self.wait = 0.0  # seconds until ``send`` can go on; 0: nothing waits for time
        self.torrent: ServedTorrent | None = None
        self._sock = sock
        self._wire = wire
        self._limit = limit
        self._flow = None if limit is None else limit.flow()
        self._bytes = memoryview(b"")  # to send before anything else: messages, or encrypted blocks
        self._blocks: deque[OutgoingBlock] = deque()  # taken from the wire; of the first a part may be sent
        self._buffer = memoryview(b"")
        self._unreadable_since: float | None = None
        self._tuned_at = float("-inf")  # when the rate was looked at, and ``uploaded`` then
        self._tuned_uploaded = 0
        self._unsent_limit = FIRST_UNSENT

    @property
    def waiting(self) -> int:
        """Bytes of messages that wait."""
        return len(self._bytes)

    def send(self, now: float) -> None:
        """Send as much as the socket and the upload limit take. OSError of the socket; PeerFault."""
        self.is_full, self.wait = False, 0.0
        if now - self._tuned_at >= TUNE_INTERVAL:
            self._tune(now)
        while not self.is_full:
            if self._bytes:
                self._send_bytes()
            elif not self._is_in_block and (messages := self._wire.data_to_send(now)):
                self._bytes = memoryview(messages)
                if self._limit is not None:  # messages do not wait for a turn
                    self._limit.spend(len(messages), now)
            elif self._blocks or self._wire.has_blocks:
                if not self._send_blocks(now):
                    break
            else:
                break
        if self._flow is not None and (self.is_full or not self._wire.has_blocks):
            self._flow.release(now)  # its turn is over: other connections can use it

    @property
    def _is_in_block(self) -> bool:
        """True if a part of a block was sent, or its header was encrypted: its rest must be next."""
        if not self._blocks:
            return False
        return self._wire.encrypts_payload or len(self._blocks[0].header) < HEADER_SIZE

    def _tune(self, now: float) -> None:
        """Let as much wait unsent as the connection sends in UNSENT_SECONDS."""
        seconds, self._tuned_at = now - self._tuned_at, now
        sent, self._tuned_uploaded = self.uploaded - self._tuned_uploaded, self.uploaded
        if sent and seconds < 2 * TUNE_INTERVAL:  # else it paused: that says nothing about its rate
            wanted = min(MOST_UNSENT, max(LEAST_UNSENT, int(sent / seconds * UNSENT_SECONDS)))
            if not self._unsent_limit <= 2 * wanted <= 4 * self._unsent_limit:
                self._unsent_limit = wanted
                _limit_unsent(self._sock, wanted)

    def _send_bytes(self) -> None:
        try:
            sent = self._sock.send(self._bytes)
        except BlockingIOError:
            sent = 0
        self.is_full = sent < len(self._bytes)
        self._bytes = self._bytes[sent:]

    # ---- blocks

    def _send_blocks(self, now: float) -> bool:
        """Send a batch of blocks. False if none may be sent now."""
        torrent = self.torrent
        if torrent is None or not torrent.is_served:
            raise PeerFault("closed: the torrent is not shared here any more")
        allowed = self._allowed(now)
        if not allowed:
            return False
        try:
            if self._wire.encrypts_payload:
                self._encrypt_blocks(torrent, min(allowed, READ_BATCH), now)
            else:
                self._take_blocks(allowed, now)
                self._send_plain(torrent, allowed, now)
        except TransientFileFault as fault:
            return self._read_later(fault, now)
        except FileFault as fault:
            raise PeerFault(f"closed: {fault}") from None
        self._unreadable_since = None
        return True

    def _take_blocks(self, allowed: int, now: float) -> None:
        """Take blocks from the wire until they make a batch."""
        wanted = allowed - sum([block.length for block in self._blocks])
        if wanted > 0:
            self._blocks.extend(self._wire.next_blocks(wanted, now))

    def _send_plain(self, torrent: ServedTorrent, allowed: int, now: float) -> None:
        """Send the blocks, or as much of them as is allowed and as the socket takes."""
        blocks = self._cut_blocks(allowed)
        try:
            sent = torrent.send_blocks(self._sock, blocks)
            if sent is None:
                blocks = self._cut_blocks(min(allowed, READ_BATCH))
                sent = self._read_and_send(torrent, blocks)
        except BlockingIOError:
            sent = 0
        content = sum([block.length for block in blocks])
        wanted = content + sum([len(block.header) for block in blocks])
        self.is_full = sent < wanted
        if self._flow is not None:
            self._flow.spend(sent, now)
        last = self._blocks[len(blocks) - 1]
        if not self.is_full and blocks[-1].length == last.length:  # nearly always: whole blocks
            self.uploaded += content
            if len(blocks) == len(self._blocks):
                self._blocks.clear()
            for _ in range(min(len(blocks), len(self._blocks))):
                self._blocks.popleft()
        else:
            self._on_sent(sent)

    def _cut_blocks(self, allowed: int) -> list[OutgoingBlock]:
        """The blocks, of the last one only as much as is allowed."""
        if sum([block.length for block in self._blocks]) <= allowed:
            return list(self._blocks)
        blocks = []
        for block in self._blocks:
            if allowed < block.length:
                if allowed:
                    blocks.append(block._replace(length=allowed))
                break
            blocks.append(block)
            allowed -= block.length
        return blocks

    def _read_and_send(self, torrent: ServedTorrent, blocks: list[OutgoingBlock]) -> int:
        """Read the content of all blocks, adjacent ones in one go, and send it with the headers."""
        size = sum(block.length for block in blocks)
        if len(self._buffer) < size:
            self._buffer = memoryview(bytearray(size))
        parts: list[memoryview | bytes] = []
        at = read = 0  # bytes of the buffer that have a place, and that are read
        for number, (header, offset, length) in enumerate(blocks, 1):
            if header:
                parts.append(header)
            parts.append(self._buffer[at : at + length])
            at += length
            if number == len(blocks) or blocks[number].offset != offset + length:
                torrent.read_into(offset + length - (at - read), self._buffer[read:at])
                read = at
        return self._sock.sendmsg(parts)

    def _on_sent(self, sent: int) -> None:
        """The socket took ``sent`` bytes of the blocks, headers included."""
        while sent:
            header, _, length = self._blocks[0]
            of_header = min(sent, len(header))
            of_content = min(sent - of_header, length)
            sent -= of_header + of_content
            self._strike(of_header, of_content)

    def _strike(self, of_header: int, of_content: int) -> None:
        """So many bytes of the first block are done with."""
        header, offset, length = self._blocks[0]
        self.uploaded += of_content
        if of_content == length:
            self._blocks.popleft()
        else:
            self._blocks[0] = OutgoingBlock(header[of_header:], offset + of_content, length - of_content)

    def _encrypt_blocks(self, torrent: ServedTorrent, allowed: int, now: float) -> None:
        """Make blocks into encrypted bytes, which then go out like messages."""
        parts: list[bytes] = []
        while allowed > 0:
            if not self._blocks:
                block = self._wire.next_block(now)
                if block is None:
                    break
                self._blocks.append(block)  # its header is encrypted, so nothing else may come before it
            header, offset, length = self._blocks[0]
            content = memoryview(bytearray(min(length, allowed)))
            torrent.read_into(offset, content)
            parts += (header, self._wire.encrypt(content))
            allowed -= len(content)
            self._strike(len(header), len(content))
        self._bytes = memoryview(b"".join(parts))
        if self._flow is not None:
            self._flow.spend(len(self._bytes), now)

    def _read_later(self, fault: TransientFileFault, now: float) -> bool:
        """A part that gets its final name is back at once; a disk that fails is not."""
        if self._unreadable_since is None:
            self._unreadable_since = now
        if now - self._unreadable_since > READ_PATIENCE:
            raise PeerFault(f"closed: {fault}")
        self.wait = READ_RETRY
        return False

    def _allowed(self, now: float) -> int:
        """Bytes of content that may be sent now; 0: after ``wait`` seconds."""
        if self._flow is None:
            return BATCH
        if not self._flow.has_turn(now):
            self.wait = self._flow.wait(self._flow.limit.quantum, now)  # a turn is a quantum
            if self.wait > 0.0:
                return 0
        return min(BATCH, self._flow.available(now))
