"""Rarest first: pieces of few holders come first, and nodes choose differently."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import PieceOrder
from node.scheduling.deferred import DEFER_SECONDS
from node.scheduling.piece_order import Random, Sequential
from node.scheduling.rarest_first import CRUMB_BYTES, SPAN_BYTES, RarestFirst
from node.scheduling.rendezvous import OwnOrder, piece_order

PIECE = 64 * 1024


def peer(number: int) -> Peer:
    return Peer("127.0.0.1", number, node_id=number)


A, B, C, D = map(peer, range(1, 5))


def even(source: Peer) -> float:
    return 1.0


def bits(pieces: int, held: set[int]) -> Bitfield:
    result = Bitfield(pieces)
    for piece in held:
        result.set(piece)
    return result


def made(
    pieces: int, held: dict[Peer, set[int] | None], seed: int = 1, order: PieceOrder | None = None
) -> RarestFirst:
    picker = RarestFirst(
        [(0, pieces * PIECE)], Geometry(pieces * PIECE, PIECE), even, random.Random(seed), order
    )
    for source, theirs in held.items():
        picker.join(source)
        picker.on_bitfield(source, None if theirs is None else bits(pieces, theirs))
    return picker


def first_piece(picker: RarestFirst, source: Peer) -> int:
    span = picker.take(source, PIECE)
    assert span is not None
    return span[0] // PIECE


def test_the_piece_that_the_fewest_hold_comes_first() -> None:
    everything = set(range(20))
    for seed in range(10):
        picker = made(20, {A: everything, B: everything - {7}, C: everything - {7, 3}}, seed)
        assert first_piece(picker, A) == 7
        assert first_piece(picker, B) == 3


def test_a_complete_owner_is_asked_for_pieces_that_only_it_holds() -> None:
    picker = made(20, {A: None, B: set(range(19)), C: set(range(10))})
    assert first_piece(picker, A) == 19


def test_begun_pieces_are_finished_first() -> None:
    picker = made(20, {A: set(range(20)), B: {4}})
    picker.claim(5 * PIECE, 6 * PIECE)
    picker.give_back([(5 * PIECE + 100, 5 * PIECE + 300)])
    assert picker.take(A, PIECE) == (5 * PIECE + 100, 5 * PIECE + 300)


def test_neighbours_as_rare_go_together_up_to_a_span() -> None:
    picker = made(64, {A: set(range(64)), B: {5}})
    picker.take(A, 1)
    assert PIECE < picker.remaining(A) + 1 <= SPAN_BYTES


def test_a_crumb_at_the_end_of_a_piece_goes_with_the_bytes_before_it() -> None:
    picker = made(1, {A: None})
    assert picker.take(A, PIECE - CRUMB_BYTES - 1) == (0, PIECE - CRUMB_BYTES - 1)
    assert picker.take(A, 1) == (PIECE - CRUMB_BYTES - 1, PIECE)
    assert made(1, {A: None}).take(A, PIECE - CRUMB_BYTES) == (0, PIECE)


def test_nodes_that_know_the_same_do_not_all_choose_the_same() -> None:
    firsts = {first_piece(made(100, {A: set(range(100))}, seed), A) for seed in range(40)}
    assert len(firsts) > 20


def test_a_larger_bitfield_brings_work_and_a_smaller_one_frees_bytes() -> None:
    picker = made(8, {A: set(), B: set()})
    assert not picker.has_work(A)
    assert not picker.on_bitfield(A, bits(8, {1, 2}))
    assert picker.has_work(A)
    assert picker.on_bitfield(A, bits(8, {2}))  # piece 1 is free again
    assert picker.take(A, 8 * PIECE) == (2 * PIECE, 3 * PIECE)
    assert not picker.on_bitfield(B, bits(8, {1}))
    assert picker.take(B, 8 * PIECE) == (PIECE, 2 * PIECE)


def test_a_thief_takes_only_what_it_holds() -> None:
    picker = made(4, {A: {1}})
    picker.has_work(A)
    assert picker.remaining(A) == PIECE
    for thief, theirs in ((B, {1}), (C, {0, 2, 3})):
        picker.join(thief)
        picker.on_bitfield(thief, bits(4, theirs))
    spans = []
    while span := picker.take(C, 4 * PIECE):
        spans.append(span)
    assert RangeSet(spans) == RangeSet([(0, PIECE), (2 * PIECE, 4 * PIECE)])
    assert picker.remaining(A) == PIECE
    assert picker.take(B, 4 * PIECE) == (3 * PIECE // 2, 2 * PIECE)


holdings = st.lists(st.one_of(st.none(), st.sets(st.integers(0, 24))), min_size=1, max_size=4)


@given(holdings, st.integers(0, 2**16), st.sets(st.integers(0, 24)))
def test_each_byte_is_given_out_once_and_only_to_a_holder(
    held: list[set[int] | None], seed: int, here: set[int]
) -> None:
    pieces, rng = 25, random.Random(seed)
    missing = [piece for piece in range(pieces) if piece not in here]
    size = pieces * PIECE - 100
    spans = [(piece * PIECE, min(size, (piece + 1) * PIECE)) for piece in missing]
    picker = RarestFirst(spans, Geometry(size, PIECE), even, rng)
    sources = [Peer("127.0.0.1", number, node_id=number) for number in range(len(held))]
    for source, theirs in zip(sources, held, strict=True):
        picker.join(source)
        picker.on_bitfield(source, None if theirs is None else bits(pieces, theirs))
    waiting, given_out = list(sources), RangeSet()
    while waiting:
        source = rng.choice(waiting)
        span = picker.take(source, rng.randrange(1, 3 * PIECE))
        if span is None:
            waiting.remove(source)  # and nothing comes back, so it never gets anything again
            continue
        theirs = held[source.port]
        assert theirs is None or set(range(span[0] // PIECE, (span[1] - 1) // PIECE + 1)) <= theirs
        assert not given_out.overlap(*span)
        given_out.add(*span)
    anybody = set(range(pieces)) if None in held else set().union(*(theirs or set() for theirs in held))
    expected = [span for piece, span in zip(missing, spans, strict=True) if piece in anybody]
    assert given_out == RangeSet(expected)


def test_picking_from_two_million_pieces_is_fast() -> None:
    pieces = 2_097_152
    began = time.process_time()
    picker = RarestFirst([(0, pieces * PIECE)], Geometry(pieces * PIECE, PIECE), even, random.Random(1))
    half = Bitfield.from_bytes(b"\xaa" * (pieces // 8), pieces)
    for source, held in ((A, half), (B, Bitfield.full(pieces)), (C, None)):
        picker.join(source)
        picker.on_bitfield(source, held)
    for _ in range(20):
        assert first_piece(picker, B) % 2  # A's pieces are less rare
    assert time.process_time() - began < 5.0


def test_every_peer_begins_with_different_pieces_and_together_they_begin_with_all() -> None:
    members, pieces = [peer(n) for n in range(10, 40)], 1024
    firsts = [piece_order(member, members, pieces)[0] for member in members]
    together = 0
    for pieces_of_one in firsts:
        assert not together & pieces_of_one
        together |= pieces_of_one
    assert together == (1 << pieces) - 1
    sizes = [pieces_of_one.bit_count() for pieces_of_one in firsts]
    assert max(sizes) < 3 * pieces / len(members)


def test_an_order_covers_each_piece_once_for_any_size() -> None:
    for pieces in (1, 5, 2048, 2049, 10_000):
        everything = 0
        for turn in piece_order(peer(3), map(peer, (1, 2, 3, 4)), pieces):
            assert not everything & turn
            everything |= turn
        assert everything == (1 << pieces) - 1
        assert len(piece_order(peer(3), [peer(3)], pieces)) == 1


def test_nodes_request_different_pieces_from_a_seed() -> None:
    taken = []
    for own in (1, 2, 3):
        picker = made(90, {A: None, B: set()}, seed=own)
        picker.set_own_order(piece_order(peer(own), map(peer, (1, 2, 3)), 90))
        taken.append({first_piece(picker, A) for _ in range(10)})
    assert not (taken[0] & taken[1] or taken[0] & taken[2] or taken[1] & taken[2])


def test_a_piece_that_a_seed_sent_to_another_node_is_deferred() -> None:
    picker = made(3, {A: None, B: set()})
    taken = {first_piece(picker, A) for _ in range(3)}
    assert taken == {0, 1, 2}
    picker.give_back([(0, 2 * PIECE)])
    picker.defer(A, 0, 10.0)
    assert first_piece(picker, A) == 1
    assert picker.take(A, PIECE) is None
    picker.deferred.expire(10.0 + DEFER_SECONDS - 0.1)
    assert picker.take(A, PIECE) is None
    picker.deferred.expire(10.0 + DEFER_SECONDS)
    assert first_piece(picker, A) == 0 and not picker.deferred


def test_a_deferred_piece_may_be_requested_from_another_owner_at_once() -> None:
    picker = made(1, {A: None, B: {0}, C: None})
    picker.defer(A, 0, 10.0)
    assert picker.take(A, PIECE) is None
    assert first_piece(picker, B) == 0
    picker.give_back([(0, PIECE)])
    assert first_piece(picker, C) == 0


def test_a_piece_is_rejected_as_not_rare_once() -> None:
    picker = made(2, {A: None, B: set()})
    assert picker.rare_only(A, 0) and picker.rare_only(A, PIECE)
    picker.defer(A, PIECE // 2, 10.0)
    assert not picker.rare_only(A, 0) and picker.rare_only(A, PIECE)
    picker.require(PIECE + 5)
    assert not picker.rare_only(A, PIECE)


def test_without_partial_peers_no_piece_is_rejected_as_not_rare() -> None:
    picker = made(2, {A: None, B: set()})
    picker.leave(B)
    assert not picker.rare_only(A, 0)


def test_rejected_pieces_come_after_fresh_ones() -> None:
    for seed in range(10):
        picker = made(20, {A: None, B: set()}, seed)
        for piece in range(19):
            picker.defer(A, piece * PIECE, 10.0)
        picker.deferred.expire(10.0 + DEFER_SECONDS)
        assert first_piece(picker, A) == 19


def test_the_rest_of_a_refused_piece_goes_back_to_all() -> None:
    picker = made(4, {A: None, B: {0, 1, 2, 3}})
    start, end = picker.take(A, 1000) or (0, 0)
    piece = start // PIECE
    picker.defer(A, start, 10.0)
    picker.give_back([(start, end)])
    rest = picker.claim(piece * PIECE, (piece + 1) * PIECE)
    assert sum(e - s for s, e in rest) == PIECE
    picker.give_back(rest)
    assert all(first_piece(picker, B) is not None for _ in range(4))
    assert sorted(RangeSet(rest)) == [(piece * PIECE, (piece + 1) * PIECE)]


def test_deferred_pieces_are_forgotten_when_the_seed_leaves() -> None:
    picker = made(1, {A: None, B: set()})
    picker.defer(A, 0, 10.0)
    picker.leave(A)
    picker.join(A)
    assert first_piece(picker, A) == 0
    picker.deferred.expire(10.0 + DEFER_SECONDS)


def test_sequential_is_sequential_whatever_was_begun() -> None:
    """Also with bytes that came back: of a later piece that was begun, and of a piece that failed."""
    picker = made(300, {A: None, B: None, C: set(range(100, 300))}, order=Sequential())
    taken = [picker.take(source, PIECE) for source in (A, B, A, C)]
    begun = taken[2]
    assert begun is not None
    picker.give_back([(begun[0] + 100, begun[1])])
    picker.leave(A)
    picker.give_back([(PIECE, 2 * PIECE)])
    firsts = []
    while (span := picker.take(B, PIECE)) is not None:
        firsts.append(span[0] // PIECE)
    assert firsts == [1, 2, *range(3, 100), *range(101, 300)], "100 is at C"


def test_random_is_random() -> None:
    orders = set()
    for seed in range(20):
        picker = made(50, {A: None}, seed, Random())
        orders.add(tuple(first_piece(picker, A) for _ in range(3)))
    assert len(orders) > 15


def test_the_first_choices_from_partial_peers_are_random_and_then_rarest_first() -> None:
    rare = {3}
    firsts = []
    for seed in range(40):
        picker = RarestFirst(
            [(0, 100 * 4 * PIECE)], Geometry(400 * PIECE, 4 * PIECE), even, random.Random(seed), None, 2
        )
        for source, held in ((A, set(range(100))), (B, set(range(100)) - rare)):
            picker.join(source)
            picker.on_bitfield(source, bits(100, held))
        firsts.append([first_piece(picker, A) // 4 for _ in range(12)])
    assert sum(3 in first[:1] for first in firsts) < 10
    assert all(3 in first for first in firsts)


def test_the_pieces_of_a_peer_that_chokes_us_count_as_copies() -> None:
    picker = made(8, {A: set(range(8)), B: set(range(8)) - {5}})
    assert first_piece(picker, A) == 5
    picker = made(8, {A: set(range(8)), B: set(range(8)) - {5}, C: {5, 6, 7}, D: {5}})
    for choking in (C, D):
        picker.block(choking)
        assert not picker.holds(choking, 5) and picker.take(choking, PIECE) is None
    picker.on_have(C, 4)
    assert first_piece(picker, A) in {0, 1, 2, 3}
    picker.join(D)
    assert picker.holds(D, 5)


def test_a_peer_ranks_a_node_by_its_name_over_the_transport_of_that_peer() -> None:
    tcp = [Peer("192.0.2.1", 6881 + number, "tcp") for number in range(3)]
    order = OwnOrder([A, tcp[0]], 300)
    assert order.add(tcp[1:]) and not order.add([*tcp, A])
    assert order.sets() == piece_order(tcp[0], tcp, 300)
    assert not OwnOrder([A], 300).add(tcp), "this node has no name that these peers know"
