"""One contract for whatever divides the bytes: every byte once, only from who holds it, and to the end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import Strategy
from node.scheduling.equal_chunks import EqualChunks
from node.scheduling.plan import Plan, Work
from node.scheduling.rarest_first import RarestFirst

PIECE = 64 * 1024
A, B, C, D = (Peer("127.0.0.1", number, node_id=number) for number in range(1, 5))


def division(missing: list[tuple[int, int]], size: int) -> Strategy:
    return EqualChunks(missing, PIECE)


def picker(missing: list[tuple[int, int]], size: int) -> Strategy:
    return RarestFirst(missing, PIECE, size, random.Random(7))


strategies = pytest.mark.parametrize("make", [division, picker])
Make = Callable[[list[tuple[int, int]], int], Strategy]


def patience(strategy: Strategy) -> Callable[[Peer], float]:
    return lambda source: float(strategy.rest(source))


def drain(strategy: Strategy, source: Peer, limit: int = 1 << 30) -> list[tuple[int, int]]:
    spans = []
    while (span := strategy.take(source, limit, patience(strategy))) is not None:
        assert span[0] < span[1] <= span[0] + limit
        spans.append(span)
    assert not strategy.refill(source, patience(strategy))
    return spans


def total(spans: list[tuple[int, int]]) -> int:
    assert RangeSet(spans).total == sum(end - start for start, end in spans), "a byte twice"
    return RangeSet(spans).total


@strategies
@pytest.mark.parametrize("size", [1, PIECE, 10 * PIECE, 40 * PIECE + 17])
def test_one_source_gets_everything_once(make: Make, size: int) -> None:
    strategy = make([(0, size)], size)
    strategy.start([A])
    assert total(drain(strategy, A, 100_000)) == size


@strategies
def test_what_is_here_is_not_asked_for(make: Make) -> None:
    size = 10 * PIECE
    strategy = make([(PIECE, 2 * PIECE), (5 * PIECE, 9 * PIECE)], size)
    strategy.start([A, B])
    assert RangeSet(drain(strategy, A) + drain(strategy, B)) == RangeSet(
        [(PIECE, 2 * PIECE), (5 * PIECE, 9 * PIECE)]
    )


@strategies
def test_nobody_who_has_left_or_never_came_gets_anything(make: Make) -> None:
    strategy = make([(0, PIECE)], PIECE)
    strategy.start([A])
    strategy.leave(A)
    assert strategy.take(A, PIECE, patience(strategy)) is None
    assert strategy.take(B, PIECE, patience(strategy)) is None
    assert not strategy.has(A, 0)
    strategy.join(B)
    assert strategy.has(B, 0)
    assert total(drain(strategy, B)) == PIECE


@strategies
def test_what_is_claimed_is_nobodys_until_it_is_given_back(make: Make) -> None:
    size = 8 * PIECE
    strategy = make([(0, size)], size)
    strategy.start([A, B])
    strategy.refill(A, patience(strategy))
    claimed = strategy.claim(3 * PIECE + 5, 6 * PIECE)
    assert total(claimed) == 3 * PIECE - 5
    rest = drain(strategy, A) + drain(strategy, B)
    assert total(rest + claimed) == size
    strategy.give_back(claimed)
    assert RangeSet(drain(strategy, B)) == RangeSet(claimed)


@strategies
@pytest.mark.parametrize("seed", range(20))
def test_whoever_comes_goes_fails_and_lies_all_is_delivered_once(make: Make, seed: int) -> None:
    """Sources take, deliver, fail and leave at random; in the end every byte was delivered just once."""
    rng = random.Random(seed)
    size = rng.randrange(1, 50 * PIECE)
    strategy = make([(0, size)], size)
    here: list[Peer] = [A, B]
    strategy.start(here)
    out: list[tuple[Peer, tuple[int, int]]] = []
    delivered = RangeSet()
    for _ in range(100_000):
        if delivered.total == size:
            break
        event = rng.random()
        if event < 0.05 and len(here) > 1:
            gone = here.pop(rng.randrange(len(here)))
            strategy.leave(gone)
            strategy.give_back([span for source, span in out if source == gone])
            out = [(source, span) for source, span in out if source != gone]
        elif event < 0.1:
            newcomer = rng.choice([A, B, C, D])
            if newcomer not in here:
                here.append(newcomer)
                strategy.join(newcomer)
        elif event < 0.6:
            source = rng.choice(here)
            span = strategy.take(source, rng.randrange(1, 100_000), patience(strategy))
            if span is not None:
                out.append((source, span))
        elif out:
            _, span = out.pop(rng.randrange(len(out)))
            if rng.random() < 0.1:
                strategy.give_back([span])
            else:
                assert not delivered.overlap(*span)
                delivered.add(*span)
    assert delivered.total == size


def test_work_begins_with_equal_chunks_and_picks_once_somebody_has_but_a_part() -> None:
    geometry = Geometry(9 * PIECE, PIECE)
    work = Work(geometry, [(0, geometry.size)], lambda source: 0.0, Peer("127.0.0.1", 9))
    work.start([A, B, C])
    assert [work.take(source, 1 << 30) for source in (A, B, C)] == [
        (0, 3 * PIECE),
        (3 * PIECE, 6 * PIECE),
        (6 * PIECE, 9 * PIECE),
    ]
    assert not work.picking
    work.give_back([(0, 6 * PIECE)])
    work.join(D)
    held = Bitfield(9)
    held.set(2)
    work.told(D, held)
    assert work.picking
    assert work.take(D, 1 << 30) == (2 * PIECE, 3 * PIECE)
    assert work.take(D, 1 << 30) is None
    spans = []
    while span := work.take(A, 1 << 30):
        spans.append(span)
    assert RangeSet(spans) == RangeSet([(0, 2 * PIECE), (3 * PIECE, 6 * PIECE)])


def test_no_byte_is_lost_when_the_first_sources_have_but_a_part() -> None:
    geometry = Geometry(4 * PIECE, PIECE)
    work = Work(geometry, [(0, geometry.size)], lambda source: 0.0, Peer("127.0.0.1", 9))
    work.start([])
    work.join(A)
    work.told(A, Bitfield(4))
    assert work.take(A, 1 << 30) is None
    work.told(A, Bitfield.full(4))
    taken = []
    while span := work.take(A, 1 << 30):
        taken.append(span)
    assert total(taken) == geometry.size


def test_one_that_drips_does_not_hold_up_the_end() -> None:
    """B has nothing left to do; what A owes for long is asked of B as well, and counts once."""
    geometry = Geometry(4 * PIECE, PIECE)
    plan = Plan(geometry, [(0, geometry.size)], lambda source: 0.0)
    plan.work.start([A, B])
    for source in (A, B):  # both have proved themselves with a piece
        while span := plan.take(source, PIECE, 0.0):
            assert list(plan.accept(source, *span, 0.1)) == [span]
            plan.probation.right(span[0] // PIECE, [source])
            if plan.probation.trusts(source):
                break
    dripping = plan.take(A, PIECE, 0.2)
    assert dripping is not None
    while span := plan.take(B, PIECE, 0.2):
        assert list(plan.accept(B, *span, 0.3)) == [span]
    assert not plan.has_work(B, 0.5)
    assert plan.has_work(B, 9.0)
    assert plan.take(B, PIECE, 9.2) == dripping
    assert list(plan.accept(B, *dripping, 9.3)) == [dripping]
    assert list(plan.accept(A, *dripping, 9.4)) == []
    assert plan.outstanding.wasted == PIECE
