"""The scheduler: overdue requests, dismissed sources, progress, and news for other sources."""

from __future__ import annotations

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer import Peer
from node.scheduling.piece_order import PIECE_ORDERS, Sequential
from node.scheduling.scheduler import NO_DATA_TIMEOUT, NO_WORK_TIMEOUT, Scheduler

PIECE = 64 * 1024
A, B, C = (Peer("127.0.0.1", number, node_id=number) for number in range(1, 4))


def made(pieces: int) -> Scheduler:
    return Scheduler(Geometry(pieces * PIECE, PIECE), Bitfield(pieces), now=0.0)


def trust(scheduler: Scheduler, *sources: Peer) -> None:
    for source in sources:
        span = scheduler.take(source, PIECE, 0.0)
        assert span is not None
        assert scheduler.accept(source, span.start, span.end, 0.1).ranges == [span[:2]]
        (piece,) = scheduler.arrived(source, span.start, span.end)
        scheduler.piece_passed(piece)


def test_a_slow_source_does_not_hold_up_the_end() -> None:
    """B has nothing left to do. Bytes that A owes for long are requested from B as well, and count once."""
    scheduler = made(4)
    scheduler.start([A, B])
    trust(scheduler, A, B)
    slow = scheduler.take(A, PIECE, 0.2)
    assert slow is not None
    while span := scheduler.take(B, PIECE, 0.2):
        assert scheduler.accept(B, span.start, span.end, 0.3).ranges == [span[:2]]
    assert not scheduler.has_work(B, 0.5)
    assert scheduler.has_work(B, 9.0)
    assert scheduler.take(B, PIECE, 9.2) == slow
    accepted = scheduler.accept(B, slow.start, slow.end, 9.3)
    assert accepted.ranges == [slow[:2]]
    assert accepted.cancels == [(A, slow[:2])]
    assert scheduler.accept(A, slow.start, slow.end, 9.4).ranges == []
    assert scheduler.wasted == PIECE


def test_no_progress_is_no_request_for_a_while_or_no_data_for_longer() -> None:
    scheduler = made(10)
    scheduler.start([A])
    assert not scheduler.makes_no_progress(NO_WORK_TIMEOUT)
    assert scheduler.makes_no_progress(NO_WORK_TIMEOUT + 0.1)
    span = scheduler.take(A, PIECE, 0.0)
    assert span is not None
    assert not scheduler.makes_no_progress(NO_DATA_TIMEOUT)
    assert scheduler.makes_no_progress(NO_DATA_TIMEOUT + 0.1)
    scheduler.accept(A, span.start, span.end - 1, NO_DATA_TIMEOUT)
    assert not scheduler.makes_no_progress(NO_DATA_TIMEOUT + 0.1)


def test_a_source_that_was_dismissed_may_come_again_and_gets_one_piece() -> None:
    scheduler = made(10)
    scheduler.start([A])
    scheduler.dismiss(A)
    assert scheduler.take(A, PIECE, 0.0) is None
    scheduler.join(A)
    assert scheduler.take(A, 10 * PIECE, 0.0) == (0, PIECE, False)
    assert scheduler.take(A, PIECE, 0.0) is None


def test_verified_bytes_are_credited_to_their_sources() -> None:
    scheduler = made(2)
    scheduler.start([A, B])
    scheduler.arrived(A, 0, PIECE)
    scheduler.arrived(A, PIECE, PIECE + 3)
    scheduler.arrived(B, PIECE + 3, 2 * PIECE)
    scheduler.piece_passed(0)
    assert scheduler.verified_from(A) == PIECE
    scheduler.piece_failed(1, [])
    assert (scheduler.verified_from(A), scheduler.verified_from(B)) == (PIECE, 0)


def test_bitfields_are_news_for_other_sources_only_where_bytes_become_free() -> None:
    scheduler = made(10)
    scheduler.start([A, B])
    trust(scheduler, A)
    assert scheduler.on_bitfield(A, Bitfield(10))  # from now on pieces are picked one by one
    assert not scheduler.on_bitfield(A, Bitfield.from_bytes(b"\x30\x00", 10))  # pieces 2 and 3
    assert scheduler.take(A, 1, 0.0) is not None  # and the rest of them is meant for A
    assert scheduler.on_bitfield(A, Bitfield(10))
    scheduler.on_have(A, 7)
    assert scheduler.take(A, PIECE, 0.0) == (7 * PIECE, 8 * PIECE, False)


def test_overdue_bytes_are_requested_from_a_seed_rare_or_not() -> None:
    scheduler = made(3)
    scheduler.start([A, B])
    trust(scheduler, A)
    scheduler.on_bitfield(B, Bitfield(3))
    asked = scheduler.take(A, PIECE, 0.0)
    assert asked is not None and asked.rare_only
    scheduler.defer(A, [asked[:2]], 0.0)
    again = scheduler.take(A, PIECE, 0.0)
    assert again is not None and again.start != asked.start and again.rare_only
    assert scheduler.take(A, PIECE, 0.0) is None and scheduler.time_may_help()
    last = scheduler.take(A, PIECE, 2.0)
    assert last == (*asked[:2], False)


def test_a_piece_order_replaces_rarest_first_from_the_start() -> None:
    geometry = Geometry(8 * PIECE, PIECE)
    scheduler = Scheduler(geometry, Bitfield(8), 0.0, order=Sequential())
    scheduler.start([A, B])
    trust(scheduler, A, B)
    spans = [scheduler.take(source, PIECE, 0.0) for source in (A, B, A)]
    assert [span and span.start // PIECE for span in spans] == [2, 3, 4]
    assert set(PIECE_ORDERS) == {"rarest", "sequential", "random"}


def test_pieces_are_picked_by_rarity_once_a_choking_peer_is_known_to_be_partial() -> None:
    """C chokes us. The pieces it lacks are rarer than the pieces it holds."""
    scheduler = made(40)
    scheduler.start([A, B])
    trust(scheduler, A, B)
    scheduler.on_bitfield(C, Bitfield.from_bytes(b"\xff" * 4 + b"\x00", 40))
    scheduler.block(C)
    assert scheduler.picks_by_piece and scheduler.take(C, PIECE, 0.0) is None
    span = scheduler.take(A, PIECE, 0.0)
    assert span is not None and span.start >= 32 * PIECE
    scheduler.join(C)
    scheduler.on_bitfield(C, Bitfield.from_bytes(b"\xff" * 4 + b"\x00", 40))
    assert scheduler.take(C, PIECE, 0.0) is not None
