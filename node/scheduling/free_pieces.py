"""The bytes that are meant for no source, and the pieces that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from common.geometry import Geometry
from common.ranges import RangeSet
from node.scheduling.base import Span


class FreePieces:
    """Free bytes. ``pieces`` and ``begun`` are sets of pieces, integers with one bit a piece."""

    def __init__(self, geometry: Geometry, bit: Callable[[int], int]) -> None:
        """``bit(piece)`` is the set that has only ``piece``."""
        self._length, self._size = geometry.piece_length, geometry.size
        self._count = geometry.piece_count
        self._bit = bit
        self._bytes = RangeSet()
        self.pieces = 0  # pieces with free bytes
        self.begun = 0  # those of them with other bytes that are not free

    def add(self, start: int, end: int) -> None:
        """``[start, end)`` is free."""
        self._bytes.add(start, end)
        self._update(start, end)

    def cut(self, start: int, end: int) -> list[Span]:
        """Remove ``[start, end)``; returns the ranges of it that were free."""
        spans = self._bytes.cut(start, end)
        self._update(start, end)
        return spans

    def _update(self, start: int, end: int) -> None:
        first, last = start // self._length, -(-end // self._length)
        pieces: Iterable[int] = range(first, last)
        if last - first > 2 and self._bytes.overlap(start, end) == [(start, end)]:
            inner = ((1 << (last - first - 2)) - 1) << (self._count - last + 1)  # wholly free
            self.pieces, self.begun = self.pieces | inner, self.begun & ~inner
            pieces = (first, last - 1)
        for piece in pieces:
            lowest, highest = piece * self._length, min((piece + 1) * self._length, self._size)
            here = sum(e - s for s, e in self._bytes.overlap(lowest, highest))
            bit = self._bit(piece)
            self.pieces = self.pieces | bit if here else self.pieces & ~bit
            self.begun = self.begun | bit if 0 < here < highest - lowest else self.begun & ~bit
