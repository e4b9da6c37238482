"""Bitfields behave as sets of indexes, and travel in the bit order of BEP 3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bitfield import Bitfield
from common.errors import MalformedInput


def of(size: int, indexes: set[int]) -> Bitfield:
    bitfield = Bitfield(size)
    for index in indexes:
        bitfield.set(index)
    return bitfield


@pytest.mark.parametrize(
    ("size", "indexes", "data"),
    [
        (0, set(), b""),
        (1, {0}, b"\x80"),
        (8, {7}, b"\x01"),
        (9, {8}, b"\x00\x80"),
        (10, {0, 1, 9}, b"\xc0\x40"),
        (16, set(range(16)), b"\xff\xff"),
    ],
)
def test_piece_0_is_the_highest_bit_of_byte_0(size: int, indexes: set[int], data: bytes) -> None:
    assert of(size, indexes).to_bytes() == data
    assert set(Bitfield.from_bytes(data, size)) == indexes


@given(st.integers(0, 40), st.data())
def test_it_is_a_set_of_indexes(size: int, data: st.DataObject) -> None:
    bitfield, model = Bitfield(size), set[int]()
    if size:
        for index, put in data.draw(st.lists(st.tuples(st.integers(0, size - 1), st.booleans()))):
            (bitfield.set if put else bitfield.clear)(index)
            (model.add if put else model.discard)(index)
    assert list(bitfield) == sorted(model)
    assert list(bitfield.missing()) == sorted(set(range(size)) - model)
    assert bitfield.count == len(model)
    assert bitfield.all() == (len(model) == size)
    assert all((index in bitfield) == (index in model) for index in range(-1, size + 2))
    assert Bitfield.from_bytes(bitfield.to_bytes(), size) == bitfield


@pytest.mark.parametrize("size", range(20))
def test_full_has_all(size: int) -> None:
    full = Bitfield.full(size)
    assert full.all() and list(full) == list(range(size)) and not list(full.missing())


def test_a_copy_is_independent() -> None:
    one = of(10, {3})
    other = one.copy()
    other.set(4)
    assert list(one) == [3] and list(other) == [3, 4] and one != other


@pytest.mark.parametrize(("data", "size"), [(b"", 1), (b"\x00", 0), (b"\x00\x00", 8), (b"\x00", 9)])
def test_a_wrong_length_is_malformed(data: bytes, size: int) -> None:
    with pytest.raises(MalformedInput, match="bytes"):
        Bitfield.from_bytes(data, size)


@pytest.mark.parametrize(
    ("data", "size"), [(b"\x01", 7), (b"\xff", 1), (b"\x00\x40", 9), (b"\xff\x7f", 15 - 6)]
)
def test_spare_bits_are_zero(data: bytes, size: int) -> None:
    with pytest.raises(MalformedInput, match="spare"):
        Bitfield.from_bytes(data, size)


@pytest.mark.parametrize("index", [-1, 8, 100])
def test_indexes_outside(index: int) -> None:
    bitfield = Bitfield(8)
    for change in (bitfield.set, bitfield.clear):
        with pytest.raises(IndexError):
            change(index)
    assert index not in bitfield
    assert "0" not in bitfield


def test_a_negative_size() -> None:
    with pytest.raises(ValueError, match="-1"):
        Bitfield(-1)
