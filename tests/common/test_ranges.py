"""Sets of ranges against Python's own sets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.ranges import RangeSet

POINTS = st.integers(0, 60)


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for start, end in ranges for number in range(start, end)}


class SameAsASet(RuleBasedStateMachine):
    """Every operation does to a RangeSet what it does to a set of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = RangeSet()
        self.model: set[int] = set()

    @rule(start=POINTS, end=POINTS)
    def add(self, start: int, end: int) -> None:
        self.ranges.add(start, end)
        self.model |= set(range(start, end))

    @rule(start=POINTS, end=POINTS)
    def cut(self, start: int, end: int) -> None:
        removed = self.ranges.cut(start, end)
        assert removed == sorted(removed)
        assert numbers(removed) == self.model & set(range(start, end))
        assert all(s < e for s, e in removed)
        self.model -= set(range(start, end))

    @rule(start=POINTS, length=st.integers(1, 20))
    def advance(self, start: int, length: int) -> None:
        wanted = set(range(start, start + length))
        possible = bool(self.model) and start == min(self.model) and wanted <= self.model
        assert self.ranges.advance(start, start + length) == possible
        if possible:
            self.model -= wanted

    @rule(limit=st.integers(0, 20))
    def take_first(self, limit: int) -> None:
        taken = self.ranges.take_first(limit)
        if taken is None:
            assert not self.model or limit == 0
            return
        start, end = taken
        assert start == min(self.model)
        assert 0 < end - start <= limit
        assert numbers([taken]) <= self.model
        assert end - start == limit or end not in self.model
        self.model -= numbers([taken])

    @rule(amount=st.integers(0, 40))
    def take_last(self, amount: int) -> None:
        taken = self.ranges.take_last(amount)
        assert taken == sorted(taken)
        assert numbers(taken) == set(sorted(self.model)[len(self.model) - min(amount, len(self.model)) :])
        self.model -= numbers(taken)

    @invariant()
    def same(self) -> None:
        ranges = list(self.ranges)
        assert numbers(ranges) == self.model
        assert self.ranges.total == len(self.model)
        assert len(self.ranges) == len(ranges)
        assert bool(self.ranges) == bool(self.model)
        assert all(s < e for s, e in ranges)
        assert all(a[1] < b[0] for a, b in zip(ranges, ranges[1:], strict=False))  # apart, and in order
        assert self.ranges == RangeSet(reversed(ranges))
        if self.model:
            assert self.ranges.first == min(self.model)


TestSameAsASet = SameAsASet.TestCase
TestSameAsASet.settings = settings(stateful_step_count=30)


@given(st.lists(st.tuples(POINTS, POINTS), max_size=20))
def test_the_order_of_adding_does_not_matter(ranges: list[tuple[int, int]]) -> None:
    assert RangeSet(ranges) == RangeSet(ranges[::-1])


def test_an_empty_set_has_no_first() -> None:
    with pytest.raises(IndexError):
        _ = RangeSet().first


def test_iterating_is_over_a_copy() -> None:
    ranges = RangeSet([(0, 5), (10, 15)])
    for start, end in ranges:
        ranges.cut(start, end)
    assert not ranges


def test_it_reads_well_in_a_failure() -> None:
    assert repr(RangeSet([(3, 4), (1, 2)])) == "RangeSet([(1, 2), (3, 4)])"
