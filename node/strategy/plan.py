"""Who is asked for which bytes, whatever the owners hold. Pure; whoever owns it locks.

Division      complete owners only: equal chunks, halves of the slowest one's rest (the course report's)
Picker        somebody has only a part: rarest first
Work          one of the two: a download begins with a Division, the first partial owner makes it a Picker
Outstanding   what was asked for and has not landed, under either of them
Plan          Work and Outstanding together: what the download's board asks
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.strategy import Source
from node.strategy.base import Strategy
from node.strategy.outstanding import Outstanding
from node.strategy.picker import Picker
from node.strategy.probation import Probation, Restart
from node.strategy.split import Division
from node.strategy.turns import turns

Span = tuple[int, int]
Pace = Callable[[Source], float]  # bytes a second that came from a source lately

HORIZON = 0.5  # seconds of a source's rate that it may be asked for in advance, while pieces are picked
SHORTEST_HORIZON = 1 << 17  # bytes; the same for slow sources, and to begin with


class Work:
    """The bytes that nobody was asked for yet."""

    def __init__(self, geometry: Geometry, missing: Iterable[Span], pace: Pace, seed: int) -> None:
        self._geometry = geometry
        self._pace = pace
        self._seed = seed
        begin_at = random.Random(seed).random() if seed else 0.0
        self._strategy: Strategy = Division(missing, geometry.piece_length, begin_at)
        self._picker: Picker | None = None
        self._sources: dict[Source, None] = {}
        self._members: frozenset[int] = frozenset()

    @property
    def picking(self) -> bool:
        """Whether pieces are picked by rarity."""
        return self._picker is not None

    # ---- sources

    @property
    def sources(self) -> Collection[Source]:
        """Those that work."""
        return self._sources

    def start(self, sources: Sequence[Source]) -> None:
        """The first ``sources``, which are believed to hold everything until ``told`` says otherwise."""
        self._sources.update(dict.fromkeys(sources))
        if sources:
            self._strategy.start(sources)

    def join(self, source: Source) -> None:
        """A further source; the same is believed of it."""
        self._sources[source] = None
        self._strategy.join(source)

    def leave(self, source: Source) -> None:
        """``source`` works no more; the others get its rest."""
        self._sources.pop(source, None)
        self._strategy.leave(source)

    def told(self, source: Source, held: Bitfield | None) -> bool:
        """What ``source`` holds; None: everything. Whether others have more to choose from than before."""
        if source not in self._sources:
            return False
        begins = held is not None and self._picker is None
        if begins:
            self._picker = self._strategy = self._begin_to_pick()
        return (self._picker is not None and self._picker.told(source, held)) or begins

    def members(self, node_ids: Iterable[int]) -> None:
        """The partial owners known: with them we take turns at what only complete ones hold."""
        members = frozenset(node_ids)
        if members != self._members:
            self._members = members
            if self._picker is not None:
                self._take_turns(self._picker)

    def _take_turns(self, picker: Picker) -> None:
        picker.take_turns(turns(self._seed, self._members, self._geometry.piece_count))

    def _begin_to_pick(self) -> Picker:
        """Everything that nobody was asked for yet is nobody's again."""
        geometry = self._geometry
        rest = RangeSet(self._strategy.claim(0, geometry.size))
        picker = Picker(rest, geometry.piece_length, geometry.size, random.Random(self._seed))
        picker.start(list(self._sources))
        self._take_turns(picker)
        return picker

    # ---- bytes

    def take(self, source: Source, limit: int) -> Span | None:
        """At most ``limit`` bytes for ``source``; None if it finds none."""
        return self._strategy.take(source, limit, self._seconds_left)

    def refill(self, source: Source) -> bool:
        """Whether ``take`` would find some."""
        return self._strategy.refill(source, self._seconds_left)

    def _seconds_left(self, source: Source) -> float:
        return self._strategy.rest(source) / (self._pace(source) + 1)

    def wants_rare(self, start: int) -> bool:
        """Whether the piece around ``start`` is only wanted from an owner of all if it is rare."""
        return self._picker is not None and self._picker.wants_rare(start)

    def passed_on(self, source: Source, start: int, now: float) -> None:
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

    def holds(self, source: Source, piece: int) -> bool:
        """Whether ``source`` has ``piece`` to give, as far as it has told."""
        return self._strategy.has(source, piece)

    def rest(self, source: Source) -> int:
        """Bytes that ``source`` was given and has not asked for yet."""
        return self._strategy.rest(source)


class Plan:
    """All that is still to come of one download, and who shall deliver it."""

    def __init__(
        self,
        geometry: Geometry,
        missing: Iterable[Span],
        pace: Pace,
        seed: int = 0,
        restart: Restart = lambda piece: (),
    ) -> None:
        """``seed``: the node's id; nodes with different ones choose differently among equals.

        ``restart(piece)`` throws away what has come of it, and says which bytes that was.
        """
        self._geometry = geometry
        self._pace = pace
        self.work = Work(geometry, missing, pace, seed)
        self.probation = Probation(geometry, self.work, restart)
        self.outstanding = Outstanding(geometry.size)

    def leave(self, source: Source) -> None:
        """``source`` works no more; the others get its rest."""
        self.work.leave(source)
        self.probation.leave(source)

    def suspects(self) -> int:
        """How many of those who work delivered a piece together that somebody else should deliver now."""
        return self.probation.suspects(self.work.sources)

    def wants_rare(self, source: Source, start: int) -> bool:
        """Whether ``source``, who holds all, may refuse the piece around ``start`` if it is not rare.

        Once for each piece: who asks again means it. And not the first piece of a new owner: it is its trial.
        """
        return self.work.wants_rare(start) and self.probation.trusts(source)

    def passed_on(self, source: Source, spans: Sequence[Span], now: float) -> None:
        """``source`` was asked for these, and has just sent the piece that they begin in to somebody else."""
        if spans:
            self.work.passed_on(source, spans[0][0], now)
        self.give_back(spans, source)

    def time_helps(self, now: float) -> bool:
        """Whether there may be something to take later although nothing else happens."""
        return bool(self.outstanding) or self.work.aside or self.probation.waiting(now)

    def take(self, source: Source, limit: int, now: float) -> Span | None:
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

    def has_work(self, source: Source, now: float) -> bool:
        """Whether ``take`` would find anything."""
        self.work.look_at_clock(now)
        return self._room(source, 1) > 0 and (
            self.probation.refill(source, now) or self._late(source, 1, now) is not None
        )

    def _room(self, source: Source, limit: int) -> int:
        """While pieces are picked a source is asked for what it delivers within the horizon, no more: what
        waits at one owner cannot be had from another.
        """
        if not self.work.picking:
            return limit
        horizon = max(SHORTEST_HORIZON, int(self._pace(source) * HORIZON))
        return min(limit, horizon - self.outstanding.of(source))

    def _late(self, source: Source, limit: int, now: float) -> Span | None:
        """What another source owes for long, if this one holds it."""
        length = self._geometry.piece_length
        for start, end in self.outstanding.late(source, limit, now):
            piece = start // length
            if self.work.holds(source, piece) and self.probation.may_double(source, piece, now):
                return start, min(end, (start // length + 1) * length)
        return None

    def accept(self, source: Source, start: int, end: int, now: float) -> Sequence[Span]:
        """``source`` delivered ``[start, end)``: what of it shall be written and counted."""
        taken = self.outstanding.accept(source, start, end, now)
        if taken:
            self.probation.arrived(source, taken[0][0], now)
        return taken

    def give_back(self, spans: Iterable[Span], source: Source | None = None) -> None:
        """Ranges that were asked of ``source`` and will not come from it; None: they came, and were wrong."""
        self.probation.give_back(spans if source is None else self.outstanding.give_back(source, spans))
