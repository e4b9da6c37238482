"""Who fetches which bytes when some sources have only a part: rarest first. Pure; whoever owns it locks.

Theory of operation. A source that has nothing to ask for gets a span: a piece that it holds and that the
fewest other sources are known to hold, and its neighbours if they are as rare, up to ``SPAN`` bytes. Pieces
that are begun already come before, so that they are soon whole and can be passed on. Among equals chance
decides, so that nodes that know the same do not all choose the same; of what no partial owner is known to
hold each node takes its own turn (``turns``). When nothing is free, half of what another source has not
asked for yet is stolen, as far as the thief holds it.

Sets of pieces are integers, one bit a piece in the order of a bitfield's bytes: piece 0 is the highest bit.
So to look at a thousand pieces, or at a million, is one operation.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from common.bitfield import Bitfield
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.equal_chunks import SMALLEST_THEFT

SPAN = 1 << 18  # bytes that a source is given at a time, in whole pieces
CRUMB = 256  # bytes: a rest of a piece that small is asked for with what comes before it
ASIDE = 1.0  # seconds for which what an owner of all has sent to others is left to them
RARITIES = 8  # held by this many partial owners, or more, is all the same


class RarestFirst:
    """The bytes still to be asked for, given out by rarity. Same interface as ``EqualChunks``."""

    def __init__(
        self, missing: Iterable[tuple[int, int]], piece_length: int, size: int, rng: random.Random
    ) -> None:
        self._length, self._size = piece_length, size
        self._pieces = -(-size // piece_length)
        self._rng = rng
        self._pool = RangeSet()  # nobody's yet
        self._free = 0  # pieces with bytes in the pool
        self._begun = 0  # those of them of which other bytes are gone already
        self._chunks: dict[Peer, RangeSet] = {}
        self._held: dict[Peer, int | None] = {}  # None: everything
        self._all = (1 << self._pieces) - 1
        self._turns = [self._all]
        self.aside: dict[Peer, int] = {}  # pieces that an owner of all has just sent to others
        self._aside_until: deque[tuple[float, Peer, int]] = deque()
        self._insisted = 0  # pieces that were refused for that reason once
        self._rarities: list[int] | None = None  # pieces by how many hold them; None: to be found out
        self.give_back(missing)

    # ---- the sources

    def start(self, sources: Sequence[Peer]) -> None:
        """The first ``sources``."""
        for source in sources:
            self.join(source)

    def join(self, source: Peer) -> None:
        """A further source; it holds everything, unless ``told`` says otherwise."""
        self._chunks.setdefault(source, RangeSet())
        self._held.setdefault(source, None)

    def told(self, source: Peer, held: Bitfield | None) -> bool:
        """What ``source`` holds; None: everything. What it was given and does not hold is nobody's again:
        whether that is anything.
        """
        self._held[source] = None if held is None else self._set_of(held)
        self._rarities = None
        wrong = self._not_offered(source)
        self.give_back(wrong)
        return bool(wrong)

    def take_turns(self, turns: Sequence[int]) -> None:
        """The order among pieces that only complete owners hold: sets of pieces, first things first."""
        self._turns = [*turns, self._all]

    def leave(self, source: Peer) -> None:
        """``source`` works no more: its rest is nobody's."""
        self.give_back(self._chunks.pop(source, RangeSet()))
        self.aside.pop(source, None)
        if self._held.pop(source, None) is not None:
            self._rarities = None

    def give_back(self, spans: Iterable[tuple[int, int]]) -> None:
        """Ranges that were taken and did not come, or came wrong."""
        for start, end in spans:
            self._pool.add(start, end)
            self._look_at(start, end)

    def wants_rare(self, start: int) -> bool:
        """Whether an owner of all may refuse the piece around ``start`` if it is not rare: once, and only if
        somebody else is known who might have it.
        """
        others = any(held is not None for held in self._held.values())
        return others and not self._insisted & self._bit(start // self._length)

    def insist(self, start: int) -> None:
        """The piece around ``start`` is wanted from whoever is asked."""
        self._insisted |= self._bit(start // self._length)

    def passed_on(self, source: Peer, start: int, now: float) -> None:
        """``source``, an owner of all, has just sent the piece around ``start`` to somebody else."""
        self.insist(start)
        piece = self._bit(start // self._length)
        self.aside[source] = self.aside.get(source, 0) | piece
        self._aside_until.append((now + ASIDE, source, piece))
        self.give_back(self._not_offered(source))

    def look_at_clock(self, now: float) -> None:
        """What was left to others for long enough may be asked for again."""
        while self._aside_until and self._aside_until[0][0] <= now:
            _, source, piece = self._aside_until.popleft()
            left = self.aside.pop(source, 0) & ~piece
            if left:
                self.aside[source] = left

    def claim(self, start: int, end: int) -> list[tuple[int, int]]:
        """Take out what nobody was asked for yet of ``[start, end)``, whoever it was meant for."""
        spans = self._pool.cut(start, end)
        self._look_at(start, end)
        for chunk in self._chunks.values():
            spans += chunk.cut(start, end)
        return spans

    def rest(self, source: Peer) -> int:
        """Bytes that ``source`` has not asked for yet."""
        return self._chunks[source].total if source in self._chunks else 0

    def has(self, source: Peer, piece: int) -> bool:
        """Whether ``source`` is known to hold ``piece``."""
        return source in self._held and bool(self._holdings(source) & self._bit(piece))

    # ---- work

    def take(self, source: Peer, limit: int, seconds_left: Callable[[Peer], float]) -> tuple[int, int] | None:
        """At most ``limit`` bytes for ``source`` to ask for now; None if it holds nothing that is left."""
        if not self.refill(source, seconds_left):
            return None
        chunk = self._chunks[source]
        rest = self._length - chunk.first % self._length  # of its piece
        return chunk.take_first(rest if limit < rest <= limit + CRUMB else limit)

    def refill(self, source: Peer, seconds_left: Callable[[Peer], float]) -> bool:
        """See that ``source`` has a span if it holds anything that is left; whether it has one."""
        chunk = self._chunks.get(source)
        if chunk is None:
            return False
        if not chunk:
            self._pick(source, chunk)
        if not chunk:
            self._steal(source, chunk, seconds_left)
        return bool(chunk)

    def _pick(self, source: Peer, chunk: RangeSet) -> None:
        useful = self._free & self._offers(source)
        for alike in self._by_preference(source) if useful else ():
            if best := useful & alike:
                first = self._any_of(best)
                break
        else:
            return
        last = first + 1
        while last < self._pieces and (last + 1 - first) * self._length <= SPAN and best & self._bit(last):
            last += 1
        start, end = first * self._length, min(last * self._length, self._size)
        for span in self._pool.cut(start, end):
            chunk.add(*span)
        self._look_at(start, end)

    def _by_preference(self, source: Peer) -> Iterator[int]:
        """Sets of pieces, the best ones first."""
        yield self._begun
        rarest, *others = self._rarity()
        if self._held[source] is None:
            fresh = rarest & ~self._insisted
            for turn in self._turns:
                yield fresh & turn
            yield rarest
        yield from others

    def _rarity(self) -> list[int]:
        """Pieces that no partial owner is known to hold, then those that one holds, then two, ..."""
        if self._rarities is None:
            at_least = [self._all] + [0] * RARITIES
            for held in self._held.values():
                if held is not None:
                    for count in range(RARITIES, 0, -1):
                        at_least[count] |= at_least[count - 1] & held
            self._rarities = [a & ~b for a, b in zip(at_least, [*at_least[1:], 0], strict=True)]
        return self._rarities

    def _any_of(self, pieces: int) -> int:
        """One of ``pieces``, by chance: the first one behind a random place."""
        behind = pieces & ((1 << int(self._rng.random() * self._pieces) + 1) - 1)
        return self._pieces - (behind or pieces).bit_length()

    # ---- theft

    def _steal(self, source: Peer, chunk: RangeSet, seconds_left: Callable[[Peer], float]) -> None:
        others = [other for other, rest in self._chunks.items() if other != source and rest]
        for victim in sorted(others, key=seconds_left, reverse=True):
            rest = self._chunks[victim]
            for span in self._loot(source, rest):
                for taken in rest.cut(*span):
                    chunk.add(*taken)
            if chunk:
                return

    def _loot(self, thief: Peer, rest: RangeSet) -> list[tuple[int, int]]:
        """About half of what the thief holds of ``rest``, from its end: whole pieces if there are several."""
        holdings = self._offers(thief)
        spans = [span for span in self._by_piece(rest) if holdings & self._bit(span[0] // self._length)]
        if len(spans) > 1:
            return spans[(len(spans) + 1) // 2 :]
        if not spans:
            return []
        start, end = spans[0]
        return [(start if end - start < 2 * SMALLEST_THEFT else (start + end) // 2, end)]

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
        """What of it ``source`` shall be asked for now."""
        return self._holdings(source) & ~self.aside.get(source, 0)

    def _by_piece(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """``spans``, cut between pieces."""
        cut = []
        for start, end in spans:
            while start < end:
                boundary = min(end, (start // self._length + 1) * self._length)
                cut.append((start, boundary))
                start = boundary
        return cut

    def _not_offered(self, source: Peer) -> list[tuple[int, int]]:
        """Take out of what ``source`` was given what it shall not be asked for after all."""
        chunk = self._chunks.get(source)
        if not chunk:
            return []
        offers = self._offers(source)
        wrong = [span for span in self._by_piece(chunk) if not offers & self._bit(span[0] // self._length)]
        for span in wrong:
            chunk.cut(*span)
        return wrong

    def _look_at(self, start: int, end: int) -> None:
        """Bytes of the pool in ``[start, end)`` have changed: which of its pieces are free, which begun?"""
        first, last = start // self._length, -(-end // self._length)
        if last - first > 2 and self._pool.overlap(start, end) == [
            (start, end)
        ]:  # many at once: one operation
            inner = ((1 << (last - first - 2)) - 1) << (self._pieces - last + 1)
            self._free, self._begun = self._free | inner, self._begun & ~inner
            pieces: Iterable[int] = (first, last - 1)
        else:
            pieces = range(first, last)
        for piece in pieces:
            lowest, highest = piece * self._length, min((piece + 1) * self._length, self._size)
            here = sum(e - s for s, e in self._pool.overlap(lowest, highest))
            bit = self._bit(piece)
            self._free = self._free | bit if here else self._free & ~bit
            self._begun = self._begun | bit if 0 < here < highest - lowest else self._begun & ~bit
