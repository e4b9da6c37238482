"""Piece arithmetic, checked against counting bytes one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.geometry import Geometry

SMALL = st.builds(Geometry, st.integers(0, 60), st.integers(1, 20))


@pytest.mark.parametrize(
    ("size", "piece_length", "lengths"),
    [(0, 16, []), (1, 16, [1]), (16, 16, [16]), (17, 16, [16, 1]), (32, 16, [16, 16]), (5, 1, [1] * 5)],
)
def test_an_exact_multiple_has_no_empty_last_piece(size: int, piece_length: int, lengths: list[int]) -> None:
    geometry = Geometry(size, piece_length)
    assert geometry.piece_count == len(lengths)
    assert [geometry.piece_length_of(index) for index in range(geometry.piece_count)] == lengths


@given(SMALL)
def test_pieces_cover_every_byte_once(geometry: Geometry) -> None:
    covered = [
        offset for index in range(geometry.piece_count) for offset in range(*geometry.piece_range(index))
    ]
    assert covered == list(range(geometry.size))


@given(SMALL, st.data())
def test_touched_pieces_agree_with_counting(geometry: Geometry, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, geometry.size))
    end = data.draw(st.integers(start, geometry.size))
    asked = set(range(start, end))
    pieces = [(index, set(range(*geometry.piece_range(index)))) for index in range(geometry.piece_count)]
    assert list(geometry.pieces_touched(start, end)) == [index for index, its in pieces if its & asked]


def test_huge_contents_are_exact() -> None:
    geometry = Geometry(2**53 + 1, 2**24)
    assert geometry.piece_count == 2**29 + 1
    assert geometry.piece_length_of(2**29) == 1
    assert geometry.pieces_touched(2**53, 2**53 + 1) == range(2**29, 2**29 + 1)


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_pieces_that_are_not_there(index: int) -> None:
    geometry = Geometry(40, 16)
    for ask in (geometry.piece_range, geometry.piece_length_of):
        with pytest.raises(IndexError):
            ask(index)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 2), (0, 41), (41, 41)])
def test_ranges_outside(start: int, end: int) -> None:
    geometry = Geometry(40, 16)
    with pytest.raises(ValueError, match="range"):
        geometry.pieces_touched(start, end)


@pytest.mark.parametrize(("size", "piece_length"), [(-1, 16), (1, 0), (1, -16), (0, 0)])
def test_impossible_geometries(size: int, piece_length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        Geometry(size, piece_length)
