"""Sends messages, and content as segments: many segments in one system call where Linux can split them."""

from __future__ import annotations

import errno
import socket
from collections import Counter, OrderedDict

from node.chunk_udp import sockets, wire
from node.chunk_udp.address_validation import Address
from node.chunk_udp.drr_queue import SendBatch
from node.tap import NO_TAP, Tap

MAX_PATHS = 1024  # path limits that are remembered


class SegmentSender:
    """Sends over ``sock``, whose calls block for half a second at most. ``counts`` gets the failures.

    ``tap`` sees all datagrams that were sent.
    """

    def __init__(self, sock: socket.socket, counts: Counter[str], tap: Tap = NO_TAP) -> None:
        self._sock = sock
        self._tap, self._here = tap, sock.getsockname()[:2]
        self._counts = counts
        self._gso = sockets.supports_gso(sock) and not tap.single
        self._headers = memoryview(bytearray(wire.HEADER_SIZE * wire.MAX_SEGMENTS_PER_REQUEST))
        self._limits: OrderedDict[str, int] = OrderedDict()  # host -> bytes of file in a segment
        self.blocked = False  # the send buffer is full; the caller that waits for room clears this

    def path_limit(self, host: str) -> int:
        """Bytes of file that a datagram to ``host`` may carry, as far as this system knows."""
        return self._limits.get(host, wire.MAX_SEGMENT)

    def send_message(self, message: wire.Message, addr: Address) -> int:
        """Returns the bytes sent: the whole datagram, or 0."""
        datagram = wire.encode(message)
        return len(datagram) if self._send([datagram], addr) else 0

    def send_segments(self, batch: SendBatch, payload: memoryview) -> int:
        """Send ``payload``, the content of ``batch``. Returns the bytes of it that were sent.

        Fewer than all if the system is ``blocked``, or if the path does not carry such segments. In the
        second case the rest would be lost as well.
        """
        self.blocked = False
        per_call = wire.MAX_DATAGRAM // (batch.segment + wire.HEADER_SIZE) if self._gso else 1
        step = batch.segment * max(1, min(per_call, wire.MAX_SEGMENTS_PER_REQUEST))
        for at in range(0, len(payload), step):
            if not self._send_call(batch, batch.offset + at, payload[at : at + step]):
                return at
        return len(payload)

    def _send_call(self, batch: SendBatch, offset: int, payload: memoryview) -> bool:
        """The segments of one system call. False if they could not be sent."""
        request, segment = batch.request, batch.segment
        buffers: list[memoryview] = []
        for at in range(0, len(payload), segment):
            head = len(buffers) // 2 * wire.HEADER_SIZE
            part = payload[at : at + segment]
            wire.pack_data_header(
                self._headers, head, request.transfer_id, request.sequence, offset + at, part, request.checked
            )
            buffers += (self._headers[head : head + wire.HEADER_SIZE], part)
        size = segment + wire.HEADER_SIZE if len(buffers) > 2 else 0
        return self._send(buffers, batch.addr, size, request.length <= request.segment_size)

    def _send(
        self,
        buffers: list[memoryview] | list[bytes],
        addr: Address,
        segment: int = 0,
        probing: bool = False,
    ) -> bool:
        """One datagram, or (``segment`` > 0) a batch that the system splits. False if not sent.

        ``probing``: the request asked for one segment, perhaps to probe the path. Silence is the answer to a
        probe that is too large; it does not make the segments of other requests smaller.
        """
        try:
            if not self._tap.single or self._tap.passes(b"".join(buffers), True, self._here, addr):
                sockets.send_parts(self._sock, buffers, addr, segment)
        except (BlockingIOError, TimeoutError):
            self.blocked = True
            return False
        except OSError as error:
            self._counts["unsent"] += 1
            too_large = segment > wire.SMALL_SEGMENT + wire.HEADER_SIZE and error.errno == errno.EINVAL
            if too_large or error.errno == errno.EMSGSIZE:  # the path carries less than the request wants
                if not probing:
                    self._remember(addr[0])
            elif segment and error.errno in (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP):
                self._gso = False  # this network device cannot split: from now on each segment is a call
            return False
        heads = self._headers[: wire.HEADER_SIZE * (len(buffers) // 2)] if len(buffers) > 1 else buffers[0]
        self._tap.sent(heads, buffers, segment, self._here, addr)
        return True

    def _remember(self, host: str) -> None:
        self._limits[host] = wire.SMALL_SEGMENT
        if len(self._limits) > MAX_PATHS:
            self._limits.popitem(last=False)
