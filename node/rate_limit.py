"""The limits behind ``-up`` and ``-down``: one for the node, shared by its threads and transports.

    RateLimit    the bytes of all connections together, as one token bucket
    LimitedFlow  the place of one connection in the line for these bytes

Many connections share a limit fairly because each has at most one reservation of ``quantum`` bytes, and
reservations come due in the order in which they were made. So a connection that always has more to move gets
its turn after at most one turn of each other connection. That is deficit round robin without a
queue: a reservation is only a time, and no thread waits for another.

Protocol messages do not wait. They are counted with ``RateLimit.spend`` when they go, and later payload pays
for them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from common.token_bucket import TokenBucket

BURST_SECONDS = 0.03  # bytes of this time may go at once: any second stays within 5%, packet headers included
MIN_BURST = 544  # bytes: the smallest datagram of the classroom transport
QUANTUM_OF_BURST = 0.6  # of the limit's depth: a thread that waits for a whole turn may wake up late
MAX_QUANTUM = 1 << 18  # bytes; larger turns would delay other connections for nothing
MIN_RATE = 16_000  # bytes a second; below it MIN_BURST would be more than BURST_SECONDS


class RateLimit:
    """``rate`` bytes a second; ValueError if less than MIN_RATE. Times are monotonic seconds.

    In any T seconds at most ``rate * T + depth`` bytes are spent. Unused bytes are lost, except for
    ``depth``: a thread may be late by BURST_SECONDS and lose none.
    """

    def __init__(self, rate: int) -> None:
        if rate < MIN_RATE:
            raise ValueError(f"{rate} bytes a second, less than {MIN_RATE}")
        self.rate = rate
        self.depth = max(int(rate * BURST_SECONDS), MIN_BURST)
        self.quantum = max(MIN_BURST, min(int(self.depth * QUANTUM_OF_BURST), MAX_QUANTUM))
        self._bucket = TokenBucket(rate, self.depth)
        self._lock = threading.Lock()

    def available(self, now: float) -> int:
        """Bytes that may go now, 0 or more."""
        with self._lock:
            available = self._bucket.available(now)
        return max(0, int(available + 0.5))  # rounded, so that ``wait`` has always been long enough

    def spend(self, size: int, now: float) -> None:
        """``size`` bytes go now. More than available is a debt, which later bytes pay first."""
        with self._lock:
            self._bucket.spend(size, now)

    def wait(self, size: int, now: float) -> float:
        """Seconds until ``size`` bytes may go. More than ``depth`` counts as ``depth``."""
        with self._lock:
            return self._bucket.wait(size, now)

    def flow(self) -> LimitedFlow:
        """The place of one more connection in the line."""
        return LimitedFlow(self)

    def reserve(self, size: int, now: float) -> float:
        """Spend ``size`` bytes that go later; returns the seconds until they may. See ``LimitedFlow``."""
        with self._lock:
            self._bucket.spend(size, now)
            return max(0.0, -self._bucket.available(now) / self.rate)

    def give_back(self, size: int, now: float) -> None:
        """``size`` reserved bytes will not go."""
        with self._lock:
            self._bucket.spend(-size, now)


class LimitedFlow:
    """One connection's share of ``limit``. For one thread only. Times are monotonic seconds.

    A connection that has bytes to move calls ``wait``. Once that is 0, ``available`` bytes may go, and
    ``spend`` counts them. A connection that has nothing more to move calls ``release``, so that other
    connections get the bytes. A connection that reads calls ``wait`` when there is something to read: while
    it does not read, TCP slows its peer down.
    """

    __slots__ = ("_due", "_reserved", "limit")

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._reserved = 0
        self._due = float("-inf")

    def has_turn(self, now: float) -> bool:
        """True if reserved bytes may go now."""
        return self._reserved > 0 and now >= self._due

    def available(self, now: float) -> int:
        """Bytes that may go now."""
        if self._reserved:
            return self._reserved if now >= self._due else 0
        return self.limit.available(now)

    def wait(self, size: int, now: float) -> float:
        """Seconds until ``size`` bytes may go, which are reserved. More than ``depth`` counts as ``depth``.

        Fair if each connection asks for ``limit.quantum`` bytes, or fewer if it has no more.
        """
        lacking = min(size, self.limit.depth) - self._reserved
        if lacking > 0:
            self._due = now + self.limit.reserve(lacking, now)
            self._reserved += lacking
        return max(0.0, self._due - now)

    def spend(self, size: int, now: float) -> None:
        """``size`` bytes go now."""
        reserved = min(size, self._reserved)
        self._reserved -= reserved
        if size > reserved:
            self.limit.spend(size - reserved, now)

    def release(self, now: float) -> None:
        """Give the reservation up."""
        if self._reserved:
            self.limit.give_back(self._reserved, now)
            self._reserved = 0


def limit_of(rate: int | None) -> RateLimit | None:
    """The limit that a setting asks for; None: no limit."""
    return None if rate is None else RateLimit(rate)


@dataclass(frozen=True)
class TransferLimits:
    """The limits of one node, which all its transports share; None: no limit."""

    upload: RateLimit | None = None
    download: RateLimit | None = None
