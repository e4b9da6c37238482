"""How often nodes are to call, and how long they may be silent: the more load, the less often. Pure.

A BitTorrent tracker tells its clients when to announce again, and so sheds load by itself (BEP 3); so does
this one with heartbeats. The deadline is stretched by the same factor as the interval: a node that is
told to call every minute is not dropped after 22 seconds, and may always lose a heartbeat.
"""

from __future__ import annotations

HEARTBEATS = 1000.0  # a second that the tracker wants to hear at most, while nothing else is asked
BUSY = 2000.0  # other requests a second that leave little room for heartbeats
LEAST_SHARE = 0.1  # of HEARTBEATS: is always left to them
LONGEST_STRETCH = 60.0  # times the usual interval, at most
SPAN = 5.0  # seconds over which requests are counted


def interval_factor(interval: float, nodes: int, other_requests: float = 0.0) -> float:
    """By how much intervals and deadlines are longer than usual now: from 1.0 to LONGEST_STRETCH.

    ``interval``: seconds between a node's heartbeats usually; ``others``: requests a second beside them.
    """
    room = HEARTBEATS * max(1 - other_requests / BUSY, LEAST_SHARE)
    return min(max(nodes / interval / room, 1.0), LONGEST_STRETCH)


class Rate:
    """Requests a second, over the last SPAN that is full."""

    def __init__(self) -> None:
        self._count = 0
        self._begun: float | None = None
        self._rate = 0.0

    def note(self, now: float) -> None:
        """A request came at ``now`` (monotonic seconds)."""
        self._turn(now)
        self._count += 1

    def at(self, now: float) -> float:
        """How many there are a second."""
        self._turn(now)
        return self._rate

    def _turn(self, now: float) -> None:
        if self._begun is None:
            self._begun = now
        elapsed = now - self._begun
        if elapsed >= SPAN:
            self._rate, self._count, self._begun = self._count / elapsed, 0, now
