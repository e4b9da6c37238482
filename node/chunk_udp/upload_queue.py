"""What an owner sends next: the requests that wait, under the upload limit. Pure: no socket, no clock."""

from __future__ import annotations

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address
from node.chunk_udp.drr_queue import MAX_QUANTUM, Added, DrrQueue, SendBatch
from node.chunk_udp.limits import RateLimit

MAX_BACKLOG = 4 << 20  # bytes that may wait of one address; more than a fetcher's buffer holds is not wanted
LONGEST_BACKLOG = 0.25  # seconds that it takes to send an address what waits of it, under a limit
FEWEST_SEGMENTS = 4  # that may wait of an address in any case, or it could never have two requests under way
LONG_WAIT = 0.1  # seconds that a request waits when there is more to send than goes out
ALONE_AFTER = 1.0  # seconds without a request from anybody else, after which nobody is waited for
TURN_OF_BURST = 0.6  # of the limit's depth: who waits for a whole turn may come late, and loses nothing


class UploadQueue:
    """Requests in, portions out. ``rate``: bytes a second for all datagrams together; None: no limit."""

    def __init__(self, rate: int | None, now: float) -> None:
        self.limit = RateLimit(rate, now)
        turn = min(MAX_QUANTUM, max(self.limit.largest_datagram, int(self.limit.depth * TURN_OF_BURST)))
        self.queue = DrrQueue(MAX_QUANTUM if rate is None else turn)
        self._latest: Address | None = None  # who asked last,
        self._asked_at = now  # and when
        self._alone_at = now  # when it will have been the only one for long enough

    def at_once(self, request: wire.Request, addr: Address, path_limit: int, now: float) -> SendBatch | None:
        """All of ``request``, to be sent now, if there is no limit and nobody else asks; None: ``add`` it.

        Taking turns with nobody costs time, and a single fetcher over loopback has none to spare.
        """
        if addr != self._latest:
            self._latest, self._alone_at = addr, self._asked_at + ALONE_AFTER
        self._asked_at = now
        if now < self._alone_at or self.queue or self.limit.rate is not None:
            return None
        return SendBatch(addr, request, request.offset, request.length, min(request.segment_size, path_limit))

    def add(self, request: wire.Request, addr: Address, path_limit: int, now: float) -> Added:
        """Take ``request``; the path to ``addr`` carries ``path_limit`` bytes of file in a datagram."""
        largest = self.limit.largest_datagram - wire.HEADER_SIZE
        segment = min(request.segment_size, path_limit, largest)
        return self.queue.add(request, addr, segment, self._backlog(request), now)

    def _backlog(self, request: wire.Request) -> int:
        rate = self.limit.rate
        if rate is None:
            return MAX_BACKLOG
        share = int(rate * LONGEST_BACKLOG) // max(1, self.queue.addresses)
        return min(MAX_BACKLOG, max(share, FEWEST_SEGMENTS * request.segment_size))

    def next(self, now: float) -> SendBatch | None:
        """What to send now; None if nothing waits, or the limit says: not yet."""
        return self.queue.next(self.limit.allowed(now), now)

    def sent(self, portion: SendBatch, length: int, now: float) -> None:
        """The first ``length`` bytes of ``portion``, which ``next`` has just given, went out."""
        self.queue.sent(portion, length)
        self.limit.spend(length + -(-length // portion.segment) * wire.HEADER_SIZE, now)

    def is_backlogged(self, now: float) -> bool:
        """Whether more is asked for than goes out, so that whatever is sent keeps somebody waiting."""
        return self.queue.waited(now) > LONG_WAIT

    def wait(self, now: float) -> float | None:
        """Seconds until ``next`` may have something; None: until something is added.

        Until a whole turn may go, that is: to wake up for each datagram would cost more than to send it.
        """
        return self.limit.wait(self.queue.next_quantum(), now) if self.queue else None
