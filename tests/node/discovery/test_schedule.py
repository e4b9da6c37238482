"""When a tracker is called, in virtual time: bounds, chance, and ten thousand nodes at once."""

from __future__ import annotations

import heapq
import random

import pytest

from node.discovery.schedule import (
    FIRST_RETRY,
    HEARTBEAT_JITTER,
    MAX_RETRY_AFTER,
    MIN_INTERVAL,
    MIN_RETRY,
    RETRY_GROWTH,
    HeartbeatSchedule,
)

T = 11.0  # seconds: an interval


def made(seed: int = 1, heartbeat: float = 20.0) -> HeartbeatSchedule:
    return HeartbeatSchedule(heartbeat, random.Random(seed))


def test_heartbeats_fall_within_a_tenth_of_the_interval() -> None:
    schedule = made()
    waits = []
    for _ in range(1000):
        schedule.answered(100.0, T)
        waits.append(schedule.due - 100.0)
    assert min(waits) >= T * (1 - HEARTBEAT_JITTER) and max(waits) <= T * (1 + HEARTBEAT_JITTER)
    assert max(waits) - min(waits) > 1.9 * HEARTBEAT_JITTER * T


def test_no_tracker_is_called_without_a_pause() -> None:
    schedule = made()
    schedule.answered(0.0, 1e-9)
    assert schedule.due >= MIN_INTERVAL * (1 - HEARTBEAT_JITTER)


def test_tries_are_spread_below_a_bound_that_grows_up_to_the_interval() -> None:
    longest = [0.0] * 12
    for seed in range(500):
        schedule = made(seed)
        schedule.answered(0.0, T)
        for failure in range(12):
            schedule.failed(50.0)
            wait = schedule.due - 50.0
            assert MIN_RETRY <= wait <= min(T, FIRST_RETRY * RETRY_GROWTH**failure)
            longest[failure] = max(longest[failure], wait)
    assert all(
        wait > 0.95 * min(T, FIRST_RETRY * RETRY_GROWTH**failure) for failure, wait in enumerate(longest)
    )  # and chance uses all of it


def test_an_answer_ends_the_growth() -> None:
    schedule = made()
    for _ in range(20):
        schedule.failed(0.0)
    schedule.answered(0.0, T)
    schedule.failed(0.0)
    assert schedule.due <= FIRST_RETRY


def test_a_tracker_that_never_answered_is_tried_as_often_as_one_of_ours_wants_to_be_called() -> None:
    schedule = made(heartbeat=20.0)
    for _ in range(200):
        schedule.failed(0.0)
        assert schedule.due <= 10.0


def test_what_the_tracker_asks_for_is_kept_and_bounded() -> None:
    schedule = made()
    schedule.answered(0.0, T)
    schedule.failed(0.0, retry_after=30.0)
    assert 30.0 + MIN_RETRY <= schedule.due <= 30.0 + FIRST_RETRY
    schedule.failed(0.0, retry_after=1e9)
    assert schedule.due <= MAX_RETRY_AFTER + T
    schedule.failed(0.0, retry_after=-5.0)
    assert schedule.due >= MIN_RETRY


def test_all_bounds_hold_after_very_many_failures() -> None:
    schedule = made()
    for _ in range(5000):
        schedule.failed(0.0)
    assert schedule.due <= 10.0


@pytest.mark.parametrize(
    ("away", "in_step", "peak"),
    [(60.0, True, 2.1), (60.0, False, 2.1), (10.0, False, 3.3), (5.0, False, 3.0), (1.0, False, 2.0)],
)
def test_ten_thousand_nodes_come_back_within_an_interval_and_not_at_once(
    away: float, in_step: bool, peak: float
) -> None:
    """The tracker is gone for ``away`` seconds; ``in_step``: all nodes had begun at the same moment."""
    count, gone = 10_000, 100.0
    back = gone + away
    rng = random.Random(7)
    nodes = [HeartbeatSchedule(20.0, rng) for _ in range(count)]
    calls = []
    for number, node in enumerate(nodes):
        node.answered(0.0 if in_step else rng.uniform(0, T), T)
        calls.append((node.due, number))
    heapq.heapify(calls)
    returned: dict[int, float] = {}
    seconds: dict[int, int] = {}
    while calls[0][0] < back + 4 * T:
        now, number = heapq.heappop(calls)
        if gone <= now < back:
            nodes[number].failed(now)
        else:
            nodes[number].answered(now, T)
            if now >= back:
                returned.setdefault(number, now - back)
                seconds[int(now - back)] = seconds.get(int(now - back), 0) + 1
        heapq.heappush(calls, (nodes[number].due, number))
    assert len(returned) == count
    assert max(returned.values()) <= T * (1 + HEARTBEAT_JITTER)  # half of the limit
    mean = count / T
    assert max(seconds.values()) <= peak * mean
