"""Ranking strategies: pure, so each is tried on made-up merits."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.ranking import STRATEGIES, TIES, decayed, order_number

HALF_LIFE = 100.0


@dataclass(frozen=True)
class Made:
    """Merits."""

    uploads: int = 0
    receipts: int = 0
    credit: int = 0
    score: float = 0.0
    scored_at: float = 1000.0


def order(name: str, *nodes: Made) -> list[int]:
    """The positions of the nodes, the best first."""
    ranks = [STRATEGIES[name].rank(node, HALF_LIFE) for node in nodes]
    return sorted(range(len(nodes)), key=ranks.__getitem__)


def test_uploads_ranks_the_most_generous_first() -> None:
    assert order("uploads", Made(receipts=2), Made(receipts=9), Made(receipts=5)) == [1, 2, 0]
    assert order("uploads", Made(uploads=2), Made(uploads=9), Made(uploads=5)) == [1, 2, 0]


@pytest.mark.parametrize("name", ["uploads", "rate", "bytes"])
def test_what_is_proven_stands_before_all_that_is_only_said(name: str) -> None:
    said = Made(uploads=10**6, score=10.0**6)
    proven = Made(receipts=1, credit=1, score=0.001)
    assert order(name, said, proven, Made()) in ([1, 0, 2], [1, 2, 0])


def test_bytes_ranks_who_sent_most_however_often() -> None:
    assert order("bytes", Made(receipts=9, credit=9), Made(receipts=1, credit=10**9)) == [1, 0]


def test_rate_forgets_the_generosity_of_long_ago() -> None:
    veteran = Made(receipts=100, score=100.0, scored_at=0.0)  # ten half-lives ago
    newcomer = Made(receipts=1, score=1.0)
    assert order("uploads", newcomer, veteran) == [1, 0]
    assert order("rate", newcomer, veteran) == [0, 1]


@given(st.floats(0.01, 1e6), st.floats(0, 1e5), st.floats(0.01, 1e6), st.floats(0, 1e5), st.floats(0, 1e5))
def test_rate_orders_two_as_their_decayed_scores_do_at_any_time(
    one: float, scored: float, other: float, scored_too: float, later: float
) -> None:
    now = max(scored, scored_too) + later % 1000
    nodes = Made(receipts=1, score=one, scored_at=scored), Made(receipts=1, score=other, scored_at=scored_too)
    scores = [decayed(node.score, now - node.scored_at, HALF_LIFE) for node in nodes]
    if scores[0] > scores[1] * 1.0001:
        assert order("rate", *nodes) == [0, 1]


def test_random_finds_nobody_better_than_others() -> None:
    assert STRATEGIES["random"].drawn
    assert STRATEGIES["random"].rank(Made(), HALF_LIFE) == STRATEGIES["random"].rank(
        Made(9, 9, 9, 9), HALF_LIFE
    )


def test_a_score_halves_with_each_half_life_and_never_grows() -> None:
    assert decayed(8.0, 300.0, 100.0) == pytest.approx(1.0)
    assert decayed(8.0, -5.0, 100.0) == 8.0


places = st.tuples(st.floats(allow_nan=False), st.integers(0, TIES - 1))


@given(places, places)
def test_an_order_number_sorts_as_rank_and_tie_do(one: tuple[float, int], another: tuple[float, int]) -> None:
    assert (order_number(*one) < order_number(*another)) is (one < another)
