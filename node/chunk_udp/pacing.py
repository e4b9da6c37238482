"""Spaces requests in time, because each is answered by a burst of its size. Pure.

A burst of 64 KB overflows the queue of a slow link. So a request asks for no more than ``PACING_SECONDS`` of
the path's rate, and requests go out evenly. A thread that wakes up late may catch up ``CATCH_UP`` of it.
"""

from __future__ import annotations

PACING_SECONDS = 0.004  # of the path's rate in one request
CATCH_UP = 0.004  # seconds of lateness that may be made up for


class Pacer:
    """Times are monotonic seconds, rates bytes a second."""

    def __init__(self) -> None:
        self.free_at = float("-inf")  # when the next request may go out

    def spend(self, size: int, rate: float, now: float) -> None:
        """``size`` bytes were requested at ``now`` on a path of ``rate``."""
        self.free_at = max(self.free_at, now - CATCH_UP) + size / rate
