"""Sets of byte offsets, kept as sorted, disjoint, half-open ranges ``[start, end)``."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of non-negative integers, kept as ranges. Adjacent ranges are merged.

    An operation takes O(log n) to find its position, and then moves the ranges after it. In practice n is
    small.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __len__(self) -> int:
        """Number of ranges, not of integers."""
        return len(self._starts)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and (self._starts, self._ends) == (other._starts, other._ends)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    @property
    def total(self) -> int:
        """Number of integers in the set."""
        return sum(self._ends) - sum(self._starts)

    @property
    def first(self) -> int:
        """The lowest integer; IndexError if the set is empty."""
        return self._starts[0]

    def add(self, start: int, end: int) -> None:
        """Add ``[start, end)``, which may be empty."""
        if start >= end:
            return
        low = bisect_left(self._ends, start)  # the first range that touches or follows
        high = bisect_right(self._starts, end)  # after the last range that touches
        if low < high:
            start = min(start, self._starts[low])
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def advance(self, start: int, end: int) -> bool:
        """Remove ``[start, end)`` if it is the beginning of the first range. Returns whether it is."""
        if not self._starts or start != self._starts[0] or end > self._ends[0]:
            return False
        self._set_start(0, end)
        return True

    def _set_start(self, at: int, start: int) -> None:
        """Let range number ``at`` begin at ``start``. The range disappears if that is its end."""
        if start == self._ends[at]:
            del self._starts[at], self._ends[at]
        else:
            self._starts[at] = start

    def cut(self, start: int, end: int) -> list[tuple[int, int]]:
        """Remove ``[start, end)`` and return its ranges that were in the set."""
        if start >= end:
            return []
        low = bisect_right(self._ends, start)  # the first range that overlaps
        if low == len(self._ends) or self._starts[low] >= end:
            return []
        if self._starts[low] == start and end <= self._ends[low]:  # the usual case
            self._set_start(low, end)
            return [(start, end)]
        high = bisect_left(self._starts, end)  # after the last range that overlaps
        removed = [
            (max(start, s), min(end, e))
            for s, e in zip(self._starts[low:high], self._ends[low:high], strict=True)
        ]
        left = [(self._starts[low], start)] if self._starts[low] < start else []
        right = [(end, self._ends[high - 1])] if self._ends[high - 1] > end else []
        self._starts[low:high] = [s for s, _ in left + right]
        self._ends[low:high] = [e for _, e in left + right]
        return removed

    def overlap(self, start: int, end: int) -> list[tuple[int, int]]:
        """The ranges of ``[start, end)`` that are in the set. The set stays unchanged."""
        if start >= end:
            return []
        low, high = bisect_right(self._ends, start), bisect_left(self._starts, end)
        return [(max(start, self._starts[at]), min(end, self._ends[at])) for at in range(low, high)]

    def take_first(self, limit: int) -> tuple[int, int] | None:
        """Remove and return at most ``limit`` integers from the first range; None if it is empty."""
        if not self._starts or limit <= 0:
            return None
        start = self._starts[0]
        end = min(self._ends[0], start + limit)
        self._set_start(0, end)
        return start, end

    def take_last(self, amount: int) -> list[tuple[int, int]]:
        """Remove and return the ``amount`` highest integers, or all, as ranges in ascending order."""
        taken: list[tuple[int, int]] = []
        while amount > 0 and self._starts:
            start = max(self._starts[-1], self._ends[-1] - amount)
            taken.append((start, self._ends[-1]))
            amount -= self._ends[-1] - start
            if start == self._starts[-1]:
                del self._starts[-1], self._ends[-1]
            else:
                self._ends[-1] = start
        return taken[::-1]
