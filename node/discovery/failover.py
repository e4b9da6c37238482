"""The order in which a tracker's addresses are asked. Pure.

The first address is preferred. Requests go to the address that answered last; if it fails, to the next. An
address that failed is asked last for a while. Only heartbeats test whether a preferred address is back, so
that no download waits for an address that hangs.
"""

from __future__ import annotations

import random

from common.backoff import Backoff

# How long an address that failed is asked last. Jitter: not all nodes return to it at the same time.
ADDRESS_BACKOFF = Backoff(first=5.0, limit=60.0, jitter=0.5)


class FailOver:
    """The order of ``count`` addresses, by index. Times are monotonic seconds."""

    def __init__(self, count: int, rng: random.Random) -> None:
        self._rng = rng
        self._failures = [0] * count
        self._retry_at = [0.0] * count  # until then an address is asked last
        self.current = 0  # the address that answered last; the preferred one at first

    def order(self, now: float, test_preferred: bool) -> list[int]:
        """The addresses in the order to ask them.

        ``test_preferred``: begin with the preferred ones that may be asked again.
        """
        preferred = [i for i in range(self.current) if test_preferred and self._retry_at[i] <= now]
        others = [i for i in range(len(self._retry_at)) if i not in (*preferred, self.current)]
        return [*preferred, self.current, *sorted(others, key=lambda i: self._retry_at[i])]

    def answered(self, index: int) -> int:
        """Address ``index`` answered. Returns the address that answered before."""
        before, self.current = self.current, index
        self._failures[index] = 0
        return before

    def failed(self, index: int, now: float) -> None:
        """Address ``index`` did not answer as a tracker does."""
        self._retry_at[index] = now + ADDRESS_BACKOFF.delay(self._failures[index], self._rng)
        self._failures[index] += 1
