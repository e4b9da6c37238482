"""What is to happen, by time. Nothing sleeps: the next thing that happens makes it that late."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Deadlock(AssertionError):
    """What should have happened has not, and will not."""


class Clock:
    """Virtual seconds, and what is to be done at which of them."""

    def __init__(self, begins_at: float = 0.0) -> None:
        self.now = begins_at
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def read(self) -> float:
        """What time it is, for those who want a function."""
        return self.now

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do ``action`` at ``when``, or now if that is past; in the order in which it was asked for."""
        heapq.heappush(self._events, (max(when, self.now), next(self._count), action))

    def run_until(self, done: Callable[[], bool], limit: float, most_events: int) -> int:
        """Let things happen until ``done()``; how many did. Deadlock if that takes longer than ``limit``."""
        for happened in range(most_events):
            if done():
                return happened
            if not self._events:
                raise Deadlock("hangs: nothing will ever happen again")
            self.now, _, action = heapq.heappop(self._events)
            if self.now > limit:
                raise Deadlock(f"hangs: still not done at {self.now:.1f} s")
            action()
        raise Deadlock(f"hangs: {most_events} things happened, and it is not done")
