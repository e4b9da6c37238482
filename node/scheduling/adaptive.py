"""The picker of a download: equal chunks until a partial peer is known, then rarest first."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import Picker, PieceOrder, RateOf, Span
from node.scheduling.equal_chunks import EqualChunks
from node.scheduling.rarest_first import RarestFirst
from node.scheduling.rendezvous import OwnOrder

RANDOM_FIRST_PIECES = 4  # pieces that are here or begun before rarity counts at partial peers


class AdaptivePicker:
    """``EqualChunks``, which the first partial source turns into ``RarestFirst``.

    ``own`` is this node, which sets its choices apart from those of other nodes; ``own_tcp`` is its name over
    TCP. With an ``order``, pieces are picked by it from the start.
    """

    def __init__(
        self,
        geometry: Geometry,
        missing: Iterable[Span],
        rate_of: RateOf,
        own: Peer | None = None,
        order: PieceOrder | None = None,
        own_tcp: Peer | None = None,
    ) -> None:
        self._geometry = geometry
        self._rate_of = rate_of
        self._own_order = OwnOrder([name for name in (own, own_tcp) if name], geometry.piece_count)
        self._order = order
        self._rng = random.Random(own.key if own is not None else 0)
        begin_at = self._rng.random() if own is not None else 0.0
        self._picker: Picker = EqualChunks(missing, geometry.piece_length, rate_of, begin_at)
        self._rarest: RarestFirst | None = None
        self.by_piece = False  # True once pieces are picked one by one, because some source holds only a part
        self._sources: dict[Peer, None] = {}
        self._choking: dict[
            Peer, Bitfield | None
        ] = {}  # pieces of peers that take no part for now; None: all
        if order is not None:
            self._pick_pieces()

    @property
    def sources(self) -> Collection[Peer]:
        """The sources that take part."""
        return self._sources.keys()

    # ---- sources

    def start(self, sources: Sequence[Peer]) -> None:
        """Take in the first sources. They count as complete until ``on_bitfield``."""
        self._sources.update(dict.fromkeys(sources))
        if sources:
            self._picker.start(sources)

    def join(self, source: Peer) -> None:
        """Take in one more source. It counts as complete until ``on_bitfield``."""
        self._sources[source] = None
        self._choking.pop(source, None)
        self._picker.join(source)

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its bytes are free for other sources."""
        self._sources.pop(source, None)
        self._choking.pop(source, None)
        self._picker.leave(source)

    def block(self, source: Peer) -> None:
        """``source`` chokes us: it takes no part for now, but its pieces count as copies."""
        self._sources.pop(source, None)
        if self._rarest is not None:
            self._rarest.block(source)
        else:
            self._picker.leave(source)

    def on_bitfield(self, source: Peer, held: Bitfield | None) -> bool:
        """``source`` holds these pieces; None: all. True if other sources may have more to do."""
        if source not in self._sources:
            self._choking[source] = held
        begins = held is not None and self._rarest is None
        rarest = self._pick_pieces() if begins else self._rarest
        if held is not None and self._own_order.add([source]) and rarest is not None:
            rarest.set_own_order(self._own_order.sets())
        return (rarest is not None and rarest.on_bitfield(source, held)) or begins

    def on_have(self, source: Peer, piece: int) -> None:
        """``source`` holds one piece more."""
        if self._rarest is not None:
            self._rarest.on_have(source, piece)

    def set_partial_peers(self, peers: Iterable[Peer]) -> None:
        """The partial peers that are known, with which this node shares the pieces of complete peers."""
        if self._own_order.add(peers) and self._rarest is not None:
            self._rarest.set_own_order(self._own_order.sets())

    def _pick_pieces(self) -> RarestFirst:
        """Pick single pieces from now on: all bytes that were not taken yet are free again."""
        rest = RangeSet(self._picker.claim(0, self._geometry.size))
        random_first = max(
            0, RANDOM_FIRST_PIECES - (self._geometry.size - rest.total) // self._geometry.piece_length
        )
        rarest = RarestFirst(rest, self._geometry, self._rate_of, self._rng, self._order, random_first)
        rarest.start(list(self._sources))
        for source, held in self._choking.items():
            rarest.on_bitfield(source, held)
        rarest.set_own_order(self._own_order.sets())
        self._picker = self._rarest = rarest
        self.by_piece = True
        return rarest

    # ---- bytes

    def holds(self, source: Peer, piece: int) -> bool:
        """True if ``source`` takes part and holds ``piece``, as far as it is known."""
        return self._picker.holds(source, piece)

    def take(self, source: Peer, limit: int) -> Span | None:
        """About ``limit`` bytes at most for ``source``; None if none are left for it."""
        return self._picker.take(source, limit)

    def take_piece(self, source: Peer) -> Span | None:
        """A whole piece that ``source`` holds and of which no byte was taken."""
        return self._picker.take_piece(source)

    def has_work(self, source: Peer) -> bool:
        """True if ``take`` would find something."""
        return self._picker.has_work(source)

    @property
    def is_empty(self) -> bool:
        """True if every byte was taken."""
        return self._picker.is_empty

    def claim(self, start: int, end: int) -> list[Span]:
        """Take out every byte of ``[start, end)`` that is left, whichever source it was meant for."""
        return self._picker.claim(start, end)

    def give_back(self, spans: Iterable[Span]) -> None:
        """Put in bytes that were taken and did not arrive, or arrived wrong."""
        self._picker.give_back(spans)

    def remaining(self, source: Peer) -> int:
        """Bytes that are meant for ``source`` and were not taken yet."""
        return self._picker.remaining(source)

    # ---- super-seeding

    @property
    def has_deferred(self) -> bool:
        """True if a piece is left to other nodes for a while."""
        return self._rarest is not None and bool(self._rarest.deferred)

    def rare_only(self, source: Peer, start: int) -> bool:
        """True if ``source`` may reject the piece around ``start`` because it sent it to another node."""
        return self._rarest is not None and self._rarest.rare_only(source, start)

    def require(self, start: int) -> None:
        """The piece around ``start`` is wanted from any source, rare or not."""
        if self._rarest is not None:
            self._rarest.require(start)

    def defer(self, source: Peer, start: int, now: float) -> None:
        """``source`` has just sent the piece around ``start`` to another node, and may be asked later."""
        if self._rarest is not None:
            self._rarest.defer(source, start, now)

    def expire_deferred(self, now: float) -> None:
        """Offer pieces again that were deferred for long enough."""
        if self._rarest is not None and self._rarest.deferred:
            self._rarest.deferred.expire(now)
