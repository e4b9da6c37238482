"""Parole: new sources and suspects get whole pieces, and no piece waits for them indefinitely."""

from __future__ import annotations

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.parole import HELP_DELAY, MAX_HOLD_TIME, STALL_TIMEOUT
from node.scheduling.scheduler import Scheduler
from node.scheduling.smart_ban import Evidence

A, B, C = (Peer("127.0.0.1", number, node_id=number) for number in range(1, 4))
PIECE = 1000
ALL = 1 << 30


def made(pieces: int, *sources: Peer) -> Scheduler:
    """Equal chunks for ``sources``, all of them new."""
    scheduler = Scheduler(Geometry(pieces * PIECE, PIECE), Bitfield(pieces), now=0.0)
    scheduler.start(sources)
    return scheduler


def known(pieces: int, *sources: Peer) -> Scheduler:
    """The same; each source has delivered a piece (the last ones), so that it is trusted."""
    scheduler = made(pieces, *sources)
    for number, source in enumerate(sources):
        piece = pieces - 1 - number
        span = (piece * PIECE, (piece + 1) * PIECE)
        scheduler._picker.claim(*span)
        scheduler.arrived(source, *span)
        scheduler.piece_passed(piece)
    return scheduler


def drain(scheduler: Scheduler, source: Peer, now: float = 0.0, limit: int = ALL) -> RangeSet:
    taken = RangeSet()
    while scheduler.has_work(source, now):
        span = scheduler.take(source, limit, now)
        assert span is not None, "it was said to be there"
        taken.add(span.start, span.end)
    assert scheduler.take(source, limit, now) is None
    return taken


def piece(index: int) -> RangeSet:
    return RangeSet([(index * PIECE, (index + 1) * PIECE)])


def deliver(scheduler: Scheduler, source: Peer, start: int, end: int, now: float = 0.0) -> None:
    assert scheduler.accept(source, start, end, now).ranges == [(start, end)]
    scheduler.arrived(source, start, end)


def fail_mixed(scheduler: Scheduler, index: int = 0, now: float = 0.0) -> None:
    """Piece ``index`` comes from A and B, and is wrong: both are suspects."""
    start, end = index * PIECE, (index + 1) * PIECE
    scheduler._picker.claim(start, end)
    scheduler.arrived(A, start, start + 500)
    scheduler.arrived(B, start + 500, end)
    evidence = [Evidence(item, b"digest") for item in scheduler.contributions(index)]
    assert scheduler.piece_failed(index, evidence).wrong == []


# ---- new sources


def test_a_new_source_gets_one_piece_and_more_once_that_is_right() -> None:
    scheduler = made(10, A, B)
    assert drain(scheduler, A, limit=300) == piece(0)
    assert drain(scheduler, B) == piece(5)
    assert not scheduler.trusts(A)
    deliver(scheduler, A, 0, PIECE)
    assert scheduler.piece_passed(0).frees_work
    assert scheduler.trusts(A)
    rest = drain(scheduler, A)
    assert rest.total == 8 * PIECE and not rest.overlap(5 * PIECE, 6 * PIECE)


def test_the_only_source_need_not_wait_until_another_is_known() -> None:
    scheduler = made(10, A)
    scheduler.set_only_source(A)
    assert scheduler.take(A, PIECE, 0.0) == (0, PIECE, False)
    assert scheduler.take(A, PIECE, 0.0) is not None
    scheduler.set_only_source(None)
    assert drain(scheduler, A).total == PIECE


def test_a_piece_that_a_new_source_left_is_finished_by_another() -> None:
    scheduler = made(1, A, B)
    assert drain(scheduler, A) == piece(0)
    assert not drain(scheduler, B)
    deliver(scheduler, A, 0, 400)
    scheduler.give_back(A, [(400, PIECE)])
    scheduler.leave(A)
    assert drain(scheduler, B) == RangeSet([(400, PIECE)])


def test_other_sources_help_with_a_first_piece_that_takes_long() -> None:
    scheduler = made(1, A, B)
    assert scheduler.take(A, 10, 0.0) is not None
    assert not scheduler.has_work(B, HELP_DELAY - 0.01) and scheduler.time_may_help()
    assert drain(scheduler, B, HELP_DELAY) == RangeSet([(10, PIECE)])


def test_a_source_that_does_not_hold_its_first_piece_tries_another() -> None:
    scheduler = made(4, A, B)
    held = Bitfield.full(4)
    scheduler.on_bitfield(A, held)
    first = drain(scheduler, A)
    (start, _), *_ = first
    held.clear(start // PIECE)
    scheduler.on_bitfield(A, held)  # its claim when it is asked
    scheduler.give_back(A, first)
    second = drain(scheduler, A)
    assert second.total == PIECE and second != first


def test_a_source_that_is_asked_in_addition_to_another_gets_no_second_piece() -> None:
    scheduler = made(4, A, B)
    drain(scheduler, A)
    parole = scheduler._parole
    assert parole.may_request_again(B, 0)
    scheduler._pending.request_again(B, 0, PIECE, 0.0)
    parole.requested_again(B, 0)
    assert not scheduler.has_work(B, 0.0)
    assert not parole.may_request_again(B, 1)
    deliver(scheduler, A, 0, PIECE)
    scheduler.piece_passed(0)
    assert scheduler.has_work(B, 0.0)


# ---- suspects


def test_suspects_get_one_whole_piece_each_and_the_failed_piece_goes_to_a_third_source() -> None:
    scheduler = known(9, A, B, C)
    fail_mixed(scheduler)
    assert not scheduler.trusts(A) and not scheduler.trusts(B) and scheduler.trusts(C)
    assert drain(scheduler, A).total == PIECE
    assert drain(scheduler, B).total == PIECE
    assert drain(scheduler, C).total == 4 * PIECE


def test_a_suspect_that_delivers_a_right_piece_alone_is_trusted_again() -> None:
    scheduler = known(9, A, B)
    fail_mixed(scheduler)
    ((start, end),) = drain(scheduler, A)
    deliver(scheduler, A, start, end)
    scheduler.piece_passed(start // PIECE, [b"digest"] * len(scheduler.failed_contributions(start // PIECE)))
    assert scheduler.trusts(A)


def test_sources_whose_bytes_were_right_are_cleared_and_the_other_is_reported() -> None:
    scheduler = known(9, A, B, C)
    fail_mixed(scheduler)
    scheduler._picker.claim(0, PIECE)
    scheduler.arrived(C, 0, PIECE)
    result = scheduler.piece_passed(0, [b"digest", b"another"])
    assert [wrong.source for wrong in result.wrong] == [B] and result.wrong[0].proven
    assert scheduler.trusts(A) and not scheduler.trusts(B)


def test_a_suspect_finishes_no_piece_that_a_trusted_source_began() -> None:
    scheduler = known(4, A, B, C)  # piece 0 is left
    fail_mixed(scheduler)
    assert scheduler.take(C, 600, 0.0) is not None
    assert not scheduler.has_work(A, 100.0)


def test_a_suspect_that_may_finish_a_failed_piece_delivers_all_of_it() -> None:
    scheduler = known(4, A, B, C)
    fail_mixed(scheduler)
    span = scheduler.take(C, 600, 0.0)
    assert span is not None
    deliver(scheduler, C, span.start, span.end)
    scheduler.leave(C)
    assert drain(scheduler, A) == piece(0)
    assert [item.source for item in scheduler.contributions(0)] == []


def test_a_strict_piece_is_taken_over_once_its_holder_stalls() -> None:
    scheduler = known(3, A, B)
    fail_mixed(scheduler)
    assert drain(scheduler, A) == piece(0)
    now = 0.0
    for at in range(0, 300, 100):  # it gets on
        deliver(scheduler, A, at, at + 100, now)
        assert not scheduler.has_work(B, now + STALL_TIMEOUT - 0.1)
        now += STALL_TIMEOUT - 0.1
    now += 0.2
    assert drain(scheduler, B, now) == piece(0)
    assert scheduler.accept(A, 300, 400, now).ranges == []  # the whole piece is B's
    assert not scheduler.has_work(A, now + 2 * STALL_TIMEOUT - 0.1)
    assert scheduler.has_work(A, now + 2 * STALL_TIMEOUT)


def test_a_source_that_drips_holds_a_strict_piece_for_a_limited_time() -> None:
    scheduler = known(3, A, B)
    fail_mixed(scheduler)
    assert drain(scheduler, A) == piece(0)
    for second in range(int(MAX_HOLD_TIME)):
        deliver(scheduler, A, second, second + 1, float(second))
        assert not scheduler.has_work(B, float(second))
    assert scheduler.has_work(B, MAX_HOLD_TIME)


def test_a_suspect_that_left_in_the_middle_goes_on_when_it_is_back() -> None:
    scheduler = known(3, A, B)
    fail_mixed(scheduler)
    assert scheduler.take(A, 600, 0.0) is not None
    deliver(scheduler, A, 0, 500)
    scheduler.give_back(A, [(500, 600)])
    scheduler.leave(A)  # its slot is another node's for a while
    assert not scheduler.has_work(B, STALL_TIMEOUT - 0.1)
    scheduler.join(A)
    assert drain(scheduler, A) == RangeSet([(500, PIECE)])


def test_a_source_does_not_go_on_beside_one_that_took_its_piece_over() -> None:
    scheduler = known(3, A, B)
    scheduler.join(C)
    fail_mixed(scheduler)
    assert scheduler.take(C, 300, 0.0) == (0, 300, False)
    assert scheduler.take(A, 100, STALL_TIMEOUT) == (0, 100, False)
    assert not scheduler.has_work(C, STALL_TIMEOUT)


def test_a_source_that_sent_wrong_bytes_gets_nothing_and_keeps_nothing() -> None:
    scheduler = known(3, A, B)
    fail_mixed(scheduler)
    assert drain(scheduler, A) == piece(0)
    deliver(scheduler, A, 0, 500)
    scheduler.dismiss(A)
    assert scheduler.is_closed(A) and scheduler.take(A, ALL, 0.0) is None
    assert scheduler.accept(A, 500, 600, 0.0).ranges == ()
    scheduler.give_back(A, [(500, PIECE)])
    assert drain(scheduler, B) == piece(0)


def test_takeovers_by_a_source_that_delivers_nothing_leave_a_slow_one_more_time_each_time() -> None:
    scheduler = known(3, A, B)
    scheduler.join(C)
    fail_mixed(scheduler)
    now, waits = 0.0, []
    for _ in range(3):
        assert scheduler.take(A, PIECE, now) is not None
        began = now
        while not scheduler.has_work(C, now):
            now += 1.0
        waits.append(now - began)
        assert scheduler.take(C, PIECE, now) is not None
        scheduler.give_back(C, [(0, PIECE)])  # it does not hold the piece after all
        scheduler.leave(C)
        scheduler.join(C)
    assert waits == [STALL_TIMEOUT, 2 * STALL_TIMEOUT, 4 * STALL_TIMEOUT]
