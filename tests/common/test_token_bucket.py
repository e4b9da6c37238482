"""A token bucket keeps its rate over any span, and lends what cannot wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.token_bucket import TokenBucket

RATES = st.floats(0.1, 1e9)
FILL_TIMES = st.floats(0.001, 1000)  # seconds in which an empty bucket becomes full
# Pauses between two requests and their sizes, in seconds and in parts of the depth.
DEMANDS = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=50)


@given(RATES, FILL_TIMES, DEMANDS)
def test_over_any_span_no_more_is_taken_than_the_rate_and_one_depth(
    rate: float, fill_time: float, demands: list[tuple[float, float]]
) -> None:
    depth = rate * fill_time
    bucket, now, taken = TokenBucket(rate, depth), 0.0, []
    for pause, part in demands:
        now += pause
        if bucket.take(part * depth, now) == 0.0:
            taken.append((now, part * depth))
    for index, (start, _) in enumerate(taken):
        for end in range(index, len(taken)):
            spent = sum(amount for _, amount in taken[index : end + 1])
            assert spent <= (rate * (taken[end][0] - start + 1e-8) + depth) * (1 + 1e-6)


@given(RATES, FILL_TIMES, DEMANDS)
def test_a_request_succeeds_after_the_wait_that_was_named(
    rate: float, fill_time: float, demands: list[tuple[float, float]]
) -> None:
    depth = rate * fill_time
    bucket, now = TokenBucket(rate, depth), 0.0
    for pause, part in demands:
        now += pause
        before = bucket.available(now)
        if wait := bucket.take(part * depth, now):
            assert bucket.available(now) == before  # a refusal costs nothing
            now += wait
            assert bucket.take(part * depth, now) == 0.0


@given(RATES, FILL_TIMES, st.floats(0, 10))
def test_a_debt_is_paid_by_later_tokens(rate: float, fill_time: float, factor: float) -> None:
    depth = rate * fill_time
    bucket = TokenBucket(rate, depth)
    bucket.spend(depth * (1 + factor), 0.0)
    assert bucket.available(0.0) == pytest.approx(-depth * factor, abs=depth * 1e-6)
    assert bucket.wait(depth, 0.0) == pytest.approx(depth * (1 + factor) / rate)


def test_a_bucket_is_full_at_first_and_never_more_than_full() -> None:
    bucket = TokenBucket(100, 10)
    assert bucket.available(5.0) == 10 and bucket.wait(10, 5.0) == 0
    bucket.spend(10, 5.0)
    assert bucket.available(5.05) == pytest.approx(5) and bucket.available(500.0) == 10


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(1000, 10)
    bucket.spend(10, 10.0)
    assert bucket.available(10.0) == pytest.approx(0) and bucket.available(5.0) < 0
    assert bucket.wait(1, 10.0) == pytest.approx(0.001)


def test_more_than_fits_waits_for_a_full_bucket() -> None:
    bucket = TokenBucket(1000, 10)
    bucket.spend(10, 0.0)
    assert bucket.wait(10**6, 0.0) == pytest.approx(0.01)


@pytest.mark.parametrize(("rate", "depth"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_never_fills_is_refused(rate: float, depth: float) -> None:
    with pytest.raises(ValueError, match="token bucket"):
        TokenBucket(rate, depth)
