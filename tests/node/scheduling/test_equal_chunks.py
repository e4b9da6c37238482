"""Equal chunks, then stolen halves of the slowest source's rest. No byte is lost or doubled."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.equal_chunks import MIN_THEFT_BYTES, EqualChunks, split_file_owners

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
C = Peer("127.0.0.1", 3, node_id=3)
PIECE = 64 * 1024


def even(source: Peer) -> float:
    return 1.0


def take_all(picker: EqualChunks, source: Peer, limit: int = 1 << 30) -> list[tuple[int, int]]:
    spans = []
    while (span := picker.take(source, limit)) is not None:
        spans.append(span)
    return spans


def test_complete_owners_get_equal_chunks_cut_between_pieces() -> None:
    chunks = split_file_owners(RangeSet([(0, 9 * PIECE)]), 3, PIECE)
    assert [list(chunk) for chunk in chunks] == [
        [(0, 3 * PIECE)],
        [(3 * PIECE, 6 * PIECE)],
        [(6 * PIECE, 9 * PIECE)],
    ]


def test_a_file_of_one_piece_goes_to_one_owner() -> None:
    chunks = split_file_owners(RangeSet([(0, 10)]), 3, PIECE)
    assert [chunk.total for chunk in chunks] == [10, 0, 0]


def test_holes_are_not_fetched_again() -> None:
    missing = RangeSet([(0, PIECE), (4 * PIECE, 5 * PIECE), (8 * PIECE, 8 * PIECE + 5)])
    chunks = split_file_owners(missing, 2, PIECE)
    assert sum(chunk.total for chunk in chunks) == missing.total
    together = RangeSet(span for chunk in chunks for span in chunk)
    assert together == missing


@given(pieces=st.sets(st.integers(0, 60)), owners=st.integers(1, 7), tail=st.integers(1, 1000))
def test_any_split_is_a_partition_that_divides_no_piece(pieces: set[int], owners: int, tail: int) -> None:
    length = 1000
    missing = RangeSet((p * length, p * length + (tail if p == 60 else length)) for p in pieces)
    chunks = split_file_owners(missing, owners, length)
    assert len(chunks) == owners
    assert sum(chunk.total for chunk in chunks) == missing.total
    assert RangeSet(span for chunk in chunks for span in chunk) == missing
    touched = [{start // length for s, e in chunk for start in range(s, e, 1)} for chunk in chunks]
    assert sum(map(len, touched)) == len(set().union(*touched))
    if missing.total:
        assert max(chunk.total for chunk in chunks) <= missing.total / owners + 2 * length


def test_a_finished_source_steals_half_of_the_slowest_sources_rest() -> None:
    picker = EqualChunks([(0, 8 * PIECE)], PIECE, even)
    picker.start([A, B])
    assert take_all_own(picker, A, 4 * PIECE)  # A has asked for all of its chunk; B for nothing
    span = picker.take(A, 1 << 30)
    assert span == (6 * PIECE, 8 * PIECE)
    assert picker.remaining(B) == 2 * PIECE


def take_all_own(picker: EqualChunks, source: Peer, amount: int) -> bool:
    return picker.take(source, amount) == (0, amount)


def test_the_slowest_is_the_one_with_most_time_left_not_most_bytes() -> None:
    picker = EqualChunks([(0, 9 * PIECE)], PIECE, {A: 1.0, B: 1.0, C: 1000.0}.__getitem__)
    picker.start([A, B, C])
    picker.take(A, 3 * PIECE)
    picker.take(B, PIECE)  # B has fewer bytes left than C, and needs more seconds
    span = picker.take(A, 1 << 30)
    assert span == (5 * PIECE, 6 * PIECE)


def test_a_small_rest_is_stolen_whole() -> None:
    picker = EqualChunks([(0, 2 * MIN_THEFT_BYTES)], PIECE, even)
    picker.start([A, B])
    picker.take(A, MIN_THEFT_BYTES // 2)
    rest = picker.remaining(A)
    assert 0 < rest < 2 * MIN_THEFT_BYTES
    assert picker.take(B, 1 << 30) == (MIN_THEFT_BYTES // 2, 2 * MIN_THEFT_BYTES)
    assert picker.remaining(A) == 0


def test_bytes_of_a_lost_owner_are_taken_before_any_are_stolen() -> None:
    picker = EqualChunks([(0, 9 * PIECE)], PIECE, even)
    picker.start([A, B, C])
    picker.take(C, PIECE)
    picker.leave(C)
    picker.give_back([(6 * PIECE, 7 * PIECE)])  # requested from C, and not sent
    picker.take(A, 3 * PIECE)
    assert picker.take(A, 1 << 30) == (6 * PIECE, 8 * PIECE)  # half of it: B is there too
    assert picker.remaining(B) == 3 * PIECE


def test_a_source_that_left_gets_nothing() -> None:
    picker = EqualChunks([(0, PIECE)], PIECE, even)
    picker.start([A])
    picker.leave(A)
    assert picker.take(A, 10) is None
    picker.join(B)
    assert take_all(picker, B) == [(0, PIECE)]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_each_byte_is_handed_out_once_and_none_is_forgotten(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randrange(1, 60 * PIECE)
    picker = EqualChunks([(0, size)], PIECE, even)
    sources = [Peer("127.0.0.1", n, node_id=n) for n in range(rng.randrange(1, 5))]
    picker.start(sources)
    out: dict[Peer, list[tuple[int, int]]] = {source: [] for source in sources}
    delivered = RangeSet()
    for _ in range(100_000):
        if delivered.total == size:
            break
        source = rng.choice(list(out))
        event = rng.random()
        if event < 0.02 and len(out) > 1:  # it dies: its requests go back
            picker.leave(source)
            picker.give_back(out.pop(source))
        elif event < 0.03:
            newcomer = Peer("127.0.0.1", rng.randrange(1000, 9999))
            picker.join(newcomer)
            out.setdefault(newcomer, [])
        elif event < 0.6:
            span = picker.take(source, rng.randrange(1, 2 * PIECE))
            if span is not None:
                out[source].append(span)
        elif out[source]:
            start, end = out[source].pop(0)
            assert not delivered.cut(start, end), "handed out twice"
            delivered.add(start, end)
    assert delivered == RangeSet([(0, size)]), f"seed {seed}"
