"""One contract for every picker: each byte once, only to a holder, until nothing is left."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.adaptive import AdaptivePicker
from node.scheduling.base import Picker
from node.scheduling.equal_chunks import EqualChunks
from node.scheduling.rarest_first import RarestFirst

PIECE = 64 * 1024
A, B, C, D = (Peer("127.0.0.1", number, node_id=number) for number in range(1, 5))


def division(missing: list[tuple[int, int]], size: int) -> Picker:
    return EqualChunks(missing, PIECE, even)


def picker(missing: list[tuple[int, int]], size: int) -> Picker:
    return RarestFirst(missing, Geometry(size, PIECE), even, random.Random(7))


def adaptive(missing: list[tuple[int, int]], size: int) -> Picker:
    return AdaptivePicker(Geometry(size, PIECE), missing, even)


def even(source: Peer) -> float:
    return 1.0


pickers = pytest.mark.parametrize("make", [division, picker, adaptive])
Make = Callable[[list[tuple[int, int]], int], Picker]


def drain(picker: Picker, source: Peer, limit: int = 1 << 30) -> list[tuple[int, int]]:
    spans = []
    while (span := picker.take(source, limit)) is not None:
        assert span[0] < span[1] <= span[0] + limit
        spans.append(span)
    assert not picker.has_work(source)
    return spans


def total(spans: list[tuple[int, int]]) -> int:
    assert RangeSet(spans).total == sum(end - start for start, end in spans), "a byte twice"
    return RangeSet(spans).total


@pickers
@pytest.mark.parametrize("size", [1, PIECE, 10 * PIECE, 40 * PIECE + 17])
def test_one_source_gets_everything_once(make: Make, size: int) -> None:
    picker = make([(0, size)], size)
    picker.start([A])
    assert total(drain(picker, A, 100_000)) == size


@pickers
def test_pieces_on_disk_are_not_requested(make: Make) -> None:
    size = 10 * PIECE
    picker = make([(PIECE, 2 * PIECE), (5 * PIECE, 9 * PIECE)], size)
    picker.start([A, B])
    assert RangeSet(drain(picker, A) + drain(picker, B)) == RangeSet(
        [(PIECE, 2 * PIECE), (5 * PIECE, 9 * PIECE)]
    )


@pickers
def test_a_source_that_left_or_never_joined_gets_nothing(make: Make) -> None:
    picker = make([(0, PIECE)], PIECE)
    picker.start([A])
    picker.leave(A)
    assert picker.take(A, PIECE) is None
    assert picker.take(B, PIECE) is None
    assert not picker.holds(A, 0)
    picker.join(B)
    assert picker.holds(B, 0)
    assert total(drain(picker, B)) == PIECE


@pickers
def test_claimed_bytes_are_not_given_out_until_they_are_given_back(make: Make) -> None:
    size = 8 * PIECE
    picker = make([(0, size)], size)
    picker.start([A, B])
    picker.has_work(A)
    claimed = picker.claim(3 * PIECE + 5, 6 * PIECE)
    assert total(claimed) == 3 * PIECE - 5
    rest = drain(picker, A) + drain(picker, B)
    assert total(rest + claimed) == size
    picker.give_back(claimed)
    assert RangeSet(drain(picker, B)) == RangeSet(claimed)


@pickers
@pytest.mark.parametrize("seed", range(20))
def test_every_byte_is_delivered_once_while_sources_join_fail_and_leave(make: Make, seed: int) -> None:
    """Sources take, deliver, fail and leave at random; in the end every byte was delivered just once."""
    rng = random.Random(seed)
    size = rng.randrange(1, 50 * PIECE)
    picker = make([(0, size)], size)
    here: list[Peer] = [A, B]
    picker.start(here)
    out: list[tuple[Peer, tuple[int, int]]] = []
    delivered = RangeSet()
    for _ in range(100_000):
        if delivered.total == size:
            break
        event = rng.random()
        if event < 0.05 and len(here) > 1:
            gone = here.pop(rng.randrange(len(here)))
            picker.leave(gone)
            picker.give_back([span for source, span in out if source == gone])
            out = [(source, span) for source, span in out if source != gone]
        elif event < 0.1:
            newcomer = rng.choice([A, B, C, D])
            if newcomer not in here:
                here.append(newcomer)
                picker.join(newcomer)
        elif event < 0.6:
            source = rng.choice(here)
            span = picker.take(source, rng.randrange(1, 100_000))
            if span is not None:
                out.append((source, span))
        elif out:
            _, span = out.pop(rng.randrange(len(out)))
            if rng.random() < 0.1:
                picker.give_back([span])
            else:
                assert not delivered.overlap(*span)
                delivered.add(*span)
    assert delivered.total == size


def test_picker_begins_with_equal_chunks_and_picks_once_somebody_has_but_a_part() -> None:
    geometry = Geometry(9 * PIECE, PIECE)
    picker = AdaptivePicker(geometry, [(0, geometry.size)], even, Peer("127.0.0.1", 9))
    picker.start([A, B, C])
    assert [picker.take(source, 1 << 30) for source in (A, B, C)] == [
        (0, 3 * PIECE),
        (3 * PIECE, 6 * PIECE),
        (6 * PIECE, 9 * PIECE),
    ]
    assert not picker.by_piece
    picker.give_back([(0, 6 * PIECE)])
    picker.join(D)
    held = Bitfield(9)
    held.set(2)
    picker.on_bitfield(D, held)
    assert picker.by_piece
    assert picker.take(D, 1 << 30) == (2 * PIECE, 3 * PIECE)
    assert picker.take(D, 1 << 30) is None
    spans = []
    while span := picker.take(A, 1 << 30):
        spans.append(span)
    assert RangeSet(spans) == RangeSet([(0, 2 * PIECE), (3 * PIECE, 6 * PIECE)])


def test_no_byte_is_lost_when_the_first_sources_have_but_a_part() -> None:
    geometry = Geometry(4 * PIECE, PIECE)
    picker = AdaptivePicker(geometry, [(0, geometry.size)], even, Peer("127.0.0.1", 9))
    picker.start([])
    picker.join(A)
    picker.on_bitfield(A, Bitfield(4))
    assert picker.take(A, 1 << 30) is None
    picker.on_bitfield(A, Bitfield.full(4))
    taken = []
    while span := picker.take(A, 1 << 30):
        taken.append(span)
    assert total(taken) == geometry.size


@pickers
def test_a_whole_piece_is_taken_only_where_no_byte_was_taken(make: Make) -> None:
    size = 4 * PIECE + 17
    picker = make([(0, size)], size)
    picker.start([A, B])
    assert picker.take(A, 100) is not None
    pieces = []
    while span := picker.take_piece(B):
        pieces.append(span)
    whole = {(start, min(start + PIECE, size)) for start in range(0, size, PIECE)}
    assert len(pieces) >= 3 and set(pieces) < whole
    assert total(pieces + drain(picker, A) + drain(picker, B)) == size - 100
    assert picker.take_piece(C) is None
