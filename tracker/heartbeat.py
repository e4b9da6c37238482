"""How often nodes must send heartbeats: the more load, the less often. Pure.

A BitTorrent tracker's answer contains the interval to the next announce, and so limits the load (BEP 3). This
tracker does the same with heartbeats. Interval and deadline are stretched by the same factor. So a node with
an interval of a minute is not removed after 22 seconds, and every node may lose one heartbeat.
"""

from __future__ import annotations

HEARTBEATS_PER_SECOND = 1000.0  # max heartbeats while there are no other requests
BUSY_REQUESTS_PER_SECOND = 2000.0  # other requests that leave little room for heartbeats
MIN_SHARE = 0.1  # of HEARTBEATS_PER_SECOND, under any load
MAX_FACTOR = 60.0  # times the usual interval
SPAN_SECONDS = 5.0  # over which requests are counted


def interval_factor(interval: float, nodes: int, other_requests: float = 0.0) -> float:
    """How much longer than usual intervals and deadlines are now, from 1.0 to MAX_FACTOR.

    ``interval``: the usual seconds between a node's heartbeats; ``other_requests``: requests a second that
    are not heartbeats.
    """
    room = HEARTBEATS_PER_SECOND * max(1 - other_requests / BUSY_REQUESTS_PER_SECOND, MIN_SHARE)
    return min(max(nodes / interval / room, 1.0), MAX_FACTOR)


class RequestRate:
    """Requests a second, over the last full SPAN_SECONDS."""

    def __init__(self) -> None:
        self._count = 0
        self._begun: float | None = None
        self._rate = 0.0

    def note(self, now: float, count: int = 1) -> None:
        """Count requests at ``now`` (monotonic seconds)."""
        self._roll(now)
        self._count += count

    def at(self, now: float) -> float:
        """The rate."""
        self._roll(now)
        return self._rate

    def _roll(self, now: float) -> None:
        if self._begun is None:
            self._begun = now
        elapsed = now - self._begun
        if elapsed >= SPAN_SECONDS:
            self._rate, self._count, self._begun = self._count / elapsed, 0, now
