"""How often nodes are to call: pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.heartbeat import (
    BUSY_REQUESTS_PER_SECOND,
    HEARTBEATS_PER_SECOND,
    MAX_FACTOR,
    SPAN_SECONDS,
    RequestRate,
    interval_factor,
)


def test_a_class_calls_as_often_as_ever() -> None:
    assert (
        interval_factor(11.0, 200)
        == interval_factor(11.0, 0)
        == interval_factor(11.0, int(HEARTBEATS_PER_SECOND * 11))
        == 1.0
    )


def test_many_nodes_call_so_seldom_that_all_are_heard() -> None:
    longer = interval_factor(11.0, 100_000)
    assert 100_000 / (11.0 * longer) == pytest.approx(HEARTBEATS_PER_SECOND)


def test_other_requests_take_room_from_heartbeats_but_not_all() -> None:
    assert interval_factor(11.0, 10_000, other_requests=BUSY_REQUESTS_PER_SECOND / 2) == pytest.approx(
        10_000 / 11 / (HEARTBEATS_PER_SECOND / 2)
    )
    assert interval_factor(11.0, 10_000, other_requests=1e9) == pytest.approx(
        10_000 / 11 / (HEARTBEATS_PER_SECOND / 10)
    )


@given(
    st.floats(0.05, 3600), st.integers(0, 10**7), st.floats(0, 1e6), st.integers(0, 10**6), st.floats(0, 1e5)
)
def test_it_is_never_shorter_than_usual_and_grows_with_either_load(
    interval: float, nodes: int, others: float, more_nodes: int, more_others: float
) -> None:
    now = interval_factor(interval, nodes, others)
    assert 1.0 <= now <= interval_factor(interval, nodes + more_nodes, others + more_others) <= MAX_FACTOR


def test_a_rate_is_that_of_the_last_span() -> None:
    rate = RequestRate()
    assert rate.at(0.0) == 0.0
    for n in range(100):
        rate.note(n * SPAN_SECONDS / 100)
    assert rate.at(SPAN_SECONDS) == pytest.approx(100 / SPAN_SECONDS)
    assert rate.at(SPAN_SECONDS * 1.5) == pytest.approx(100 / SPAN_SECONDS)
    assert rate.at(SPAN_SECONDS * 2.5) == 0.0
