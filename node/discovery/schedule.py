"""When one tracker is called: heartbeats, and how long to leave it alone after it failed. Pure.

Ten thousand nodes lose a tracker in the same minute. If each came back as soon as it could, they would fall
upon the tracker in its first second, and bring it down again. So chance decides (full jitter, as in
"Exponential Backoff And Jitter", M. Brooker, 2015): a try falls anywhere between now and a bound, which
grows with each failure up to one interval. It grows fast: while it is short, those who are kept waiting pile
up, and a tracker that is back after five or ten seconds meets them (doubled from half a second, its busiest
second would be four times the usual; so, three). Wherever in its wait the tracker's return meets a node, it
is back one interval later at the latest, and all of them together are spread over that interval.
"""

from __future__ import annotations

import random

FIRST_RETRY = 1.0  # seconds within which a tracker that failed is tried again
GROWTH = 4  # times that with each failure, up to an interval
SHORTEST_RETRY = 0.1  # seconds: chance may not choose less
SHORTEST_INTERVAL = 0.2  # seconds between two heartbeats, whatever the tracker says
JITTER = 0.1  # of an interval, by which heartbeats are early or late: who began together drifts apart
LONGEST_PUT_OFF = 300.0  # seconds that a tracker may put us off, whatever it says


class Schedule:
    """When the next REGISTER is ``due``; times are monotonic seconds.

    ``heartbeat``: seconds between REGISTERs while no tracker says anything else. Until the first answer
    half of that is taken for the interval, as our own tracker's is half of its patience.
    """

    def __init__(self, heartbeat: float, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self.interval = max(SHORTEST_INTERVAL, heartbeat / 2)
        self.due = 0.0

    def answered(self, now: float, interval: float) -> None:
        """The tracker wants to hear from us after ``interval`` seconds."""
        self._failures = 0
        self.interval = max(SHORTEST_INTERVAL, interval)
        self.due = now + self.interval * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def failed(self, now: float, put_off: float = 0.0) -> None:
        """The tracker did not answer, or asked to be left alone for ``put_off`` seconds."""
        self.due = now + self.wait(self._failures, put_off)
        self._failures += 1

    def wait(self, failures: int, put_off: float = 0.0) -> float:
        """Seconds until the next try after ``failures`` failures before this one.

        Chance comes on top of what the tracker asks for: whom it put off together comes back one by one.
        """
        bound = min(self.interval, FIRST_RETRY * GROWTH ** min(failures, 30))
        return min(max(put_off, 0.0), LONGEST_PUT_OFF) + self._rng.uniform(SHORTEST_RETRY, bound)
