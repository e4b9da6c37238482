"""Pending requests: accepted once from any source, and requested twice within a budget."""

from __future__ import annotations

import random

from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.pending import (
    ENDGAME_FRACTION,
    MIN_ENDGAME_BYTES,
    MIN_TIMEOUT,
    OVERDUE_FACTOR,
    UNKNOWN_TIMEOUT,
    PendingRequests,
)

A, B, C = (Peer("127.0.0.1", number, node_id=number) for number in range(1, 4))
SIZE = 100_000_000


def late(owed: PendingRequests, source: Peer, now: float, limit: int = 1 << 30):
    return next(iter(owed.overdue(source, limit, now)), None)


def test_requested_bytes_are_accepted_once() -> None:
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 0.0)
    assert owed.of(A) == 100 and owed
    assert owed.accept(A, 10, 50, 1.0).ranges == [(10, 50)]
    assert owed.accept(A, 0, 60, 1.0).ranges == [(0, 10), (50, 60)]
    assert owed.accept(A, 0, 60, 1.0).ranges == []
    assert owed.accept(B, 60, 100, 1.0).ranges == []
    assert owed.accept(A, 60, 100, 1.0).ranges == [(60, 100)]
    assert not owed


def test_the_first_of_two_sources_counts() -> None:
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 0.0)
    owed.request_again(B, 0, 60, 9.0)
    assert owed.accept(B, 0, 30, 9.1).ranges == [(0, 30)]
    assert owed.accept(A, 0, 100, 9.2).ranges == [(30, 100)]
    assert owed.wasted == 30
    assert owed.accept(B, 30, 60, 9.3).ranges == []
    assert owed.wasted == 60
    assert not owed


def test_returned_bytes_are_free_only_if_no_other_source_owes_them() -> None:
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 0.0)
    owed.request_again(B, 40, 60, 9.0)
    assert owed.give_back(A, [(0, 100)]) == [(0, 40), (60, 100)]
    assert owed.give_back(B, [(40, 60)]) == [(40, 60)]
    assert owed.give_back(A, [(0, 100)]) == []


def test_a_request_is_overdue_after_several_usual_response_times() -> None:
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 0.0)
    assert late(owed, B, UNKNOWN_TIMEOUT - 0.2) is None
    assert late(owed, B, UNKNOWN_TIMEOUT + 0.01) == (0, 100)
    assert late(owed, A, 100.0) is None  # one does not help oneself
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 0.0)
    owed.request(B, 200, 300, 0.0)
    owed.accept(B, 200, 300, 0.4)
    assert late(owed, B, OVERDUE_FACTOR * 0.4 - 0.2) is None
    assert late(owed, B, OVERDUE_FACTOR * 0.4 + 0.01) == (0, 100)


def test_a_request_is_not_overdue_before_the_minimum_timeout() -> None:
    owed = PendingRequests(SIZE)
    owed.request(B, 0, 100, 0.0)
    owed.accept(B, 0, 100, 0.001)
    owed.request(A, 100, 200, 1.0)
    assert late(owed, B, 1.0 + MIN_TIMEOUT - 0.2) is None
    assert late(owed, B, 1.0 + MIN_TIMEOUT + 0.01) == (100, 200)


def test_the_oldest_request_comes_first_and_no_byte_is_requested_three_times() -> None:
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 5.0)
    owed.request(A, 100, 200, 3.0)
    assert late(owed, B, 60.0) == (100, 200)
    assert late(owed, B, 60.0, limit=30) == (100, 130)
    owed.request_again(B, 100, 200, 60.0)
    assert late(owed, C, 60.0) == (0, 100)
    owed.request_again(B, 0, 100, 60.0)
    assert late(owed, C, 90.0) is None


def test_the_endgame_budget_bounds_wasted_bytes() -> None:
    owed = PendingRequests(SIZE)
    budget = int(SIZE * ENDGAME_FRACTION)
    owed.request(A, 0, SIZE, 0.0)
    doubled = 0
    while span := late(owed, B, 60.0, limit=262_144):
        owed.request_again(B, span[0], span[1], 60.0)
        doubled += span[1] - span[0]
    assert doubled <= budget
    owed.accept(A, 0, SIZE, 61.0)  # and then it all came from the first one, after all
    owed.accept(B, 0, doubled, 61.0)
    assert owed.wasted == doubled
    owed.request(A, 0, SIZE, 62.0)
    assert late(owed, B, 99.0) is None
    small = PendingRequests(1000)
    small.request(A, 0, 1000, 0.0)
    assert late(small, B, 60.0) == (0, 1000)
    assert MIN_ENDGAME_BYTES >= 1000


def test_each_byte_is_accepted_once_in_random_runs() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        owed, free, here = PendingRequests(10_000), RangeSet([(0, 10_000)]), RangeSet()
        out: list[tuple[Peer, tuple[int, int]]] = []
        now = 0.0
        for _ in range(50_000):
            if here.total == 10_000:
                break
            now += rng.random()
            source = rng.choice([A, B, C])
            event = rng.random()
            if event < 0.4:
                span = free.take_first(rng.randrange(1, 500))
                if span is not None:
                    owed.request(source, *span, now)
                    out.append((source, span))
                elif span := late(owed, source, now, 300):
                    owed.request_again(source, span[0], span[1], now)
                    out.append((source, span))
            elif out and event < 0.5:
                source, span = out.pop(rng.randrange(len(out)))
                for back in owed.give_back(source, [span]):
                    free.add(*back)
            elif out:
                source, span = out.pop(rng.randrange(len(out)))
                for start, end in owed.accept(source, *span, now).ranges:
                    assert not here.overlap(start, end)
                    here.add(start, end)
        assert here.total == 10_000
        assert not owed


def test_revoked_bytes_that_arrive_are_dropped_and_cost_nothing_of_the_budget() -> None:
    owed = PendingRequests(SIZE)
    owed.request(A, 0, 100, 0.0)
    assert owed.revoke(A, 50, 200) == [(50, 100)]
    assert owed.of(A) == 50 and not owed.owes(A, 50, 100)
    assert owed.accept(A, 0, 100, 1.0).ranges == [(0, 50)]
    assert owed.wasted == 0
    assert owed.accept(A, 50, 100, 1.0).ranges == []
    assert owed.wasted == 50  # once
