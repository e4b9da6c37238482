"""Token bucket: a rate limit that allows short bursts. Pure: time is an argument.

In any ``T`` seconds at most ``rate * T + depth`` tokens are spent. The bucket is kept as one number, the
time at which it will be full again (the generic cell rate algorithm of ITU-T I.371). A bucket that has not
been used for ``depth / rate`` seconds is full, so it need not be remembered.
"""

from __future__ import annotations

_ROUNDING = 1e-9  # seconds; clocks and floats are not more exact


class TokenBucket:
    """``rate`` tokens a second flow in, up to ``depth``; full at first. Times are monotonic seconds.

    The tokens are bytes, requests, or anything else that is counted. The bucket has no lock: threads that
    share one need their own.
    """

    __slots__ = ("_full_at", "depth", "rate")

    def __init__(self, rate: float, depth: float) -> None:
        if rate <= 0 or depth <= 0:
            raise ValueError(f"a token bucket of rate {rate} and depth {depth}")
        self.rate = rate
        self.depth = depth
        self._full_at = float("-inf")

    def available(self, now: float) -> float:
        """Tokens in the bucket; negative after a debt."""
        return self.depth - max(0.0, self._full_at - now) * self.rate

    def wait(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` tokens are available. More than ``depth`` counts as ``depth``."""
        return max(0.0, (min(amount, self.depth) - self.available(now)) / self.rate)

    def spend(self, amount: float, now: float) -> None:
        """Take ``amount`` tokens. More than available is a debt, which later tokens pay first."""
        self._full_at = max(self._full_at, now) + amount / self.rate

    def take(self, amount: float, now: float) -> float:
        """Take ``amount`` tokens and return 0.0, or take none and return the seconds to wait."""
        wait = self.wait(amount, now)
        if wait > _ROUNDING:
            return wait
        self.spend(amount, now)
        return 0.0
