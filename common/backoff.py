"""Exponential backoff: how long to wait after repeated failures. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

_MAX_EXPONENT = 64  # a peer may fail for days; a larger power would overflow a float


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow by ``growth`` from ``first`` to ``limit`` seconds.

    ``jitter``: the part of a wait that chance may take away, from 0 (none) to 1 (full jitter). Clients
    that failed at the same moment come back spread over that part ("Exponential Backoff And Jitter",
    M. Brooker, 2015). ``minimum``: seconds that remain even if chance takes all.
    """

    first: float  # seconds
    limit: float  # seconds
    growth: float = 2.0
    jitter: float = 0.0
    minimum: float = 0.0  # seconds

    def bound(self, failures: int) -> float:
        """Max seconds to wait after a failure that follows ``failures`` earlier failures."""
        return min(self.limit, self.first * self.growth ** min(failures, _MAX_EXPONENT))

    def delay(self, failures: int, rng: random.Random) -> float:
        """Seconds to wait after a failure that follows ``failures`` earlier failures, with jitter."""
        bound = self.bound(failures)
        shortest = bound * (1 - self.jitter)
        return rng.uniform(min(bound, max(shortest, self.minimum)), bound)
