"""How many unvalidated addresses get a TOKEN. Pure, and without any state for an address.

An attacker pays one datagram for a TOKEN, the owner pays a keyed hash and a datagram. So at most
``MAX_TOKENS_PER_SECOND`` are sent. A class of hundreds fits into that, and honest fetchers ask again.

In a flood only a fraction of the unvalidated addresses is admitted. Every ``LIMITER_INTERVAL`` another
random fraction is drawn. A flood from few addresses is excluded in most intervals, and new fetchers get
through meanwhile.
"""

from __future__ import annotations

MAX_TOKENS_PER_SECOND = 5000  # tokens to unvalidated addresses; a class may start together
FLOOD_PER_SECOND = 1000  # wasted datagrams a second from which on it is a flood
LIMITER_INTERVAL = 0.1  # seconds over which both are counted
MIN_ADMITTED_FRACTION = 1 / 256  # a new fetcher has a chance in any flood


class UnvalidatedLimiter:
    """Counts datagrams from unvalidated addresses. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._interval_from = now
        self._answered = 0  # in this interval
        self._wasted = 0  # in this interval
        self._adjusted_at = now
        self._seen = 0  # questions since the last adjustment
        self.flooded = False  # stays True after the first flood
        self.admit_fraction = 1.0  # of unvalidated addresses: more could not be answered

    def may_answer(self, now: float) -> bool:
        """True if one more TOKEN may be sent."""
        self._next_interval(now)
        return self._answered < MAX_TOKENS_PER_SECOND * LIMITER_INTERVAL

    def answered(self, now: float) -> None:
        """A TOKEN is sent."""
        self._next_interval(now)
        self._answered += 1
        self._seen += 1

    def turned_away(self, now: float) -> None:
        """A question for a TOKEN stays unanswered: the limit is reached."""
        self._seen += 1
        self.count_wasted(now)

    def count_wasted(self, now: float) -> None:
        """A datagram was received that was not worth receiving."""
        self._next_interval(now)
        self._wasted += 1
        self.flooded = self.flooded or self._wasted >= FLOOD_PER_SECOND * LIMITER_INTERVAL

    def adjust(self, now: float) -> float:
        """The new ``admit_fraction``: as many addresses as can be answered.

        Call it only when the fraction is put into effect: it is computed from the questions since then.
        """
        seconds = now - self._adjusted_at
        answerable = MAX_TOKENS_PER_SECOND * seconds
        if seconds > 0 and self._seen > answerable:
            fraction = self.admit_fraction * answerable / self._seen
            self.admit_fraction = max(MIN_ADMITTED_FRACTION, fraction)
        elif self._seen < answerable / 2:
            self.admit_fraction = min(1.0, 2 * self.admit_fraction)
        self._adjusted_at, self._seen = now, 0
        return self.admit_fraction

    def _next_interval(self, now: float) -> None:
        if now - self._interval_from >= LIMITER_INTERVAL:
            self._interval_from, self._answered, self._wasted = now, 0, 0
            if not self.flooded:
                self._adjusted_at, self._seen = now, 0
