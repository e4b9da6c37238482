"""Which pieces a download fetches: all, or those of the files that the user selected. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.scheduling.base import Span


class WantedPieces:
    """The wanted pieces, and the free bytes of all other pieces, which are withheld from the picker."""

    def __init__(self, geometry: Geometry, have: Bitfield, wanted: Bitfield | None) -> None:
        """``have``: the verified pieces, which change outside; ``wanted``: None for all."""
        self._geometry = geometry
        self._have = have
        self._wanted = Bitfield.full(have.size) if wanted is None else wanted.copy()
        self._withheld = RangeSet()
        self._lacking = self._count_lacking()

    @property
    def complete(self) -> bool:
        """True once every wanted piece is verified."""
        return not self._lacking

    @property
    def size(self) -> int:
        """Bytes of the pieces that are wanted or verified."""
        have, wanted = self._have, self._wanted
        if wanted.all():
            return self._geometry.size
        either = (index for index in range(have.size) if index in wanted or index in have)
        return sum(map(self._geometry.piece_length_of, either))

    def missing(self) -> list[Span]:
        """The ranges of the wanted pieces that are not verified; the ranges of all others are withheld."""
        spans = []
        for index in self._have.missing():
            span = self._geometry.piece_range(index)
            if index in self._wanted:
                spans.append(span)
            else:
                self._withheld.add(*span)
        return spans

    def passed(self, piece: int) -> None:
        """``piece`` is verified: called once for each piece, after it is in ``have``."""
        if piece in self._wanted:
            self._lacking -= 1

    def change(self, wanted: Bitfield, claim: Callable[[int, int], list[Span]]) -> Iterable[Span]:
        """Want these pieces from now on. Returns the bytes to put into the picker.

        ``claim(start, end)`` takes out of the picker the bytes that are not wanted any more.
        """
        before, self._wanted = self._wanted, wanted.copy()
        self._lacking = self._count_lacking()
        released: list[Span] = []
        for index in self._have.missing():
            if (index in before) == (index in wanted):
                continue
            start, end = self._geometry.piece_range(index)
            if index in wanted:
                released += self._withheld.cut(start, end)
            else:
                for span in claim(start, end):
                    self._withheld.add(*span)
        return released

    def _count_lacking(self) -> int:
        return sum(index in self._wanted for index in self._have.missing())
