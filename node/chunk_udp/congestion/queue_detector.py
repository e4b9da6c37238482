"""Does a queue stand on the path? Round-trip times against the shortest of the last seconds. Pure.

A single slow answer proves little: a host may have been busy. So the answers differ by how many samples
agree. A round has met a queue if each of its round trips is somewhat longer. In STARTUP a queue doubles
within a round, so several late answers in a row are enough.
"""

from __future__ import annotations

import math

from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

MIN_RTT_FILTER_LEN = 10.0  # seconds (BBR.MinRTTFilterLen)
QUEUE_FRACTION, QUEUE_SECONDS = 0.25, 0.004  # a round trip longer than the shortest by both shows a queue
ROUND_FRACTION = 0.08  # a smaller fraction is enough if all round trips of a round are longer
JITTER = 2.0  # but no less than the usual variation times this
LONG_QUEUE = 0.05  # seconds; such a difference shows a queue on any path
LATE_SAMPLES = 8  # late answers in a row that show a queue in STARTUP
LATE_SECONDS, FEW_LATE_SAMPLES = 0.1, 3  # or fewer in this time: slow paths give few answers
FIRST_ROUNDS = 2  # of STARTUP, in which the windows of several owners together make a passing queue


class QueueDetector:
    """Times are seconds. ``min_rtt`` is infinite before the first round."""

    def __init__(self) -> None:
        self.min_rtt = float("inf")
        self._samples: list[tuple[float, float]] = []  # (when, seconds): candidates for the shortest
        self._variation = 0.0
        self._late = 0  # late answers in a row
        self._late_since = float("inf")

    def on_received(self, rtt: RoundTripTime) -> None:
        """Take note of the usual variation."""
        self._variation = rtt.variation

    def on_startup_answer(self, latest: float, rounds: int, now: float) -> bool:
        """One answer in STARTUP, of which ``rounds`` are over. True if answers show a queue."""
        if not self._is_late(latest):
            self._late, self._late_since = 0, now
            return False
        self._late += 1
        slowly = self._late >= FEW_LATE_SAMPLES and now - self._late_since >= LATE_SECONDS
        return self._late >= LATE_SAMPLES or (slowly and rounds > FIRST_ROUNDS)

    def on_round(self, ended: RoundSample, now: float) -> bool:
        """Learn from a round. True if the whole round met a queue."""
        lowest = ended.lowest_rtt
        if lowest == float("inf"):
            return False
        recent = [(t, r) for t, r in self._samples if t > now - MIN_RTT_FILTER_LEN and r < lowest]
        self._samples = [*recent, (now, lowest)]
        self.min_rtt = self._samples[0][1]
        return self._is_late(
            lowest, max(ROUND_FRACTION * self.min_rtt + QUEUE_SECONDS, JITTER * self._variation)
        )

    def _is_late(self, seconds: float, margin: float = math.inf) -> bool:
        usual = QUEUE_FRACTION * self.min_rtt + QUEUE_SECONDS
        return seconds > self.min_rtt + min(margin, usual, LONG_QUEUE)
