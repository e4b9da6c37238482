"""Waits after failures grow up to a limit, and chance takes away no more than it may."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from common.backoff import Backoff


def test_waits_grow_up_to_the_limit() -> None:
    backoff = Backoff(first=0.5, limit=8.0)
    assert [backoff.bound(failures) for failures in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert backoff.bound(10**9) == 8.0
    assert Backoff(first=1.0, limit=100.0, growth=4.0).bound(3) == 64.0


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 3), st.randoms(use_true_random=False))
def test_jitter_takes_away_no_more_than_its_part(
    failures: int, jitter: float, minimum: float, rng: random.Random
) -> None:
    backoff = Backoff(first=1.0, limit=60.0, jitter=jitter, minimum=minimum)
    bound = backoff.bound(failures)
    shortest = min(bound, max(minimum, bound * (1 - jitter)))
    assert shortest - 1e-9 <= backoff.delay(failures, rng) <= bound + 1e-9


def test_without_jitter_chance_decides_nothing() -> None:
    assert Backoff(first=1.0, limit=9.0).delay(2, random.Random(1)) == 4.0


def test_full_jitter_spreads_clients_over_the_whole_wait() -> None:
    rng = random.Random(1)
    backoff = Backoff(first=10.0, limit=10.0, jitter=1.0)
    delays = [backoff.delay(0, rng) for _ in range(1000)]
    assert all(60 <= sum(low <= delay < low + 1 for delay in delays) <= 140 for low in range(10))
