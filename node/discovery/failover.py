"""Which of several addresses of one tracker is asked. Pure.

The first one is preferred. Requests go to the one that answered last; when it fails, to the next. One that
failed rests, longer each time, and heartbeats alone find out whether a preferred one is back: a download does
not wait for an address that hangs.
"""

from __future__ import annotations

import random

FIRST_REST = 5.0  # seconds for which an address that failed is asked after the others; doubled each time
LONGEST_REST = 60.0  # seconds
SPREAD = 0.5  # of a rest that chance may take away: not all nodes come back to an address at once


class FailOver:
    """The order of ``count`` addresses, by their index; times are monotonic seconds."""

    def __init__(self, count: int, rng: random.Random) -> None:
        self._rng = rng
        self._failures = [0] * count
        self._rested = [0.0] * count  # when each may be asked again before others
        self.current = 0  # who answered last, or the preferred one

    def order(self, now: float, looking: bool) -> list[int]:
        """Whom to ask, one after the other; ``looking``: a preferred one that has rested is asked first."""
        preferred = [index for index in range(self.current) if looking and self._rested[index] <= now]
        others = [index for index in range(len(self._rested)) if index not in (*preferred, self.current)]
        return [*preferred, self.current, *sorted(others, key=lambda index: self._rested[index])]

    def answered(self, index: int) -> int:
        """It did; returns who answered before."""
        before, self.current = self.current, index
        self._failures[index] = 0
        return before

    def failed(self, index: int, now: float) -> None:
        """It did not answer, or not as it should."""
        rest = min(LONGEST_REST, FIRST_REST * 2 ** min(self._failures[index], 30))
        self._failures[index] += 1
        self._rested[index] = now + rest * self._rng.uniform(1 - SPREAD, 1)
