"""Who fetches which bytes: equal chunks at first, halves of the slowest one's rest later.

All ranges are half-open bytes of the torrent's content. Not thread-safe:
whoever owns it locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from common.ranges import RangeSet
from node.peer import Peer

SMALLEST_THEFT = 16 * 1024  # bytes; a rest with less than two of these changes hands whole


def split_file_owners(missing: RangeSet, owners: int, piece_length: int) -> list[RangeSet]:
    """``missing`` in ``owners`` chunks of nearly equal size (the report's ``split_file_owners``).

    They are cut between pieces, so that each piece has one deliverer. A small file may leave some empty.
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
    """The bytes still to be asked for, divided among the sources that work on them."""

    def __init__(self, missing: Iterable[tuple[int, int]], piece_length: int, begin_at: float = 0.0) -> None:
        """``begin_at``: where a lone source begins, as a fraction of what is missing, in [0, 1)."""
        self._piece_length = piece_length
        self._begin_at = begin_at
        self._pool = RangeSet(missing)  # nobody's yet
        self._chunks: dict[Peer, RangeSet] = {}

    def start(self, sources: Sequence[Peer]) -> None:
        """Divide what is nobody's into equal chunks, one for each of ``sources``.

        With one source there is nothing to divide. It may begin anywhere: nodes that start together at one
        seed, and do not know of each other yet, then begin with different pieces.
        """
        later = self._begin_later() if len(sources) == 1 else RangeSet()
        parts = split_file_owners(self._pool, len(sources), self._piece_length)
        self._pool = later
        self._chunks.update(zip(sources, parts, strict=True))

    def _begin_later(self) -> RangeSet:
        """Take out of the pool what lies before the place to begin at: nobody's until the rest is done."""
        later = RangeSet()
        limit = int(self._pool.total * self._begin_at)
        while limit > 0:
            start, end = self._pool.take_first(limit) or (0, 0)
            later.add(start, end)
            limit -= end - start
        if self._pool:
            at = self._pool.first
            for span in later.cut(at // self._piece_length * self._piece_length, at):  # between pieces
                self._pool.add(*span)
        return later

    def join(self, source: Peer) -> None:
        """A further source: it begins with nothing, and takes what is nobody's or steals."""
        self._chunks.setdefault(source, RangeSet())

    def leave(self, source: Peer) -> None:
        """``source`` works no more: its rest is nobody's, until the others come for it."""
        for span in self._chunks.pop(source, RangeSet()):
            self._pool.add(*span)

    def give_back(self, spans: Iterable[tuple[int, int]]) -> None:
        """Ranges that were taken and did not come, or came wrong."""
        for span in spans:
            self._pool.add(*span)

    def claim(self, start: int, end: int) -> list[tuple[int, int]]:
        """Take out what nobody was asked for yet of ``[start, end)``, whoever it was meant for."""
        spans = self._pool.cut(start, end)
        for chunk in self._chunks.values():
            spans += chunk.cut(start, end)
        return spans

    def has(self, source: Peer, piece: int) -> bool:
        """Whether ``source`` has ``piece`` to give: here everybody has everything."""
        return source in self._chunks

    def rest(self, source: Peer) -> int:
        """Bytes that ``source`` has not asked for yet."""
        return self._chunks[source].total if source in self._chunks else 0

    def take(self, source: Peer, limit: int, seconds_left: Callable[[Peer], float]) -> tuple[int, int] | None:
        """At most ``limit`` bytes for ``source`` to ask for now; None if there is nothing left to take.

        ``seconds_left(other)`` estimates how long a source will need for its rest; the slowest is robbed.
        """
        return self._chunks[source].take_first(limit) if self.refill(source, seconds_left) else None

    def refill(self, source: Peer, seconds_left: Callable[[Peer], float]) -> bool:
        """See that ``source`` has a chunk if there is anything left to take; whether it has one."""
        chunk = self._chunks.get(source)
        if chunk is None:
            return False
        if not chunk:
            self._find_work(source, chunk, seconds_left)
        return bool(chunk)

    def _find_work(self, source: Peer, chunk: RangeSet, seconds_left: Callable[[Peer], float]) -> None:
        if self._pool:
            share = -(-self._pool.total // len(self._chunks))
            first = self._pool.first
            end = -(-(first + share) // self._piece_length) * self._piece_length
            for span in self._pool.cut(first, end):
                chunk.add(*span)
            return
        others = [other for other, rest in self._chunks.items() if other != source and rest]
        for victim in sorted(others, key=seconds_left, reverse=True):
            for span in self._steal_half(self._chunks[victim]):
                chunk.add(*span)
            if chunk:
                return

    def _steal_half(self, rest: RangeSet) -> list[tuple[int, int]]:
        """The higher half of ``rest``, cut between pieces where there are several."""
        total = rest.total
        taken = rest.take_last(total if total < 2 * SMALLEST_THEFT else total // 2)
        start, end = taken[0]
        boundary = -(-start // self._piece_length) * self._piece_length
        if start < boundary < taken[-1][1]:
            rest.add(start, min(end, boundary))
            taken[0] = boundary, end
        return [span for span in taken if span[0] < span[1]]
