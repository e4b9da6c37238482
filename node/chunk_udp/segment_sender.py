"""Sending: messages one by one, chunks as segments, many of them to a system call where it can split them."""

from __future__ import annotations

import errno
import socket
from collections import Counter, OrderedDict

from node.chunk_udp import sockets, wire
from node.chunk_udp.address_validation import Address
from node.chunk_udp.drr_queue import SendBatch

MAX_PATHS = 1024  # hosts whose path's limit is kept


class SegmentSender:
    """Sends over ``sock``, which blocks for half a second at most. ``counts``: where failures are counted."""

    def __init__(self, sock: socket.socket, counts: Counter[str]) -> None:
        self._sock = sock
        self._counts = counts
        self._batches = sockets.supports_gso(sock)
        self._headers = memoryview(bytearray(wire.HEADER_SIZE * wire.MAX_SEGMENTS_PER_REQUEST))
        self._limits: OrderedDict[str, int] = OrderedDict()  # host -> bytes of file in a segment
        self.blocked = False  # the system takes no more just now; whoever waits until it does clears this

    def path_limit(self, host: str) -> int:
        """Bytes of file that a datagram to ``host`` may carry, as far as this system has said."""
        return self._limits.get(host, wire.MAX_SEGMENT)

    def send_message(self, message: wire.Message, addr: Address) -> int:
        """Bytes sent: all of the datagram, or none."""
        datagram = wire.encode(message)
        return len(datagram) if self._send([datagram], addr) else 0

    def send_segments(self, portion: SendBatch, payload: memoryview) -> int:
        """Send ``payload``, which is what ``portion`` says; bytes of it that were sent.

        Less than all: the system is ``blocked``, or the path does not take it: the rest is better not sent.
        """
        self.blocked = False
        per_call = wire.MAX_DATAGRAM // (portion.segment + wire.HEADER_SIZE) if self._batches else 1
        step = portion.segment * max(1, min(per_call, wire.MAX_SEGMENTS_PER_REQUEST))
        for at in range(0, len(payload), step):
            if not self._send_batch(portion, portion.offset + at, payload[at : at + step]):
                return at
        return len(payload)

    def _send_batch(self, portion: SendBatch, offset: int, payload: memoryview) -> bool:
        """One call's worth of segments; False if it could not be sent."""
        request, segment = portion.request, portion.segment
        buffers: list[memoryview] = []
        for at in range(0, len(payload), segment):
            head = len(buffers) // 2 * wire.HEADER_SIZE
            part = payload[at : at + segment]
            wire.pack_data_header(
                self._headers, head, request.transfer_id, request.sequence, offset + at, part, request.checked
            )
            buffers += (self._headers[head : head + wire.HEADER_SIZE], part)
        size = segment + wire.HEADER_SIZE if len(buffers) > 2 else 0
        return self._send(buffers, portion.addr, size, request.length <= request.segment_size)

    def _send(
        self,
        buffers: list[memoryview] | list[bytes],
        addr: Address,
        segment: int = 0,
        probing: bool = False,
    ) -> bool:
        """One datagram, or (``segment`` > 0) one batch split by the system; False if it could not be sent.

        ``probing``: one segment was asked for, perhaps to learn whether the path carries it. Silence says
        that it does not; the segments of larger requests are no concern of a probe.
        """
        try:
            sockets.send_parts(self._sock, buffers, addr, segment)
        except (BlockingIOError, TimeoutError):
            self.blocked = True
            return False
        except OSError as error:
            self._counts["unsent"] += 1
            too_large = segment > wire.SMALL_SEGMENT + wire.HEADER_SIZE and error.errno == errno.EINVAL
            if too_large or error.errno == errno.EMSGSIZE:  # the path carries less than was asked for
                if not probing:
                    self._remember(addr[0])
            elif segment and error.errno in (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP):
                self._batches = False  # this device cannot split; from now on we do
            return False
        return True

    def _remember(self, host: str) -> None:
        self._limits[host] = wire.SMALL_SEGMENT
        if len(self._limits) > MAX_PATHS:
            self._limits.popitem(last=False)
