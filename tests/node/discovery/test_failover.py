"""Which address of a tracker is asked, in virtual time."""

from __future__ import annotations

import random

from node.discovery.failover import ADDRESS_BACKOFF, FailOver

FIRST, LIMIT, JITTER = ADDRESS_BACKOFF.first, ADDRESS_BACKOFF.limit, ADDRESS_BACKOFF.jitter


def made(count: int = 3) -> FailOver:
    return FailOver(count, random.Random(1))


def test_the_first_is_preferred_and_the_others_follow() -> None:
    assert made().order(0.0, test_preferred=False) == [0, 1, 2]
    assert made(1).order(0.0, test_preferred=True) == [0]


def test_who_answered_is_asked_again_and_whoever_failed_last_comes_last() -> None:
    choice = made()
    choice.failed(0, 0.0)
    assert choice.answered(1) == 0
    assert choice.current == 1
    assert choice.order(1.0, test_preferred=True) == [1, 2, 0]


def test_a_preferred_one_that_has_rested_is_looked_for_by_heartbeats_only() -> None:
    choice = made()
    choice.failed(0, 0.0)
    choice.answered(1)
    assert choice.order(FIRST, test_preferred=False)[0] == 1
    assert choice.order(FIRST, test_preferred=True) == [0, 1, 2]
    assert choice.answered(0) == 1
    assert choice.order(FIRST, test_preferred=False) == [0, 1, 2]


def test_rests_double_and_are_bounded_and_chance_spreads_them() -> None:
    def asked_again(choice: FailOver, after: float) -> bool:
        return choice.order(after, test_preferred=True)[0] == 0

    for seed in range(50):
        choice = FailOver(2, random.Random(seed))
        choice.answered(1)
        for failures in range(40):
            choice.failed(0, 0.0)
            rest = min(LIMIT, FIRST * 2**failures)
            assert asked_again(choice, rest)
            assert not asked_again(choice, rest * (1 - JITTER) - 0.01)
        choice.answered(0)
        choice.answered(1)
        choice.failed(0, 0.0)
        assert asked_again(choice, FIRST)  # an answer ends the growth


def test_every_address_is_asked_once_whatever_happened() -> None:
    rng = random.Random(3)
    choice = FailOver(5, rng)
    for now in range(500):
        index = rng.randrange(5)
        if rng.random() < 0.5:
            choice.failed(index, float(now))
        else:
            choice.answered(index)
        for looking in (False, True):
            assert sorted(choice.order(float(now), looking)) == [0, 1, 2, 3, 4]
