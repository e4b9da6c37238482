"""A piece is complete when all its bytes are there, and its sources are known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer import Peer
from node.scheduling.piece_progress import MAX_SPANS, PieceProgress

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)


def ledger(size: int, piece_length: int, held: tuple[int, ...] = ()) -> PieceProgress:
    geometry = Geometry(size, piece_length)
    bits = Bitfield(geometry.piece_count)
    for index in held:
        bits.set(index)
    return PieceProgress(geometry, bits)


def test_a_resumed_download_misses_the_pieces_that_are_not_verified() -> None:
    book = ledger(25, 10, held=(1,))
    assert book.missing() == [(0, 10), (20, 25)]
    assert (book.received, book.verified, book.have.all()) == (10, 10, False)


def test_a_range_over_three_pieces_completes_those_that_it_fills() -> None:
    book = ledger(25, 10)
    assert list(book.arrived(A, 0, 4)) == []
    assert list(book.arrived(B, 4, 22)) == [0, 1]
    assert list(book.arrived(A, 22, 25)) == [2]
    assert book.passed(0) == {A: 4, B: 6}
    assert book.passed(1) == {B: 10}
    assert book.passed(2) == {B: 2, A: 3}
    assert book.have.all()


def test_a_wrong_piece_is_missing_again_and_its_sources_are_forgotten() -> None:
    book = ledger(20, 10)
    book.arrived(A, 0, 10)
    assert book.failed(0) == {A: 10}
    assert (book.received, book.verified) == (0, 0)
    assert list(book.arrived(B, 0, 10)) == [0]
    assert book.passed(0) == {B: 10}


def test_an_empty_file_is_complete_from_the_start() -> None:
    book = ledger(0, 10)
    assert book.have.all()
    assert book.missing() == []


@given(size=st.integers(1, 500), piece_length=st.integers(1, 100), seed=st.randoms(use_true_random=False))
def test_each_piece_completes_once_in_whatever_order_its_bytes_come(
    size: int, piece_length: int, seed
) -> None:
    book = ledger(size, piece_length)
    cuts = sorted({0, size, *(seed.randrange(size) for _ in range(12))})
    spans = list(zip(cuts, cuts[1:], strict=False))
    seed.shuffle(spans)
    completed: list[int] = []
    for start, end in spans:
        completed += book.arrived(seed.choice([A, B]), start, end)
    assert sorted(completed) == list(range(-(-size // piece_length)))
    assert book.received == size
    given_by = {A: 0, B: 0}
    for index in completed:
        for source, amount in book.passed(index).items():
            given_by[source] += amount
    assert sum(given_by.values()) == size == book.verified


def shares(book: PieceProgress, index: int) -> list[tuple[Peer, bool, list[tuple[int, int]]]]:
    return [(share.source, share.checked, list(share.spans)) for share in book.contributions(index)]


def test_unchecked_bytes_are_kept_apart_until_the_piece_is_fetched_again() -> None:
    book = ledger(30, 10)
    book.arrived(A, 0, 15, checked=False)
    book.arrived(A, 15, 30)
    assert shares(book, 0) == [(A, False, [(0, 10)])]
    assert shares(book, 1) == [(A, False, [(10, 15)]), (A, True, [(15, 20)])]
    assert shares(book, 2) == [(A, True, [(20, 30)])]
    book.failed(0)
    assert shares(book, 0) == []
    book.arrived(A, 0, 10)
    assert shares(book, 0) == [(A, True, [(0, 10)])]


def test_contributions_are_merged_where_they_touch() -> None:
    book = ledger(20, 20)
    for source, start, end in [(A, 0, 2), (B, 8, 12), (A, 4, 8), (A, 2, 4), (B, 12, 20)]:
        book.arrived(source, start, end)
    assert shares(book, 0) == [(A, True, [(0, 8)]), (B, True, [(8, 20)])]
    assert [share.amount for share in book.contributions(0)] == [8, 12]


def test_more_spans_than_are_kept_of_a_piece_are_only_counted() -> None:
    size = 4 * MAX_SPANS
    book = ledger(size, size)
    for start in range(0, size, 2):
        book.arrived(A, start, start + 1)
        book.arrived(B, start + 1, start + 2)
    assert [(share.amount, share.spans) for share in book.contributions(0)] == [(size // 2, ())] * 2
    assert book.discard(A) == []
    assert book.passed(0) == {A: size // 2, B: size // 2}


def test_bytes_of_a_dismissed_source_in_incomplete_pieces_are_missing_again() -> None:
    book = ledger(40, 10)
    book.arrived(A, 0, 14)  # piece 0 is complete: its hash will decide
    book.arrived(B, 14, 18)
    book.arrived(A, 33, 35, checked=False)
    assert book.discard(A) == [(10, 14), (33, 35)]
    assert book.received == 14
    assert list(book.arrived(B, 10, 14)) == []
    assert list(book.arrived(B, 18, 20)) == [1]
    assert shares(book, 1) == [(B, True, [(10, 20)])]
    assert shares(book, 0) == [(A, True, [(0, 10)])]
