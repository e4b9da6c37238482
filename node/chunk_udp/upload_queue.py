"""The queued requests of an owner, under the upload limit. Pure: no socket, no clock."""

from __future__ import annotations

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address
from node.chunk_udp.datagram_size import largest_datagram
from node.chunk_udp.drr_queue import MAX_QUANTUM, Added, DrrQueue, SendBatch
from node.rate_limit import RateLimit

MAX_BACKLOG = 4 << 20  # bytes queued of one address: no more than a fetcher's receive buffer holds
BACKLOG_SECONDS = 0.25  # max seconds that it takes to send the backlog of an address under a limit
MIN_BACKLOG_SEGMENTS = 4  # that may be queued in any case: an address needs two requests under way
LONG_WAIT = 0.1  # seconds in the queue, after which more is requested than can be sent
ALONE_AFTER = 1.0  # seconds without a request of another address, after which a fetcher counts as alone


class UploadQueue:
    """Requests in, batches out, within ``limit`` (None: no limit)."""

    def __init__(self, limit: RateLimit | None, now: float) -> None:
        self.limit = limit
        self._flow = None if limit is None else limit.flow()  # beside the connections of other transports
        self._largest_datagram = largest_datagram(limit)
        self._quantum = self._quantum_of(limit)
        self.queue = DrrQueue(self._quantum)
        self._latest: Address | None = None  # the address of the latest request,
        self._requested_at = now  # its time,
        self._alone_at = now  # and when this address counts as alone

    def _quantum_of(self, limit: RateLimit | None) -> int:
        return MAX_QUANTUM if limit is None else min(MAX_QUANTUM, max(self._largest_datagram, limit.quantum))

    def send_immediately(
        self, request: wire.Request, addr: Address, path_limit: int, now: float
    ) -> SendBatch | None:
        """All of ``request``, if there is no limit and no other fetcher; None: ``add`` it.

        Fair order between one fetcher and itself would only cost time.
        """
        if addr != self._latest:
            self._latest, self._alone_at = addr, self._requested_at + ALONE_AFTER
        self._requested_at = now
        if now < self._alone_at or self.queue or self.limit is not None:
            return None
        segment = min(request.segment_size, path_limit)
        return SendBatch(addr, request, request.offset, request.length, segment)

    def add(self, request: wire.Request, addr: Address, path_limit: int, now: float) -> Added:
        """Queue ``request``. ``path_limit``: bytes of file that a datagram to ``addr`` may carry."""
        segment = min(request.segment_size, path_limit, self._largest_datagram - wire.HEADER_SIZE)
        return self.queue.add(request, addr, segment, self._max_backlog(request), now)

    def _max_backlog(self, request: wire.Request) -> int:
        if self.limit is None:
            return MAX_BACKLOG
        fair = int(self.limit.rate * BACKLOG_SECONDS) // max(1, self.queue.addresses)
        return min(MAX_BACKLOG, max(fair, MIN_BACKLOG_SEGMENTS * request.segment_size))

    def next(self, now: float) -> SendBatch | None:
        """The next batch to send; None if the queue is empty or the limit reached."""
        return self.queue.next(None if self._flow is None else self._flow.available(now), now)

    def sent(self, batch: SendBatch, length: int, now: float) -> None:
        """The first ``length`` bytes of ``batch``, the last result of ``next``, were sent."""
        self.queue.sent(batch, length)
        if self._flow is not None:
            self._flow.spend(length + -(-length // batch.segment) * wire.HEADER_SIZE, now)
            if not self.queue:
                self._flow.release(now)

    def spend(self, size: int, now: float) -> None:
        """Count ``size`` bytes of datagrams that were sent: the short ones do not queue."""
        if self.limit is not None:
            self.limit.spend(size, now)

    def is_backlogged(self, now: float) -> bool:
        """True if more is requested than can be sent: each answer delays another fetcher's."""
        return self.queue.longest_wait(now) > LONG_WAIT

    def wait(self, now: float) -> float | None:
        """Seconds until a quantum may be sent; None if the queue is empty.

        Waking up for each datagram would cost more than sending it, and each wait is a place in the line of
        all connections.
        """
        if not self.queue:
            return None
        return 0.0 if self._flow is None else self._flow.wait(self._quantum, now)
