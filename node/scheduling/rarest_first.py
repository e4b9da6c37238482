"""Rarest first: the picker for swarms in which some sources hold only a part (Cohen 2003; libtorrent manual).

A source without work gets a span: a piece that it holds and that the fewest partial peers are known to hold,
and the following pieces if they are as rare, up to ``SPAN_BYTES``. Pieces that were begun come first: soon
they are complete, and other nodes can fetch them. Among equals the choice is random, so that nodes with the
same knowledge choose differently. Among pieces that only complete peers hold, each node follows an order of
its own (``rendezvous``). When nothing is free, the source steals half of another source's unrequested bytes,
as far as it holds them.

Sets of pieces are integers, one bit a piece in the order of a bitfield's bytes: piece 0 is the highest bit.
One operation on them looks at a thousand pieces, or at a million.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import PieceOrder, RateOf, Span, slowest_first
from node.scheduling.equal_chunks import MIN_THEFT_BYTES

SPAN_BYTES = 1 << 18  # bytes that a source is given at a time, in whole pieces
CRUMB_BYTES = 256  # bytes: a remainder of a piece this small is requested with the bytes before it
DEFER_SECONDS = 1.0  # for which a piece that a complete peer sent to another node is left to that node
RARITY_LEVELS = 8  # pieces held by this many partial peers, or more, count as equally rare


class RarestFirst:
    """Picker for sources of which some hold only a part."""

    def __init__(
        self,
        missing: Iterable[Span],
        geometry: Geometry,
        rate_of: RateOf,
        rng: random.Random,
        order: PieceOrder | None = None,
    ) -> None:
        """``order`` chooses pieces instead of rarest first."""
        self._length, self._size = geometry.piece_length, geometry.size
        self._pieces = geometry.piece_count
        self._rate_of = rate_of
        self._rng = rng
        self._order = order
        self._pool = RangeSet()  # bytes meant for no source
        self._free = 0  # pieces with bytes in the pool
        self._begun = 0  # those of them of which other bytes were taken
        self._chunks: dict[Peer, RangeSet] = {}
        self._held: dict[Peer, int | None] = {}  # None: everything
        self._all = (1 << self._pieces) - 1
        self._own_order = [self._all]
        self.deferred: dict[Peer, int] = {}  # pieces that a complete peer has just sent to other nodes
        self._deferred_until: deque[tuple[float, Peer, int]] = deque()
        self._required = 0  # pieces that are wanted from any source, rare or not
        self._rarities: list[int] | None = None  # pieces by the number of their holders; None: outdated
        self.give_back(missing)

    # ---- the sources

    def start(self, sources: Sequence[Peer]) -> None:
        """Take in the first sources."""
        for source in sources:
            self.join(source)

    def join(self, source: Peer) -> None:
        """Take in one more source. It counts as complete until ``on_bitfield``."""
        self._chunks.setdefault(source, RangeSet())
        self._held.setdefault(source, None)

    def on_bitfield(self, source: Peer, held: Bitfield | None) -> bool:
        """``source`` holds these pieces; None: all. True if bytes meant for it are free again."""
        self._held[source] = None if held is None else self._set_of(held)
        self._rarities = None
        freed = self._not_offered(source)
        self.give_back(freed)
        return bool(freed)

    def on_have(self, source: Peer, piece: int) -> None:
        """``source`` holds one piece more."""
        held = self._held.get(source)
        if held is not None and not held & self._bit(piece):
            self._held[source] = held | self._bit(piece)
            self._rarities = None

    def set_own_order(self, order: Sequence[int]) -> None:
        """Sets of pieces: this node's order among pieces that only complete peers hold, first ones first."""
        self._own_order = [*order, self._all]

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its bytes are free for other sources."""
        self.give_back(self._chunks.pop(source, RangeSet()))
        self.deferred.pop(source, None)
        if self._held.pop(source, None) is not None:
            self._rarities = None

    def give_back(self, spans: Iterable[Span]) -> None:
        """Put in bytes that were taken and did not arrive, or arrived wrong."""
        for start, end in spans:
            self._pool.add(start, end)
            self._update_free(start, end)

    def claim(self, start: int, end: int) -> list[Span]:
        """Take out every byte of ``[start, end)`` that is left, whichever source it was meant for."""
        spans = self._pool.cut(start, end)
        self._update_free(start, end)
        for chunk in self._chunks.values():
            spans += chunk.cut(start, end)
        return spans

    def remaining(self, source: Peer) -> int:
        """Bytes that are meant for ``source`` and were not taken yet."""
        return self._chunks[source].total if source in self._chunks else 0

    def holds(self, source: Peer, piece: int) -> bool:
        """True if ``source`` takes part and is known to hold ``piece``."""
        return source in self._held and bool(self._holdings(source) & self._bit(piece))

    # ---- super-seeding: pieces that a complete peer sends only while they are rare

    def rare_only(self, source: Peer, start: int) -> bool:
        """True if ``source`` may reject the piece around ``start`` because it sent it to another node.

        Only a complete peer may, once for each piece, and only if a partial peer is known that might have it.
        """
        if self._held.get(source, 0) is not None or self._required & self._bit(start // self._length):
            return False
        return any(held is not None for held in self._held.values())

    def require(self, start: int) -> None:
        """The piece around ``start`` is wanted from any source, rare or not."""
        self._required |= self._bit(start // self._length)

    def defer(self, source: Peer, start: int, now: float) -> None:
        """``source``, a complete peer, has just sent the piece around ``start`` to another node."""
        self.require(start)
        piece = self._bit(start // self._length)
        self.deferred[source] = self.deferred.get(source, 0) | piece
        self._deferred_until.append((now + DEFER_SECONDS, source, piece))
        self.give_back(self._not_offered(source))

    def expire_deferred(self, now: float) -> None:
        """Offer pieces again that were deferred for ``DEFER_SECONDS``."""
        while self._deferred_until and self._deferred_until[0][0] <= now:
            _, source, piece = self._deferred_until.popleft()
            left = self.deferred.pop(source, 0) & ~piece
            if left:
                self.deferred[source] = left

    # ---- work

    def take(self, source: Peer, limit: int) -> Span | None:
        """About ``limit`` bytes at most of the source's span, which is refilled when it is empty."""
        if not self.has_work(source):
            return None
        chunk = self._chunks[source]
        rest = self._length - chunk.first % self._length  # of its piece
        return chunk.take_first(rest if limit < rest <= limit + CRUMB_BYTES else limit)

    def take_piece(self, source: Peer) -> Span | None:
        """A whole piece that ``source`` holds and of which no byte was taken."""
        if source not in self._chunks:
            return None
        whole = self._free & ~self._begun & self._offers(source)
        if not whole:
            return None
        piece, _ = self._best(source, whole)
        start, end = piece * self._length, min((piece + 1) * self._length, self._size)
        self._pool.cut(start, end)
        self._update_free(start, end)
        return start, end

    def has_work(self, source: Peer) -> bool:
        """True if there is something for ``source`` to take. Refills an empty span."""
        chunk = self._chunks.get(source)
        if chunk is None:
            return False
        if not chunk:
            self._pick(source, chunk)
        if not chunk:
            self._steal(source, chunk)
        return bool(chunk)

    def _pick(self, source: Peer, chunk: RangeSet) -> None:
        """Move the best free piece of ``source``, and its equals behind it, into ``chunk``."""
        useful = self._free & self._offers(source)
        if begun := useful & self._begun:
            first, equals = self._random_piece(begun), begun
        elif useful:
            first, equals = self._best(source, useful)
        else:
            return
        last = first + 1
        while (
            last < self._pieces
            and (last + 1 - first) * self._length <= SPAN_BYTES
            and equals & self._bit(last)
        ):
            last += 1
        start, end = first * self._length, min(last * self._length, self._size)
        for span in self._pool.cut(start, end):
            chunk.add(*span)
        self._update_free(start, end)

    def _best(self, source: Peer, useful: int) -> tuple[int, int]:
        """The piece of ``useful``, which is not empty, to request first; and the set of its equals."""
        if self._order is not None:
            available = [piece for piece in range(self._pieces) if useful & self._bit(piece)]
            piece = self._order.choose(available, self._availability(), self._rng)
            return piece, self._bit(piece)
        equals = next(best for alike in self._by_preference(source) if (best := useful & alike))
        return self._random_piece(equals), equals

    def _by_preference(self, source: Peer) -> Iterator[int]:
        """Sets of pieces, the best ones first; together they are all."""
        rarest, *others = self._rarity()
        if self._held[source] is None:
            fresh = rarest & ~self._required
            for turn in self._own_order:
                yield fresh & turn
        yield rarest
        yield from others

    def _rarity(self) -> list[int]:
        """Sets of pieces by the number of known partial holders: 0, 1, 2, and so on."""
        if self._rarities is None:
            at_least = [self._all] + [0] * RARITY_LEVELS
            for held in self._held.values():
                if held is not None:
                    for count in range(RARITY_LEVELS, 0, -1):
                        at_least[count] |= at_least[count - 1] & held
            self._rarities = [a & ~b for a, b in zip(at_least, [*at_least[1:], 0], strict=True)]
        return self._rarities

    def _availability(self) -> list[int]:
        """For each piece, the number of partial peers that are known to hold it."""
        partial = [held for held in self._held.values() if held is not None]
        return [sum(bool(held & self._bit(piece)) for held in partial) for piece in range(self._pieces)]

    def _random_piece(self, pieces: int) -> int:
        """One of ``pieces``: the first one behind a random place."""
        behind = pieces & ((1 << int(self._rng.random() * self._pieces) + 1) - 1)
        return self._pieces - (behind or pieces).bit_length()

    # ---- work stealing

    def _steal(self, source: Peer, chunk: RangeSet) -> None:
        victims = [other for other, rest in self._chunks.items() if other != source and rest]
        for victim in slowest_first(self, victims, self._rate_of):
            rest = self._chunks[victim]
            for span in self._stealable(source, rest):
                for taken in rest.cut(*span):
                    chunk.add(*taken)
            if chunk:
                return

    def _stealable(self, thief: Peer, rest: RangeSet) -> list[Span]:
        """About half of what ``thief`` holds of ``rest``, from its end, in whole pieces if it has several."""
        holdings = self._offers(thief)
        spans = [span for span in self._by_piece(rest) if holdings & self._bit(span[0] // self._length)]
        if len(spans) > 1:
            return spans[(len(spans) + 1) // 2 :]
        if not spans:
            return []
        start, end = spans[0]
        return [(start if end - start < 2 * MIN_THEFT_BYTES else (start + end) // 2, end)]

    # ---- pieces, bytes and bits

    def _bit(self, piece: int) -> int:
        return 1 << (self._pieces - 1 - piece)

    def _set_of(self, held: Bitfield) -> int:
        data = held.to_bytes()
        return int.from_bytes(data, "big") >> (8 * len(data) - self._pieces)

    def _holdings(self, source: Peer) -> int:
        held = self._held[source]
        return self._all if held is None else held

    def _offers(self, source: Peer) -> int:
        """The pieces that ``source`` holds and that are not deferred."""
        return self._holdings(source) & ~self.deferred.get(source, 0)

    def _by_piece(self, spans: Iterable[Span]) -> list[Span]:
        """``spans``, cut between pieces."""
        cut = []
        for start, end in spans:
            while start < end:
                boundary = min(end, (start // self._length + 1) * self._length)
                cut.append((start, boundary))
                start = boundary
        return cut

    def _not_offered(self, source: Peer) -> list[Span]:
        """Take bytes out of the source's span that it does not offer."""
        chunk = self._chunks.get(source)
        if not chunk:
            return []
        offers = self._offers(source)
        freed = [span for span in self._by_piece(chunk) if not offers & self._bit(span[0] // self._length)]
        for span in freed:
            chunk.cut(*span)
        return freed

    def _update_free(self, start: int, end: int) -> None:
        """Bytes of the pool in ``[start, end)`` have changed: bring ``_free`` and ``_begun`` up to date."""
        first, last = start // self._length, -(-end // self._length)
        pieces: Iterable[int] = range(first, last)
        if last - first > 2 and self._pool.overlap(start, end) == [(start, end)]:
            inner = ((1 << (last - first - 2)) - 1) << (self._pieces - last + 1)  # many at once
            self._free, self._begun = self._free | inner, self._begun & ~inner
            pieces = (first, last - 1)
        for piece in pieces:
            lowest, highest = piece * self._length, min((piece + 1) * self._length, self._size)
            here = sum(e - s for s, e in self._pool.overlap(lowest, highest))
            bit = self._bit(piece)
            self._free = self._free | bit if here else self._free & ~bit
            self._begun = self._begun | bit if 0 < here < highest - lowest else self._begun & ~bit
