"""The difference between a node's clock and the log's, and how wrong it may be. Pure.

A report carries its time of sending on the node's clock. Received minus sent is the difference of the clocks
plus the time that the report travelled, so the smallest of the last minute is the nearest to the truth. The
journey took at most the node's smallest round trip, and half of that is taken off: then the estimate is wrong
by at most half a round trip, in either direction (Cristian, 1989).
"""

from __future__ import annotations

from collections import deque

WINDOW_MS = 60_000.0  # of reports that count
MAX_SAMPLES = 300  # reports that are remembered; 4 a second for a minute are 240


class RecentMinimum:
    """The smallest of the values of the last WINDOW_MS."""

    def __init__(self) -> None:
        self._rising: deque[tuple[float, float]] = deque()  # time and value; both rise

    def add(self, time: float, value: float) -> None:
        """``time`` never goes back."""
        while self._rising and self._rising[-1][1] >= value:
            self._rising.pop()
        self._rising.append((time, value))
        while self._rising[0][0] < time - WINDOW_MS or len(self._rising) > MAX_SAMPLES:
            self._rising.popleft()

    @property
    def value(self) -> float | None:
        """None before the first value."""
        return self._rising[0][1] if self._rising else None


class NodeClock:
    """The clock of one run of a node. All times in ms."""

    def __init__(self) -> None:
        self._lags = RecentMinimum()  # received - sent
        self._trips = RecentMinimum()

    def add(self, received: float, sent: float, round_trip: float | None) -> None:
        """A report came in. ``round_trip``: of the node's report before it."""
        self._lags.add(received, received - sent)
        if round_trip is not None:
            self._trips.add(received, round_trip)

    @property
    def bound(self) -> float | None:
        """The estimate is wrong by this at most; None before the first round trip is known."""
        trip = self._trips.value
        return None if trip is None else trip / 2

    @property
    def offset(self) -> float:
        """Time in the log minus the node's own time."""
        return (self._lags.value or 0.0) - (self.bound or 0.0)

    def in_log(self, time: float, received: float) -> float:
        """The node's ``time`` in the log: not before its begin, and not after the report was received."""
        return max(0.0, min(time + self.offset, received))
