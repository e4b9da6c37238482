"""The owner's loop: one listening thread answers everybody (the report's ``listen``).

Receive a datagram, let ``Answerer`` decide, send what it says. A chunk is read from the file into one
reused buffer and sent from there, as many segments to a system call as the system takes.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from common.errors import FileFault, PassingFault
from node.chunk_udp import sockets, wire
from node.chunk_udp.answers import Answerer, SendChunk, Shared
from node.chunk_udp.tokens import Address, TokenMint

MAX_REMEMBERED = 1024  # addresses whose totals and path limits are kept
STOP_CHECK = 0.5  # seconds after which the loop looks whether it shall end, if nothing wakes it


class SharedContent(Shared, Protocol):
    """A torrent's bytes as the owner serves them."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset`` on; FileFault if the content is not what was shared.

        PassingFault if it cannot be read just now, and nothing says that it is not what was shared.
        """
        ...


class Owner:
    """Serves ``shared`` (info hash to content; the caller adds and removes) over ``sock`` until ``stop``.

    ``on_fault`` is called from the listening thread when a content turns out to have changed.
    """

    def __init__(
        self,
        sock: socket.socket,
        shared: Mapping[bytes, SharedContent],
        secret: bytes,
        on_fault: Callable[[bytes, FileFault], None],
    ) -> None:
        self._sock = sock
        self._shared = shared
        self._answerer = Answerer(TokenMint(secret), shared)
        self._on_fault = on_fault
        self._stopped = threading.Event()
        self._batches = sockets.can_send_batches(sock)
        self._chunk = memoryview(bytearray(wire.MAX_REQUEST))
        self._headers = memoryview(bytearray(wire.HEADER_SIZE * wire.MAX_SEGMENTS_PER_REQUEST))
        self._path_limit: OrderedDict[str, int] = OrderedDict()  # host -> bytes of file in a segment
        self._sent_to: OrderedDict[Address, Counter[bytes]] = OrderedDict()  # bytes by info hash
        self.sent: Counter[bytes] = Counter()  # bytes by info hash

    @property
    def counts(self) -> Counter[str]:
        """Datagrams by what became of them, for people and tests."""
        return self._answerer.counts

    def totals(self) -> list[tuple[Address, dict[bytes, int]]]:
        """To whom how many bytes of which torrent (by info hash) were sent; from any thread."""
        # list() of a dict is one step of the interpreter: the listening thread cannot grow it meanwhile
        return [(addr, dict(amounts)) for addr, amounts in list(self._sent_to.items())]

    def stop(self) -> None:
        """Make ``listen`` return soon; it may be called from any thread."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._sock.sendto(b"", self._sock.getsockname())  # wakes the loop

    def listen(self) -> None:
        """Answer datagrams until ``stop``; the body of the listening thread."""
        self._sock.settimeout(STOP_CHECK)
        buffer = bytearray(sockets.BATCH)
        view = memoryview(buffer)
        while not self._stopped.is_set():
            try:
                size, addr = self._sock.recvfrom_into(buffer)
            except TimeoutError:
                continue
            except OSError:  # Windows tells here that an earlier answer found nobody (10054): not our concern
                if self._sock.fileno() < 0:
                    return
                continue
            self.handle_requests(view[:size], addr[:2])

    def handle_requests(self, datagram: memoryview, addr: Address) -> None:
        """Answer one datagram, or keep silent."""
        answer = self._answerer.handle_requests(datagram, addr, time.monotonic())
        if isinstance(answer, SendChunk):
            self.send_chunk(answer.request, addr)
        elif isinstance(answer, wire.Tell):
            self.tell_file_size(answer, addr)
        elif answer is not None:
            self._send([wire.encode(answer)], addr)

    def tell_file_size(self, answer: wire.Tell, addr: Address) -> None:
        """Answer ASK with the size, unless the file has changed since it was shared."""
        self._send([wire.encode(answer)], addr)

    def send_chunk(self, request: wire.Request, addr: Address) -> None:
        """Answer REQUEST: read the range and send it, segment by segment or in batches."""
        content = self._shared.get(request.info_hash)
        if content is None:  # stopped sharing just now
            return
        chunk = self._chunk[: request.length]
        try:
            content.read_into(request.offset, chunk)
        except PassingFault:
            self.counts["unread"] += 1
            # A part that gets its final name is back at once, and a lost REQUEST costs less than a BUSY.
            if content.held is None:
                self._refuse(request, wire.Refusal.BUSY, addr)
            return
        except FileFault as fault:
            self._on_fault(request.info_hash, fault)
            self._refuse(request, wire.Refusal.CHANGED, addr)
            return
        segment = min(request.segment_size, self._path_limit.get(addr[0], wire.MAX_SEGMENT))
        per_call = wire.MAX_DATAGRAM // (segment + wire.HEADER_SIZE) if self._batches else 1
        step = segment * max(1, min(per_call, wire.MAX_SEGMENTS_PER_REQUEST))
        for at in range(0, request.length, step):
            if not self._send_segments(request, request.offset + at, chunk[at : at + step], segment, addr):
                return
        self._count(request, addr)

    def _refuse(self, request: wire.Request, reason: wire.Refusal, addr: Address) -> None:
        self._send([wire.encode(wire.Refuse(request.transfer_id, request.sequence, reason))], addr)

    def _send_segments(
        self, request: wire.Request, offset: int, payload: memoryview, segment: int, addr: Address
    ) -> bool:
        """Send ``payload`` as segments in one call; False when the rest of the chunk is better not sent."""
        buffers: list[memoryview] = []
        for at in range(0, len(payload), segment):
            head = len(buffers) // 2 * wire.HEADER_SIZE
            part = payload[at : at + segment]
            wire.pack_data_header(
                self._headers, head, request.transfer_id, request.sequence, offset + at, part, request.checked
            )
            buffers += (self._headers[head : head + wire.HEADER_SIZE], part)
        size = segment + wire.HEADER_SIZE if len(buffers) > 2 else 0
        return self._send(buffers, addr, size)

    def _send(self, buffers: list[memoryview] | list[bytes], addr: Address, segment: int = 0) -> bool:
        """One datagram, or (``segment`` > 0) one batch split by the system; False if it could not be sent."""
        try:
            sockets.send_parts(self._sock, buffers, addr, segment)
        except OSError as error:
            self.counts["unsent"] += 1
            too_large = segment > wire.SMALL_SEGMENT + wire.HEADER_SIZE and error.errno == errno.EINVAL
            if too_large or error.errno == errno.EMSGSIZE:  # the path carries less than was asked for
                self._remember(self._path_limit, addr[0], wire.SMALL_SEGMENT)
            elif segment and error.errno in (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP):
                self._batches = False  # this device cannot split; from now on we do
            return False
        return True

    def _count(self, request: wire.Request, addr: Address) -> None:
        self.sent[request.info_hash] += request.length
        totals = self._sent_to.get(addr)
        if totals is None:
            totals = Counter()
            self._remember(self._sent_to, addr, totals)
        totals[request.info_hash] += request.length

    @staticmethod
    def _remember(table: OrderedDict, key: object, value: object) -> None:  # type: ignore[type-arg]
        table[key] = value
        if len(table) > MAX_REMEMBERED:
            table.popitem(last=False)
