"""How many bytes of reports a node may send: 1 kB/s, or 1% of the bytes that it moves if that is more. Pure.

The average over the last ``BUDGET_SECONDS`` is never above the budget. Reports are spread by a token bucket:
otherwise a busy node would spend the budget of five seconds in one report, and its viewers would see nothing
for the next five. The bucket alone would keep the average at a steady budget: in five seconds it gives out at
most ``BURST_SECONDS`` and five times ``REFILL`` of it, which is the whole.
"""

from __future__ import annotations

from collections import deque

BUDGET_SECONDS = 5.0  # over which the budget is averaged
LEAST_RATE = 1000  # bytes a second that a node may report in any case
MOVED_PER_BYTE = 100  # bytes of content that are received or sent for each byte of a report
BURST_SECONDS = 1.5  # of the budget that may be spent at once
REFILL = 0.7  # of the budget that the bucket gets each second


class Budget:
    """Times are monotonic seconds, and never run backwards."""

    def __init__(self, now: float) -> None:
        self._moved = _Recent()
        self._sent = _Recent()
        self._tokens = LEAST_RATE * BURST_SECONDS
        self._filled_at = now

    def moved(self, amount: int, now: float) -> None:
        """The node received or sent ``amount`` bytes of content."""
        self._moved.add(amount, now)

    def sent(self, amount: int, now: float) -> None:
        """A report of ``amount`` bytes was sent."""
        self._fill(now)
        self._tokens -= amount
        self._sent.add(amount, now)

    def left(self, now: float) -> int:
        """Bytes that a report may have now; 0 if none may be sent."""
        self._fill(now)
        average = self._rate(now) * BUDGET_SECONDS - self._sent.total(now)
        return max(0, int(min(average, self._tokens)))

    def _rate(self, now: float) -> float:
        """Bytes a second."""
        return max(LEAST_RATE, self._moved.total(now) / MOVED_PER_BYTE / BUDGET_SECONDS)

    def _fill(self, now: float) -> None:
        rate = self._rate(now)
        seconds, self._filled_at = now - self._filled_at, now
        self._tokens = min(self._tokens + rate * REFILL * seconds, rate * BURST_SECONDS)


class _Recent:
    """A sum over the last BUDGET_SECONDS."""

    def __init__(self) -> None:
        self._amounts: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, amount: int, now: float) -> None:
        self._amounts.append((now, amount))
        self._sum += amount

    def total(self, now: float) -> int:
        while self._amounts and self._amounts[0][0] <= now - BUDGET_SECONDS:
            self._sum -= self._amounts.popleft()[1]
        return self._sum
