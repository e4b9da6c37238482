"""Ranking strategies: pure, so each is tried on made-up owners at made-up times."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import OwnedFile
from tracker.ranking import STRATEGIES, Candidate, Circumstances, decayed

AT = Circumstances(now=1000.0, half_life=100.0, rng=random.Random(7))


def owner(
    node_id: int,
    uploads: int = 0,
    score: float = 0.0,
    scored: float = 1000,
    heard: float = 0.0,
    complete: bool = True,
) -> Candidate:
    file = OwnedFile("f", complete=complete)
    return Candidate(node_id, ("127.0.0.1", 4000 + node_id), file, uploads, score, scored, heard)


def ranked(name: str, owners: list[Candidate], limit: int = 50) -> list[int]:
    return [candidate.node_id for candidate in STRATEGIES[name](owners, limit, AT)]


def test_uploads_ranks_the_most_generous_first() -> None:
    assert ranked("uploads", [owner(1, 2), owner(2, 9), owner(3, 5)]) == [2, 3, 1]


def test_equals_are_ranked_by_completeness_then_by_who_was_heard_last_then_by_number() -> None:
    owners = [owner(1, heard=5), owner(4, heard=9, complete=False), owner(3, heard=5), owner(2, heard=7)]
    for name in ("uploads", "rate"):
        assert ranked(name, owners) == [2, 1, 3, 4]


def test_who_has_a_part_stands_behind_all_who_have_the_whole_and_chance_decides_among_them() -> None:
    owners = [owner(n, uploads=9, score=9.0, complete=False) for n in range(10)]
    owners += [owner(20), owner(21, uploads=1, score=1.0)]
    for name in STRATEGIES:
        orders = [ranked(name, owners, 6) for _ in range(20)]
        assert all(set(order[:2]) == {20, 21} and len(order) == 6 for order in orders)
        assert len({tuple(order[2:]) for order in orders}) > 10
        assert set().union(*orders) == {*range(10), 20, 21}
        assert set(ranked(name, owners, 2)) == {20, 21}


def test_rate_forgets_the_generosity_of_long_ago() -> None:
    veteran = owner(1, uploads=100, score=100.0, scored=0.0)  # ten half-lives ago
    newcomer = owner(2, uploads=1, score=1.0)
    assert ranked("uploads", [veteran, newcomer]) == [1, 2]
    assert ranked("rate", [veteran, newcomer]) == [2, 1]


def test_random_repeats_with_its_seed_and_lets_everyone_come_first() -> None:
    owners = [owner(n) for n in range(5)]
    at = [Circumstances(0.0, 1.0, random.Random(3)) for _ in range(2)]
    orders = [[STRATEGIES["random"](owners, 5, a) for _ in range(100)] for a in at]
    assert orders[0] == orders[1]
    assert {order[0].node_id for order in orders[0]} == set(range(5))


@given(
    st.lists(st.builds(owner, st.integers(0, 99), st.integers(0, 5), st.floats(0, 5)), max_size=30),
    st.integers(0, 9),
)
def test_every_strategy_returns_some_of_the_owners_and_no_more_than_asked(
    owners: list[Candidate], limit: int
) -> None:
    for rank in STRATEGIES.values():
        best = rank(owners, limit, AT)
        assert len(best) == min(limit, len(owners))
        assert all(candidate in owners for candidate in best)


@given(st.lists(st.builds(owner, st.integers(0, 99), st.integers(0, 5)), max_size=30), st.integers(0, 9))
def test_the_best_few_are_the_front_of_the_whole_ranking(owners: list[Candidate], limit: int) -> None:
    rank = STRATEGIES["uploads"]
    assert rank(owners, limit, AT) == rank(owners, len(owners), AT)[:limit]


def test_a_score_halves_with_every_half_life() -> None:
    assert decayed(8.0, 0.0, 10.0) == 8.0
    assert decayed(8.0, 20.0, 10.0) == pytest.approx(2.0)
    assert decayed(8.0, 1e9, 10.0) == 0.0
