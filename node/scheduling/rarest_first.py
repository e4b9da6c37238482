"""Rarest first: the picker for swarms in which some sources hold only a part (Cohen 2003; libtorrent manual).

A source without work gets a span: a piece that it holds and that the fewest partial peers are known to hold,
and the following pieces if they are as rare, up to ``SPAN_BYTES``. Pieces that were begun come first: soon
they are complete, and other nodes can fetch them. Among equals the choice is random, so that nodes with the
same knowledge choose differently. Among pieces that only complete peers hold, each node follows an order of
its own (``rendezvous``). When nothing is free, the source steals half of another source's unrequested bytes,
as far as it holds them.

Sets of pieces are integers with one bit a piece (``availability``).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.availability import Availability
from node.scheduling.base import PieceOrder, RateOf, Span, slowest_first
from node.scheduling.deferred import DeferredPieces
from node.scheduling.equal_chunks import MIN_THEFT_BYTES
from node.scheduling.free_pieces import FreePieces
from node.scheduling.piece_order import Random, Sequential

SPAN_BYTES = 1 << 18  # bytes that a source is given at a time, in whole pieces
CRUMB_BYTES = 256  # a remainder of a piece this small is requested with the bytes before it


class RarestFirst:
    """Picker for sources of which some hold only a part."""

    def __init__(
        self,
        missing: Iterable[Span],
        geometry: Geometry,
        rate_of: RateOf,
        rng: random.Random,
        order: PieceOrder | None = None,
        random_first: int = 0,
    ) -> None:
        """``order`` chooses pieces instead of rarest first.

        ``random_first``: choices from partial peers that are random at first. A rare piece comes from few
        peers, so slowly, and a new leecher needs pieces to trade soon (Cohen 2003).
        """
        self._length, self._size = geometry.piece_length, geometry.size
        self._pieces = geometry.piece_count
        self._rate_of = rate_of
        self._rng = rng
        self._order = order
        self._random_left = random_first if order is None else 0
        self._availability = Availability(geometry.piece_count)
        self._bit = self._availability.bit
        self.deferred = DeferredPieces()
        self._free = FreePieces(geometry, self._availability.bit)  # bytes meant for no source
        self._chunks: dict[Peer, RangeSet] = {}
        self._own_order = [self._availability.all_pieces]
        self.give_back(missing)

    # ---- sources

    def start(self, sources: Sequence[Peer]) -> None:
        """Take in the first sources."""
        for source in sources:
            self.join(source)

    def join(self, source: Peer) -> None:
        """Take in one more source. It counts as complete until ``on_bitfield``."""
        self._chunks.setdefault(source, RangeSet())
        self._availability.join(source)

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its bytes are free for other sources."""
        self.give_back(self._chunks.pop(source, RangeSet()))
        self.deferred.leave(source)
        self._availability.leave(source)

    def block(self, source: Peer) -> None:
        """``source`` chokes us: its bytes are free for other sources, but its pieces count as copies."""
        self.give_back(self._chunks.pop(source, RangeSet()))
        self.deferred.leave(source)

    def on_bitfield(self, source: Peer, held: Bitfield | None) -> bool:
        """``source`` holds these pieces; None: all. True if bytes meant for it are free again."""
        self._availability.on_bitfield(source, held)
        return self._free_not_offered(source)

    def on_have(self, source: Peer, piece: int) -> None:
        """``source`` holds one piece more."""
        self._availability.on_have(source, piece)

    def holds(self, source: Peer, piece: int) -> bool:
        """True if ``source`` takes part and is known to hold ``piece``."""
        return source in self._chunks and bool(self._availability.of(source) & self._bit(piece))

    def set_own_order(self, order: Sequence[int]) -> None:
        """Sets of pieces: this node's order among pieces that only complete peers hold, first ones first."""
        self._own_order = [*order, self._availability.all_pieces]

    # ---- super-seeding

    def rare_only(self, source: Peer, start: int) -> bool:
        """True if ``source`` may reject the piece around ``start`` because it sent it to another node.

        Only a complete peer may, once for each piece, and only if a partial peer is known that might have it.
        """
        if self.deferred.required & self._bit(start // self._length):
            return False
        return self._availability.is_complete(source) and self._availability.has_partial_source

    def require(self, start: int) -> None:
        """The piece around ``start`` is wanted from any source, rare or not."""
        self.deferred.required |= self._bit(start // self._length)

    def defer(self, source: Peer, start: int, now: float) -> None:
        """``source`` rejected the piece around ``start``: it has just sent it to another node."""
        self.deferred.add(source, self._bit(start // self._length), now)
        self._free_not_offered(source)

    # ---- bytes

    def give_back(self, spans: Iterable[Span]) -> None:
        """Put in bytes that were taken and did not arrive, or arrived wrong."""
        for start, end in spans:
            self._free.add(start, end)

    @property
    def is_empty(self) -> bool:
        """True if every byte was taken."""
        return not self._free.pieces and not any(self._chunks.values())

    def claim(self, start: int, end: int) -> list[Span]:
        """Take out every byte of ``[start, end)`` that is left, whichever source it was meant for."""
        spans = self._free.cut(start, end)
        for chunk in self._chunks.values():
            spans += chunk.cut(start, end)
        return spans

    def remaining(self, source: Peer) -> int:
        """Bytes that are meant for ``source`` and were not taken yet."""
        return self._chunks[source].total if source in self._chunks else 0

    def take(self, source: Peer, limit: int) -> Span | None:
        """About ``limit`` bytes at most of the source's span, which is refilled when it is empty."""
        if not self.has_work(source):
            return None
        chunk = self._chunks[source]
        rest = self._length - chunk.first % self._length  # of its piece
        return chunk.take_first(rest if limit < rest <= limit + CRUMB_BYTES else limit)

    def take_piece(self, source: Peer) -> Span | None:
        """A whole piece that ``source`` holds and of which no byte was taken."""
        whole = self._free.pieces & ~self._free.begun & self._offers(source) if source in self._chunks else 0
        if not whole:
            return None
        piece, _ = self._best(source, whole)
        start, end = piece * self._length, min((piece + 1) * self._length, self._size)
        self._free.cut(start, end)
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

    # ---- the choice

    def _pick(self, source: Peer, chunk: RangeSet) -> None:
        """Move the best free piece of ``source``, and its equals behind it, into ``chunk``."""
        useful = self._free.pieces & self._offers(source)
        if useful and isinstance(self._order, Sequential):  # begun or not: the first one
            first, equals = self._best(source, useful)
        elif begun := useful & self._free.begun:
            first, equals = self._random_piece(begun), begun
        elif useful:
            first, equals = self._best(source, useful)
        else:
            return
        last = first + 1
        most = min(self._pieces, first + max(1, SPAN_BYTES // self._length))
        while last < most and equals & self._bit(last):
            last += 1
        for span in self._free.cut(first * self._length, min(last * self._length, self._size)):
            chunk.add(*span)

    def _best(self, source: Peer, useful: int) -> tuple[int, int]:
        """The piece of ``useful``, which is not empty, to request first; and the set of its equals."""
        if isinstance(self._order, Sequential):
            return (piece := self._pieces - useful.bit_length()), self._bit(piece)
        if isinstance(self._order, Random):
            return (piece := self._random_piece(useful)), self._bit(piece)
        if self._random_left > 0 and not self._availability.is_complete(source):
            self._random_left -= 1
            return self._random_piece(useful), useful
        if self._order is not None:
            available = [piece for piece in range(self._pieces) if useful & self._bit(piece)]
            piece = self._order.choose(available, self._availability.holders(), self._rng)
            return piece, self._bit(piece)
        equals = next(best for alike in self._by_preference(source) if (best := useful & alike))
        return self._random_piece(equals), equals

    def _by_preference(self, source: Peer) -> Iterator[int]:
        """Sets of pieces, the best ones first; together they are all."""
        rarest, *others = self._availability.rarity()
        if self._availability.is_complete(source):
            fresh = rarest & ~self.deferred.required
            for turn in self._own_order:
                yield fresh & turn
        yield rarest
        yield from others

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
        offers = self._offers(thief)
        spans = [span for span in self._by_piece(rest) if offers & self._bit(span[0] // self._length)]
        if len(spans) > 1:
            return spans[(len(spans) + 1) // 2 :]
        if not spans:
            return []
        start, end = spans[0]
        return [(start if end - start < 2 * MIN_THEFT_BYTES else (start + end) // 2, end)]

    # ---- pieces and bytes

    def _offers(self, source: Peer) -> int:
        """The pieces that ``source`` holds and that are not deferred."""
        return self._availability.of(source) & ~self.deferred.at(source)

    def _free_not_offered(self, source: Peer) -> bool:
        """Free the bytes of the source's span that it does not offer; True if there are any."""
        chunk = self._chunks.get(source)
        if not chunk:
            return False
        offers = self._offers(source)
        freed = [span for span in self._by_piece(chunk) if not offers & self._bit(span[0] // self._length)]
        for span in freed:
            chunk.cut(*span)
        self.give_back(freed)
        return bool(freed)

    def _by_piece(self, spans: Iterable[Span]) -> list[Span]:
        """``spans``, cut between pieces."""
        cut = []
        for start, end in spans:
            while start < end:
                boundary = min(end, (start // self._length + 1) * self._length)
                cut.append((start, boundary))
                start = boundary
        return cut
