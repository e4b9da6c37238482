"""A new source gets one piece; who delivered a wrong piece together waits for a witness; nobody for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.plan import Plan
from node.scheduling.probation import LONGEST_TRIAL, STALLED, TRIAL_SECONDS, Probation

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
C = Peer("127.0.0.1", 3, node_id=3)
PIECE = 1000
ALL = 1 << 30


def plan(pieces: int, *sources: Peer) -> Probation:
    """Equal chunks for ``sources``, of which nothing is known yet."""
    geometry = Geometry(pieces * PIECE, PIECE)
    plan = Plan(geometry, [(0, geometry.size)], lambda source: 0.0)
    plan.work.start(sources)
    return plan.probation


def drain(probation: Probation, source: Peer, now: float = 0.0, limit: int = ALL) -> RangeSet:
    taken = RangeSet()
    while probation.refill(source, now):
        span = probation.take(source, limit, now)
        assert span is not None, "it was said to be there"
        taken.add(*span)
    assert probation.take(source, limit, now) is None
    return taken


def piece(index: int) -> RangeSet:
    return RangeSet([(index * PIECE, (index + 1) * PIECE)])


def test_a_new_source_gets_its_first_piece_and_the_rest_once_that_is_right() -> None:
    probation = plan(10, A, B)
    assert drain(probation, A, limit=300) == piece(0)
    assert drain(probation, B) == piece(5)
    assert not probation.trusts(A)
    assert probation.right(0, [A])
    assert probation.trusts(A)
    rest = drain(probation, A)
    assert rest.total == 8 * PIECE and not rest.overlap(5 * PIECE, 6 * PIECE)


def test_the_only_owner_there_is_need_not_wait_until_its_first_piece_is_right() -> None:
    probation = plan(10, A)
    probation.sole = A
    assert probation.take(A, ALL, 0.0) == (0, PIECE), "whole, as ever"
    assert drain(probation, A).total == 9 * PIECE
    assert not probation.trusts(A)


def test_the_only_owner_waits_like_others_once_there_is_another() -> None:
    probation = plan(10, A)
    probation.sole = A
    assert probation.take(A, ALL, 0.0) == (0, PIECE)
    assert probation.take(A, PIECE, 0.0) is not None
    probation.sole = None
    assert probation.take(A, PIECE, 0.0) is None


def test_a_piece_that_is_longer_than_all_windows_is_still_one_piece() -> None:
    probation = plan(2, A)
    taken = RangeSet()
    for _ in range(10):
        taken.add(*(probation.take(A, 100, 0.0) or (0, 0)))
    assert taken == piece(0)
    assert probation.take(A, 100, 0.0) is None


def test_what_a_new_source_does_not_deliver_goes_to_others_whole() -> None:
    probation = plan(4, A, B)
    assert drain(probation, A) == piece(0)
    probation.give_back([(200, PIECE)])  # the first 200 bytes came
    probation.leave(A)
    assert drain(probation, B) == RangeSet([(200, PIECE)])  # the piece that is begun, first of all


def test_two_of_whom_nothing_is_known_cannot_both_wait_for_each_other() -> None:
    probation = plan(1, A, B)
    assert drain(probation, A, limit=400).total == PIECE
    assert not drain(probation, B)
    probation.give_back([(400, PIECE)])  # A delivered something, and is gone
    probation.leave(A)
    assert drain(probation, B) == RangeSet([(400, PIECE)])


def test_others_help_with_a_first_piece_that_takes_long() -> None:
    probation = plan(1, A, B)
    assert probation.take(A, 10, 0.0) == (0, 10)
    assert not probation.refill(B, TRIAL_SECONDS - 0.01)
    assert probation.waiting(TRIAL_SECONDS - 0.01)
    assert drain(probation, B, TRIAL_SECONDS) == RangeSet([(10, PIECE)])


def test_a_piece_that_two_delivered_wrongly_is_delivered_whole_by_a_third_while_they_wait() -> None:
    probation = plan(9, A, B, C)
    probation.right(8, [A, B, C])  # all are known
    probation.take(A, 500, 0.0)
    probation.give_back([(400, 500)])
    probation.wrong(0, {A, B}, witness=True, now=1.0)
    assert not probation.refill(A, 1.0) and probation.take(B, ALL, 1.0) is None
    assert not probation.trusts(A)
    assert probation.take(C, ALL, 1.0) == (0, PIECE)
    assert probation.right(0, [C, A])  # C delivered it, and A is cleared
    assert probation.trusts(A) and not probation.trusts(B)
    assert probation.refill(A, 1.0)
    assert drain(probation, B).total == PIECE  # one piece, as if it were new


def test_suspects_wait_no_longer_than_a_trial_lasts() -> None:
    probation = plan(9, A, B)
    probation.right(8, [A, B])
    probation.wrong(0, {A, B}, witness=True, now=1.0)
    assert not probation.refill(A, 1.0)
    assert (probation.suspects([A, B]), probation.suspects([A, C])) == (2, 1)
    assert not probation.may_double(A, 0, 1.0 + TRIAL_SECONDS)
    assert probation.take(A, ALL, 1.0 + TRIAL_SECONDS) == (0, PIECE)
    assert drain(probation, A, 1.0 + TRIAL_SECONDS).total == 0


def test_suspects_do_not_meddle_while_the_holder_gets_on() -> None:
    probation = plan(1, A, B, C)
    probation.right(0, [A, B, C])
    assert probation.take(A, PIECE, 0.0) == (0, PIECE)
    probation.wrong(0, {A, B}, witness=True, now=0.0)
    now = 0.0
    while now < LONGEST_TRIAL - STALLED:
        assert probation.take(C, 10, now) is not None
        probation.arrived(C, 0, now)
        now += STALLED / 2
        assert not probation.refill(B, now)
        assert probation.waiting(now)
    assert probation.refill(B, now + STALLED)


def test_a_witness_that_drips_holds_nobody_up_for_ever() -> None:
    probation = plan(1, A, B, C)
    probation.right(0, [A, B, C])
    assert probation.take(A, PIECE, 0.0) == (0, PIECE)
    probation.wrong(0, {A, B}, witness=True, now=0.0)
    for second in range(int(LONGEST_TRIAL)):
        assert probation.take(C, 1, float(second)) is not None
        probation.arrived(C, second, float(second))
        assert not probation.refill(B, float(second))
    assert probation.refill(B, LONGEST_TRIAL)


def test_both_suspects_are_new_again_after_a_while() -> None:
    probation = plan(9, A, B)
    probation.right(8, [A, B])
    probation.wrong(0, {A, B}, witness=True, now=1.0)
    assert probation.take(A, ALL, 1.0 + TRIAL_SECONDS) == (0, PIECE)
    assert drain(probation, B, 1.0 + TRIAL_SECONDS).total == PIECE


def test_without_another_owner_one_suspect_delivers_the_piece_alone_at_once() -> None:
    probation = plan(9, A, B)
    probation.right(8, [A, B])
    probation.wrong(0, {A, B}, witness=False, now=1.0)
    assert probation.take(A, ALL, 1.0) == (0, PIECE)
    assert not drain(probation, B, 1.0).overlap(0, PIECE)


def test_a_wrong_piece_of_one_deliverer_is_anybodys() -> None:
    probation = plan(4, A, B)
    drain(probation, A)
    probation.wrong(0, (), witness=False, now=1.0)
    probation.distrust(A)
    assert drain(probation, B, 1.0) == piece(2)
    probation.right(2, [B])
    assert drain(probation, B, 1.0).overlap(0, PIECE)


def test_one_that_does_not_hold_its_first_piece_tries_another() -> None:
    geometry = Geometry(4 * PIECE, PIECE)
    plan = Plan(geometry, [(0, geometry.size)], lambda source: 0.0)
    plan.work.start([A, B])
    held = Bitfield.full(4)
    plan.work.told(A, held)
    first = drain(plan.probation, A)
    (start, _), *_ = first
    held.clear(start // PIECE)
    plan.work.told(A, held)  # as it says when it is asked
    plan.probation.give_back(first)
    second = drain(plan.probation, A)
    assert second.total == PIECE and second != first
    assert drain(plan.probation, B) == first


def test_who_is_asked_as_well_as_another_is_not_asked_for_a_second_piece() -> None:
    probation = plan(4, A, B)
    drain(probation, A)
    assert probation.may_double(B, 0, 0.0)
    probation.doubled(B, 0, 0.0)
    assert not probation.refill(B, 0.0)
    assert not probation.may_double(B, 1, 0.0)
    probation.right(0, [A])
    assert probation.refill(B, 0.0)


def test_a_witness_that_leaves_with_nothing_done_keeps_nobody_waiting() -> None:
    probation = plan(9, A, B, C)
    probation.right(8, [A, B, C])
    assert probation.take(A, PIECE, 0.0) == (0, PIECE)
    probation.wrong(0, {A, B}, witness=True, now=0.0)
    for _ in range(20):
        assert probation.take(C, ALL, 0.0) == (0, PIECE)
        probation.give_back([(0, PIECE)])
        probation.leave(C)
    assert probation.take(A, ALL, TRIAL_SECONDS) == (0, PIECE)


def suspected(restart: Callable[[int], Sequence[tuple[int, int]]], witness: bool) -> Probation:
    """The only piece has come wrong from A and B; ``restart`` says what has come of it since then."""
    whole = Plan(Geometry(PIECE, PIECE), [(0, PIECE)], lambda source: 0.0, restart=restart)
    whole.work.start([A, B, C])
    whole.probation.right(0, [A, B, C])
    assert whole.probation.take(A, PIECE, 0.0) == (0, PIECE)
    whole.probation.wrong(0, {A, B}, witness=witness, now=0.0)
    return whole.probation


def test_a_suspect_that_takes_over_delivers_all_of_it() -> None:
    come: list[tuple[int, int]] = []
    probation = suspected(lambda piece: come, witness=True)
    assert probation.take(C, 600, 0.0) == (0, 600)
    come = [(0, 500)]
    probation.give_back([(500, 600)])
    probation.leave(C)
    assert not probation.refill(B, STALLED - 0.1)
    assert drain(probation, B, STALLED) == piece(0)


def test_nobody_helps_a_suspect_whose_bytes_shall_judge_it_while_it_gets_on() -> None:
    probation = suspected(lambda piece: [(0, 500)], witness=True)
    assert probation.take(A, 500, TRIAL_SECONDS) == (0, 500)
    stalled = TRIAL_SECONDS + STALLED
    for now in (TRIAL_SECONDS, stalled - 0.1):
        assert not probation.refill(C, now) and probation.take(C, PIECE, now) is None
        assert not probation.may_double(C, 0, now)
        assert probation.waiting(now)
    assert probation.may_double(C, 0, stalled)
    assert drain(probation, C, stalled) == piece(0)


def test_a_suspect_that_is_dismissed_with_nothing_done_keeps_no_other_waiting() -> None:
    probation = plan(1, A, B)
    probation.right(0, [A, B])
    assert probation.take(A, PIECE, 0.0) == (0, PIECE)
    probation.wrong(0, {A, B}, witness=True, now=0.0)
    assert probation.take(A, PIECE, TRIAL_SECONDS) == (0, PIECE)
    probation.distrust(A)
    assert not probation.refill(B, TRIAL_SECONDS)
    probation.give_back([(0, PIECE)])  # once its connection has ended
    assert probation.take(B, PIECE, TRIAL_SECONDS) == (0, PIECE)


def test_a_holder_that_was_asked_for_all_gets_on_as_long_as_it_delivers() -> None:
    geometry = Geometry(PIECE, PIECE)
    whole = Plan(geometry, [(0, PIECE)], lambda source: 0.0)
    whole.work.start([A, B])
    whole.probation.right(0, [A, B])
    assert whole.take(A, PIECE, 0.0) == (0, PIECE)
    whole.accept(A, 0, PIECE, 0.0)
    whole.probation.wrong(0, {A, B}, witness=False, now=0.0)
    assert whole.take(A, PIECE, 0.0) == (0, PIECE)
    for at in range(3):
        now = at * STALLED / 2
        assert whole.accept(A, 100 * at, 100 * (at + 1), now) == [(100 * at, 100 * (at + 1))]
    assert not whole.has_work(B, now + STALLED - 0.1)
    assert whole.has_work(B, now + STALLED)


def test_a_suspect_that_left_in_the_middle_loses_nothing_to_one_that_gives_nothing() -> None:
    probation = suspected(lambda piece: [(0, 500)], witness=False)
    assert probation.take(A, 600, 0.0) == (0, 600)
    probation.arrived(A, 0, 1.0)
    probation.give_back([(500, 600)])
    probation.leave(A)  # its slot is another's for a while
    assert not probation.refill(C, 1.0)
    assert drain(probation, A, 2.0) == RangeSet([(500, PIECE)])
    assert probation.refill(C, 1.0 + STALLED)


def test_a_new_one_that_a_suspect_took_over_from_does_not_go_on_beside_it() -> None:
    geometry = Geometry(PIECE, PIECE)
    whole = Plan(geometry, [(0, PIECE)], lambda source: 0.0, restart=lambda piece: [(0, 300)])
    whole.work.start([A, B, C])
    probation = whole.probation
    probation.right(0, [A, B])
    assert probation.take(A, PIECE, 0.0) == (0, PIECE)
    probation.wrong(0, {A, B}, witness=True, now=0.0)
    assert probation.take(C, 300, 0.0) == (0, 300)
    assert probation.take(A, 100, STALLED) == (0, 100)
    assert not probation.refill(C, STALLED)
