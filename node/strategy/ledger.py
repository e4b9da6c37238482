"""What has arrived of a torrent, from whom, and what it turned out to be. Pure; whoever owns it locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.strategy import Source


class PieceLedger:
    """Counts bytes into pieces and remembers who delivered them, until each piece is verified.

    The transport reports each byte once for each time it was handed out, so that counting is enough.
    """

    def __init__(self, geometry: Geometry, held: Bitfield) -> None:
        self._geometry = geometry
        self._held = held
        self._counts: dict[int, int] = {}  # bytes of pieces that are not complete
        self._deliverers: dict[int, dict[Source, int]] = {}  # bytes of each, of pieces that are not verified
        self._unchecked: set[int] = set()  # pieces with bytes that the path may have spoilt unnoticed
        self.verified = sum(
            geometry.piece_length_of(index) for index in range(geometry.piece_count) if index in held
        )
        self.received = self.verified  # bytes here, verified or not

    def missing(self) -> list[tuple[int, int]]:
        """The ranges of the pieces that are not held, adjacent ones as they are."""
        return [self._geometry.piece_range(index) for index in self._held.missing()]

    @property
    def complete(self) -> bool:
        """Whether every piece is verified."""
        return self._held.all()

    def arrived(self, source: Source, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` are in place, from ``source``: the pieces that this completes.

        ``checked``: a checksum says that they are what the source sent.
        """
        self.received += end - start
        length = self._geometry.piece_length
        first = start // length
        if not checked:
            self._unchecked.update(range(first, (end - 1) // length + 1))
        if end <= (first + 1) * length:  # within one piece: by far the most frequent case
            return (first,) if self._count(source, first, end - start) else ()
        complete = []
        for index in range(first, (end - 1) // length + 1):
            amount = min(end, (index + 1) * length) - max(start, index * length)
            if self._count(source, index, amount):
                complete.append(index)
        return complete

    def _count(self, source: Source, index: int, amount: int) -> bool:
        deliverers = self._deliverers.setdefault(index, {})
        deliverers[source] = deliverers.get(source, 0) + amount
        count = self._counts.get(index, 0) + amount
        if count < self._geometry.piece_length_of(index):
            self._counts[index] = count
            return False
        self._counts.pop(index, None)
        return True

    def proves(self, index: int) -> bool:
        """Whether complete piece ``index`` is just what its deliverers sent, as far as checksums tell."""
        return index not in self._unchecked

    def right(self, index: int) -> Mapping[Source, int]:
        """Piece ``index`` matches its hash: count it as held. Returns who delivered it, and how much."""
        self._held.set(index)
        self._unchecked.discard(index)
        self.verified += self._geometry.piece_length_of(index)
        return self._deliverers.pop(index, {})

    def wrong(self, index: int) -> Mapping[Source, int]:
        """Piece ``index`` does not match: it is missing again. Returns who delivered it, and how much."""
        self._unchecked.discard(index)
        self.received -= self._geometry.piece_length_of(index)
        return self._deliverers.pop(index, {})
