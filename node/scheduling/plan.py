"""Who is asked for which bytes, whatever the owners hold. Pure; whoever owns it locks.

EqualChunks      complete owners only: equal chunks, halves of the slowest one's rest (the course report's)
RarestFirst        somebody has only a part: rarest first
Work          one of the two: EqualChunks until the first partial owner is known
PendingRequests   what was asked for and has not landed, under either of them
Plan          Work and PendingRequests together: what the download's board asks
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import Strategy
from node.scheduling.equal_chunks import EqualChunks
from node.scheduling.pending import PendingRequests
from node.scheduling.probation import Probation, Restart
from node.scheduling.rarest_first import RarestFirst
from node.scheduling.rendezvous import piece_order

Span = tuple[int, int]
Pace = Callable[[Peer], float]  # bytes a second that came from a source lately

HORIZON = 0.5  # seconds of a source's rate that it may be asked for in advance, while pieces are picked
SHORTEST_HORIZON = 1 << 17  # bytes; the same for slow sources, and to begin with


class Work:
    """The bytes that nobody was asked for yet."""

    def __init__(self, geometry: Geometry, missing: Iterable[Span], pace: Pace, own: Peer | None) -> None:
        self._geometry = geometry
        self._pace = pace
        self._own = own
        self._rng = random.Random(own.key if own is not None else 0)
        begin_at = self._rng.random() if own is not None else 0.0
        self._strategy: Strategy = EqualChunks(missing, geometry.piece_length, begin_at)
        self._picker: RarestFirst | None = None
        self._sources: dict[Peer, None] = {}
        self._partial: frozenset[Peer] = frozenset()

    @property
    def picking(self) -> bool:
        """Whether pieces are picked by rarity."""
        return self._picker is not None

    # ---- sources

    @property
    def sources(self) -> Collection[Peer]:
        """Those that work."""
        return self._sources

    def start(self, sources: Sequence[Peer]) -> None:
        """The first ``sources``, which are believed to hold everything until ``told`` says otherwise."""
        self._sources.update(dict.fromkeys(sources))
        if sources:
            self._strategy.start(sources)

    def join(self, source: Peer) -> None:
        """A further source; the same is believed of it."""
        self._sources[source] = None
        self._strategy.join(source)

    def leave(self, source: Peer) -> None:
        """``source`` works no more; the others get its rest."""
        self._sources.pop(source, None)
        self._strategy.leave(source)

    def told(self, source: Peer, held: Bitfield | None) -> bool:
        """What ``source`` holds; None: everything. Whether others have more to choose from than before."""
        if source not in self._sources:
            return False
        begins = held is not None and self._picker is None
        if begins:
            self._picker = self._strategy = self._begin_to_pick()
        return (self._picker is not None and self._picker.told(source, held)) or begins

    def partial_peers(self, peers: Iterable[Peer]) -> None:
        """The partial owners known: with them we take turns at what only complete ones hold."""
        partial = frozenset(peers)
        if partial != self._partial:
            self._partial = partial
            if self._picker is not None:
                self._take_turns(self._picker)

    def _take_turns(self, picker: RarestFirst) -> None:
        if self._own is not None:
            picker.take_turns(piece_order(self._own, self._partial, self._geometry.piece_count))

    def _begin_to_pick(self) -> RarestFirst:
        """Everything that nobody was asked for yet is nobody's again."""
        geometry = self._geometry
        rest = RangeSet(self._strategy.claim(0, geometry.size))
        picker = RarestFirst(rest, geometry.piece_length, geometry.size, self._rng)
        picker.start(list(self._sources))
        self._take_turns(picker)
        return picker

    # ---- bytes

    def take(self, source: Peer, limit: int) -> Span | None:
        """At most ``limit`` bytes for ``source``; None if it finds none."""
        return self._strategy.take(source, limit, self._seconds_left)

    def refill(self, source: Peer) -> bool:
        """Whether ``take`` would find some."""
        return self._strategy.refill(source, self._seconds_left)

    def _seconds_left(self, source: Peer) -> float:
        return self._strategy.rest(source) / (self._pace(source) + 1)

    def wants_rare(self, start: int) -> bool:
        """Whether the piece around ``start`` is only wanted from an owner of all if it is rare."""
        return self._picker is not None and self._picker.wants_rare(start)

    def passed_on(self, source: Peer, start: int, now: float) -> None:
        """``source`` has just sent the piece around ``start`` to somebody: it may come from there."""
        if self._picker is not None:
            self._picker.passed_on(source, start, now)

    def insist(self, start: int) -> None:
        """The piece around ``start`` is wanted from whoever is asked, rare or not."""
        if self._picker is not None:
            self._picker.insist(start)

    @property
    def aside(self) -> bool:
        """Whether anything is left to others for a while."""
        return self._picker is not None and bool(self._picker.aside)

    def look_at_clock(self, now: float) -> None:
        """That while may be over."""
        if self._picker is not None and self._picker.aside:
            self._picker.look_at_clock(now)

    def claim(self, start: int, end: int) -> list[Span]:
        """Take out what nobody was asked for yet of ``[start, end)``, whoever it was meant for."""
        return self._strategy.claim(start, end)

    def give_back(self, spans: Iterable[Span]) -> None:
        """These are free for anybody."""
        self._strategy.give_back(spans)

    def holds(self, source: Peer, piece: int) -> bool:
        """Whether ``source`` has ``piece`` to give, as far as it has told."""
        return self._strategy.has(source, piece)

    def rest(self, source: Peer) -> int:
        """Bytes that ``source`` was given and has not asked for yet."""
        return self._strategy.rest(source)


class Plan:
    """All that is still to come of one download, and who shall deliver it."""

    def __init__(
        self,
        geometry: Geometry,
        missing: Iterable[Span],
        pace: Pace,
        own: Peer | None = None,
        restart: Restart = lambda piece: (),
    ) -> None:
        """``own``: this node; nodes choose differently among equals.

        ``restart(piece)`` throws away what has come of it, and says which bytes that was.
        """
        self._geometry = geometry
        self._pace = pace
        self.work = Work(geometry, missing, pace, own)
        self.probation = Probation(geometry, self.work, restart)
        self.outstanding = PendingRequests(geometry.size)

    def leave(self, source: Peer) -> None:
        """``source`` works no more; the others get its rest."""
        self.work.leave(source)
        self.probation.leave(source)

    def suspects(self) -> int:
        """How many of those who work delivered a piece together that somebody else should deliver now."""
        return self.probation.suspects(self.work.sources)

    def wants_rare(self, source: Peer, start: int) -> bool:
        """Whether ``source``, who holds all, may refuse the piece around ``start`` if it is not rare.

        Once for each piece: who asks again means it. And not the first piece of a new owner: it is its trial.
        """
        return self.work.wants_rare(start) and self.probation.trusts(source)

    def passed_on(self, source: Peer, spans: Sequence[Span], now: float) -> None:
        """``source`` was asked for these, and has just sent the piece that they begin in to somebody else."""
        if spans:
            self.work.passed_on(source, spans[0][0], now)
        self.give_back(spans, source)

    def time_helps(self, now: float) -> bool:
        """Whether there may be something to take later although nothing else happens."""
        return bool(self.outstanding) or self.work.aside or self.probation.waiting(now)

    def take(self, source: Peer, limit: int, now: float) -> Span | None:
        """At most ``limit`` bytes for ``source`` to be asked for now, None if there are none for it now."""
        self.work.look_at_clock(now)
        limit = self._room(source, limit)
        if limit <= 0:
            return None
        span = self.probation.take(source, limit, now)
        if span is not None:
            self.outstanding.asked(source, *span, now)
            return span
        span = self._late(source, limit, now)
        if span is not None:
            self.outstanding.doubled(source, *span, now)
            self.work.insist(span[0])
            self.probation.doubled(source, span[0] // self._geometry.piece_length, now)
        return span

    def has_work(self, source: Peer, now: float) -> bool:
        """Whether ``take`` would find anything."""
        self.work.look_at_clock(now)
        return self._room(source, 1) > 0 and (
            self.probation.refill(source, now) or self._late(source, 1, now) is not None
        )

    def _room(self, source: Peer, limit: int) -> int:
        """While pieces are picked a source is asked for what it delivers within the horizon, no more: what
        waits at one owner cannot be had from another.
        """
        if not self.work.picking:
            return limit
        horizon = max(SHORTEST_HORIZON, int(self._pace(source) * HORIZON))
        return min(limit, horizon - self.outstanding.of(source))

    def _late(self, source: Peer, limit: int, now: float) -> Span | None:
        """What another source owes for long, if this one holds it."""
        length = self._geometry.piece_length
        for start, end in self.outstanding.late(source, limit, now):
            piece = start // length
            if self.work.holds(source, piece) and self.probation.may_double(source, piece, now):
                return start, min(end, (start // length + 1) * length)
        return None

    def accept(self, source: Peer, start: int, end: int, now: float) -> Sequence[Span]:
        """``source`` delivered ``[start, end)``: what of it shall be written and counted."""
        taken = self.outstanding.accept(source, start, end, now)
        if taken:
            self.probation.arrived(source, taken[0][0], now)
        return taken

    def give_back(self, spans: Iterable[Span], source: Peer | None = None) -> None:
        """Ranges that were asked of ``source`` and will not come from it; None: they came, and were wrong."""
        self.probation.give_back(spans if source is None else self.outstanding.give_back(source, spans))
