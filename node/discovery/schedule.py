"""When a tracker is called: heartbeats, and retries after a failure. Pure.

Ten thousand nodes may lose a tracker in the same minute. If each called again as soon as it could, their
requests would meet in the tracker's first second and overload it again. So every retry falls at random
between now and a bound (full jitter: "Exponential Backoff And Jitter", M. Brooker, 2015).

The bound grows fourfold with each failure, up to one heartbeat interval. With doubling, nodes would still
retry in step when the tracker returns after 5 to 10 s, and its peak load would be four times the average
instead of three. Whenever the tracker returns, each node is back within one interval.
"""

from __future__ import annotations

import random

from common.backoff import Backoff

FIRST_RETRY = 1.0  # max seconds until the first retry
RETRY_GROWTH = 4.0  # factor of the time between two retries
MIN_RETRY = 0.1  # seconds
MIN_INTERVAL = 0.2  # seconds between two heartbeats, even if the tracker asks for more
HEARTBEAT_JITTER = 0.1  # part of an interval: nodes that started together drift apart
MAX_RETRY_AFTER = 300.0  # seconds that a tracker may ask a node to wait


class HeartbeatSchedule:
    """When the next REGISTER is ``due``. Times are monotonic seconds.

    ``heartbeat``: seconds between REGISTERs if the tracker asks for none. Until the first answer the
    interval is half of it: a tracker's interval is half of its deadline.
    """

    def __init__(self, heartbeat: float, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self.interval = max(MIN_INTERVAL, heartbeat / 2)
        self.due = 0.0

    def answered(self, now: float, interval: float) -> None:
        """The tracker answered, and expects the next heartbeat after ``interval`` seconds."""
        self._failures = 0
        self.interval = max(MIN_INTERVAL, interval)
        self.due = now + self.interval * self._rng.uniform(1 - HEARTBEAT_JITTER, 1 + HEARTBEAT_JITTER)

    def failed(self, now: float, retry_after: float = 0.0) -> None:
        """The tracker did not answer, or asked the node to wait ``retry_after`` seconds."""
        self.due = now + self.retry_delay(self._failures, retry_after)
        self._failures += 1

    def retry_delay(self, failures: int, retry_after: float = 0.0) -> float:
        """Seconds until the retry after a failure that follows ``failures`` others.

        The jitter is added to the time that the tracker asked for, so that nodes do not return together.
        """
        backoff = Backoff(FIRST_RETRY, self.interval, RETRY_GROWTH, jitter=1.0, minimum=MIN_RETRY)
        return min(max(retry_after, 0.0), MAX_RETRY_AFTER) + backoff.delay(failures, self._rng)
