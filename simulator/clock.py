"""Virtual time: events in the order of their times. Time passes only from one event to the next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Deadlock(AssertionError):
    """An expected condition did not become true, and will not."""


class Clock:
    """Virtual seconds, and the events that are due."""

    def __init__(self, begins_at: float = 0.0) -> None:
        self.now = begins_at
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def read(self) -> float:
        """The time, as a function for parts that take one."""
        return self.now

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call ``action`` at ``when``, or now if that is past. Actions of the same time keep their order."""
        heapq.heappush(self._events, (max(when, self.now), next(self._count), action))

    def run_until(self, done: Callable[[], bool], limit: float, max_events: int) -> int:
        """Let events happen until ``done()``; returns their number.

        Deadlock if no event is left, at ``limit`` virtual seconds, or after ``max_events``.
        """
        for happened in range(max_events):
            if done():
                return happened
            if not self._events:
                raise Deadlock("hangs: no event is left")
            self.now, _, action = heapq.heappop(self._events)
            if self.now > limit:
                raise Deadlock(f"hangs: still not done at {self.now:.1f} s")
            action()
        raise Deadlock(f"hangs: not done after {max_events} events")
