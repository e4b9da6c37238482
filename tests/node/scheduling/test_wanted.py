"""Only wanted pieces are fetched, and the download is complete with them."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer import Peer
from node.scheduling.scheduler import Scheduler

PIECE = 10
A = Peer("127.0.0.1", 1, node_id=1)


def pieces(indexes: set[int], count: int) -> Bitfield:
    made = Bitfield(count)
    for index in indexes:
        made.set(index)
    return made


def fetch(scheduler: Scheduler, limit: int = 1000) -> set[int]:
    """Fetch what A may be asked for, at most ``limit`` ranges; returns the pieces that became complete."""
    got: set[int] = set()
    for _ in range(limit):
        span = scheduler.take(A, PIECE, 0.0)
        if span is None:
            break
        scheduler.accept(A, span.start, span.end, 0.0)
        for piece in scheduler.arrived(A, span.start, span.end):
            scheduler.piece_passed(piece)
            got.add(piece)
    return got


def test_only_wanted_pieces_are_fetched_and_more_later() -> None:
    scheduler = Scheduler(Geometry(95, PIECE), pieces({0}, 10), 0.0, wanted=pieces({0, 2, 9}, 10))
    scheduler.start([A])
    assert scheduler.wanted_size == 25 and not scheduler.over
    assert fetch(scheduler) == {2, 9} and scheduler.complete and scheduler.over
    assert scheduler.verified == 25


def test_nothing_wanted_is_missing() -> None:
    assert Scheduler(Geometry(95, PIECE), pieces({3}, 10), 0.0, wanted=pieces({3}, 10)).over


def test_a_requested_piece_that_is_not_wanted_any_more_is_accepted() -> None:
    scheduler = Scheduler(Geometry(30, PIECE), Bitfield(3), 0.0)
    scheduler.start([A])
    span = scheduler.take(A, PIECE, 0.0)
    assert span is not None
    taken = span.start // PIECE
    scheduler.set_wanted(pieces({(taken + 1) % 3}, 3))
    assert scheduler.accept(A, span.start, span.end, 0.0).ranges
    assert list(scheduler.arrived(A, span.start, span.end)) == [taken]
    scheduler.piece_passed(taken)
    assert not scheduler.complete
    assert fetch(scheduler) == {(taken + 1) % 3} and scheduler.complete


@given(st.lists(st.tuples(st.sets(st.integers(0, 9)), st.integers(0, 3)), min_size=1), st.booleans())
def test_any_changes_end_with_exactly_the_wanted_pieces(
    changes: list[tuple[set[int], int]], partial: bool
) -> None:
    """No byte is lost or fetched twice, whatever is selected in the meantime."""
    first, later = changes[0], changes[1:]
    scheduler = Scheduler(Geometry(98, PIECE), Bitfield(10), 0.0, wanted=pieces(first[0], 10))
    scheduler.start([A])
    if partial:
        scheduler.on_bitfield(A, Bitfield.full(10))
    got = fetch(scheduler, first[1])
    wanted = first[0]
    for indexes, limit in later:
        if scheduler.over:
            break
        wanted = indexes
        scheduler.set_wanted(pieces(indexes, 10))
        new = fetch(scheduler, limit)
        assert not new & got
        got |= new
    new = fetch(scheduler)
    assert not new & got and wanted <= got | new and scheduler.complete
