"""Equal chunks for all sources, as in the course report; then work stealing.

Each source gets a chunk of nearly equal size. A source that has finished its chunk steals half of the bytes
that the slowest one has not requested yet (work stealing: Blumofe and Leiserson, 1999).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import RateOf, Span, slowest_first

MIN_THEFT_BYTES = 16 * 1024  # bytes; a remainder of less than two of these is stolen whole


def split_file_owners(missing: RangeSet, owners: int, piece_length: int) -> list[RangeSet]:
    """``missing`` in ``owners`` chunks of nearly equal size (the report's ``split_file_owners``).

    The chunks are cut between pieces, so that each piece comes from one source. Chunks of a small file may
    be empty.
    """
    rest = RangeSet(missing)
    chunks: list[RangeSet] = []
    for left in range(owners, 0, -1):
        chunk = RangeSet()
        target = rest.total // left if left > 1 else rest.total
        while rest and target > 0:
            start, end = rest.take_first(target) or (0, 0)
            boundary = -(-end // piece_length) * piece_length  # the cut moves up to the end of its piece
            for more in rest.cut(end, boundary):
                chunk.add(*more)
                target -= more[1] - more[0]
            chunk.add(start, end)
            target -= end - start
        chunks.append(chunk)
    return chunks


class EqualChunks:
    """Picker for sources that all hold everything."""

    def __init__(
        self, missing: Iterable[Span], piece_length: int, rate_of: RateOf, begin_at: float = 0.0
    ) -> None:
        """``begin_at``: where a lone source begins, as a fraction of the missing bytes, in [0, 1)."""
        self._piece_length = piece_length
        self._rate_of = rate_of
        self._begin_at = begin_at
        self._free = RangeSet(missing)  # in no chunk
        self._size = max((end for _, end in self._free), default=0)
        self._chunks: dict[Peer, RangeSet] = {}

    def start(self, sources: Sequence[Peer]) -> None:
        """Divide the free bytes into equal chunks, one for each source.

        A lone source may begin anywhere: nodes that start together at one seed, before they know of each
        other, then request different pieces.
        """
        later = self._begin_later() if len(sources) == 1 else RangeSet()
        chunks = split_file_owners(self._free, len(sources), self._piece_length)
        self._free = later
        self._chunks.update(zip(sources, chunks, strict=True))

    def _begin_later(self) -> RangeSet:
        """Take out of the free bytes those before ``begin_at``."""
        later = RangeSet()
        limit = int(self._free.total * self._begin_at)
        while limit > 0:
            start, end = self._free.take_first(limit) or (0, 0)
            later.add(start, end)
            limit -= end - start
        if self._free:
            at = self._free.first
            for span in later.cut(at // self._piece_length * self._piece_length, at):  # between pieces
                self._free.add(*span)
        return later

    def join(self, source: Peer) -> None:
        """Take in one more source: it begins with free bytes, or steals."""
        self._chunks.setdefault(source, RangeSet())

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its chunk is free for other sources."""
        for span in self._chunks.pop(source, RangeSet()):
            self._free.add(*span)

    def give_back(self, spans: Iterable[Span]) -> None:
        """Put in bytes that were taken and did not arrive, or arrived wrong."""
        for span in spans:
            self._size = max(self._size, span[1])
            self._free.add(*span)

    @property
    def is_empty(self) -> bool:
        """True if every byte was taken."""
        return not self._free and not any(self._chunks.values())

    def claim(self, start: int, end: int) -> list[Span]:
        """Take out every byte of ``[start, end)`` that is left, whichever source it was meant for."""
        spans = self._free.cut(start, end)
        for chunk in self._chunks.values():
            spans += chunk.cut(start, end)
        return spans

    def holds(self, source: Peer, piece: int) -> bool:
        """True if ``source`` takes part: all sources hold everything."""
        return source in self._chunks

    def remaining(self, source: Peer) -> int:
        """Bytes that are meant for ``source`` and were not taken yet."""
        return self._chunks[source].total if source in self._chunks else 0

    def take(self, source: Peer, limit: int) -> Span | None:
        """At most ``limit`` bytes of the source's chunk, which is refilled when it is empty."""
        chunk = self._chunks.get(source)
        if chunk is None:
            return None
        if not chunk:
            self._refill(source, chunk)
        return chunk.take_first(limit)

    def take_piece(self, source: Peer) -> Span | None:
        """A whole piece of which no byte was taken: from its own chunk, free, or stolen."""
        if source not in self._chunks:
            return None
        for ranges in (self._chunks[source], self._free):
            for piece in self._whole_pieces(ranges):
                ranges.cut(*piece)
                return piece
        others = (other for other in self._chunks if other != source)
        for victim in slowest_first(self, others, self._rate_of):
            pieces = list(self._whole_pieces(self._chunks[victim]))
            if pieces:
                self._chunks[victim].cut(*pieces[-1])  # the victim begins with its first one
                return pieces[-1]
        return None

    def _whole_pieces(self, ranges: RangeSet) -> Iterator[Span]:
        """The pieces that lie in ``ranges`` from their first byte to their last."""
        for start, end in ranges:
            first = -(-start // self._piece_length) * self._piece_length
            for begin in range(first, end, self._piece_length):
                until = begin + self._piece_length
                if until <= end or end == self._size:  # the last piece may be shorter
                    yield begin, min(until, end)

    def has_work(self, source: Peer) -> bool:
        """True if there is something for ``source`` to take. Refills an empty chunk."""
        chunk = self._chunks.get(source)
        if chunk is None:
            return False
        if not chunk:
            self._refill(source, chunk)
        return bool(chunk)

    def _refill(self, source: Peer, chunk: RangeSet) -> None:
        if self._free:
            share = -(-self._free.total // len(self._chunks))
            first = self._free.first
            end = -(-(first + share) // self._piece_length) * self._piece_length
            for span in self._free.cut(first, end):
                chunk.add(*span)
            return
        victims = [other for other, rest in self._chunks.items() if other != source and rest]
        for victim in slowest_first(self, victims, self._rate_of):
            for span in self._steal_half(self._chunks[victim]):
                chunk.add(*span)
            if chunk:
                return

    def _steal_half(self, rest: RangeSet) -> list[Span]:
        """The higher half of ``rest``, cut between pieces where it has several."""
        total = rest.total
        taken = rest.take_last(total if total < 2 * MIN_THEFT_BYTES else total // 2)
        start, end = taken[0]
        boundary = -(-start // self._piece_length) * self._piece_length
        if start < boundary < taken[-1][1]:
            rest.add(start, min(end, boundary))
            taken[0] = boundary, end
        return [span for span in taken if span[0] < span[1]]
