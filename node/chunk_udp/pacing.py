"""When may the next request go out? Requests are paced, because the answers come as bursts of that size.

A batch of 64 KB into a slow link is a loss. So no request asks for more than some milliseconds of the path's
rate, and they go out evenly; whoever wakes up late may catch up, but not for long.
"""

from __future__ import annotations

QUANTUM = 0.004  # seconds of the path's rate in one request
CATCH_UP = 0.004  # seconds of lateness that may be made up for


class Pacer:
    """Spaces what is asked for; all times are monotonic seconds, rates bytes a second."""

    def __init__(self) -> None:
        self.free_at = float("-inf")  # when the next request may go out

    def spend(self, size: int, rate: float, now: float) -> None:
        """``size`` bytes were asked for at ``now`` on a path of ``rate``."""
        self.free_at = max(self.free_at, now - CATCH_UP) + size / rate
