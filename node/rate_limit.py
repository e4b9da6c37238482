"""The limits behind ``-up`` and ``-down``: one for the node, shared by its threads and transports."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from common.token_bucket import TokenBucket

BURST_SECONDS = 0.03  # bytes of this time may go at once: any second stays within 5%, packet headers included
MIN_BURST = 544  # bytes: the smallest datagram of the classroom transport
MIN_RATE = 16_000  # bytes a second; below it MIN_BURST would be more than BURST_SECONDS


class RateLimit:
    """``rate`` bytes a second; ValueError if less than MIN_RATE. Times are monotonic seconds.

    In any T seconds at most ``rate * T + depth`` bytes are spent. Unused bytes are lost, except for
    ``depth``: a thread may be late by BURST_SECONDS and lose none.
    """

    def __init__(self, rate: int) -> None:
        if rate < MIN_RATE:
            raise ValueError(f"{rate} bytes a second, less than {MIN_RATE}")
        self.rate = rate
        self.depth = max(int(rate * BURST_SECONDS), MIN_BURST)
        self._bucket = TokenBucket(rate, self.depth)
        self._lock = threading.Lock()

    def available(self, now: float) -> int:
        """Bytes that may go now, 0 or more."""
        with self._lock:
            available = self._bucket.available(now)
        return max(0, int(available + 0.5))  # rounded, so that ``wait`` has always been long enough

    def spend(self, size: int, now: float) -> None:
        """``size`` bytes go now. More than available is a debt, which later bytes pay first."""
        with self._lock:
            self._bucket.spend(size, now)

    def wait(self, size: int, now: float) -> float:
        """Seconds until ``size`` bytes may go. More than ``depth`` counts as ``depth``."""
        with self._lock:
            return self._bucket.wait(size, now)


def limit_of(rate: int | None) -> RateLimit | None:
    """The limit that a setting asks for; None: no limit."""
    return None if rate is None else RateLimit(rate)


@dataclass(frozen=True)
class TransferLimits:
    """The limits of one node, which all its transports share; None: no limit."""

    upload: RateLimit | None = None
    download: RateLimit | None = None
