"""The owners of one file, best first, however many there are.

Theory of operation. A list in order of rank gives the best few at once; but to put one more into a list of
50,000 moves half of them. So the list is cut into blocks of up to 2 * BLOCK, as B-trees cut theirs: a step
of bisection finds the block, another the place, and little moves. As long as there is one block only, which
is so for nearly all files, it is not even kept in order, but sorted when somebody asks.

A node that leaves is not looked for in the lists of all its files: it is marked ``gone``, its files' lists
count it, and it is dropped from a block when that is looked at, or when a quarter of the list is gone. So
a thousand nodes that fall silent at once keep nobody waiting.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice
from operator import attrgetter

from common.messages import OwnedFile
from tracker.model import Found
from tracker.nodes import Owned
from tracker.ranking import Rank

BLOCK = 512  # entries in a block, about
SPARE = 32  # entries drawn beyond twice what is wanted, where up to a quarter may be gone

_rank = attrgetter("node.rank")


def _last_rank(block: list[Owned]) -> Rank:
    return block[-1].node.rank


class RankedOwners:
    """Entries in order of their nodes' ranks, the lowest first."""

    __slots__ = ("_blocks", "_size", "_gone", "_in_order", "_turn")

    def __init__(self, entries: Sequence[Owned] = ()) -> None:
        """``entries``: those that are there at first."""
        self._blocks: list[list[Owned]] = [[*entries]]  # none empty but the only one
        self._size = len(entries)  # entries, gone ones too
        self._gone = 0
        self._in_order = False  # if there is one block
        self._turn = 0  # which block is looked through next for those that are gone
        if len(entries) >= 2 * BLOCK:
            self._spread()

    def __len__(self) -> int:
        return self._size - self._gone

    def __iter__(self) -> Iterator[Owned]:
        """All of them, in no order, gone ones too: the caller looks at ``node.gone``."""
        return chain.from_iterable(self._blocks)

    def add(self, entry: Owned) -> None:
        """One more."""
        self._size += 1
        if len(self._blocks) == 1:
            self._blocks[0].append(entry)
            self._in_order = False
            self._cut(0)
            return
        index = self._block_for(entry.node.rank)
        insort(self._blocks[index], entry, key=_rank)
        self._cut(index)

    def extend(self, entries: list[Owned]) -> None:
        """Many more, at once."""
        self._size += len(entries)
        self._blocks = [[*chain.from_iterable(self._blocks), *entries]]
        self._in_order = False
        if len(self._blocks[0]) >= 2 * BLOCK:
            self._spread()

    def remove(self, entry: Owned) -> None:
        """One less; its rank is what it was when it came."""
        self._size -= 1
        if len(self._blocks) == 1:
            self._blocks[0].remove(entry)
            return
        rank = entry.node.rank
        index = self._block_for(rank)
        place = bisect_left(self._blocks[index], rank, key=_rank)
        while True:
            block = self._blocks[index]
            while place < len(block):
                if block[place] is entry:
                    del block[place]
                    self._mend(index)
                    return
                place += 1
            index, place = index + 1, 0

    def lift(self, entry: Owned) -> bool:
        """The rank of the entry's node is about to change; whether the entry must be added again then."""
        if len(self._blocks) == 1:
            self._in_order = False
            return False
        self.remove(entry)
        return True

    def mourn(self) -> None:
        """One of the entries' nodes is ``gone``."""
        self._gone += 1
        if self._gone * 4 > self._size:
            self._turn = (self._turn + 1) % len(self._blocks)
            self._clean(self._turn)

    def best(self, limit: int) -> list[Owned]:
        """The first ``limit``."""
        self._put_in_order()
        while True:
            found = list(islice(self, limit))
            if not (self._gone and any(entry.node.gone for entry in found)):
                return found
            self._clean_front(limit)

    def draw(self, limit: int, rng: random.Random) -> list[Owned]:
        """Any ``limit``, each as likely as the others."""
        if len(self._blocks) == 1:
            self._clean(0)
            return rng.sample(self._blocks[0], min(limit, self._size))
        wanted = limit if not self._gone else 2 * limit + SPARE
        ends = list(accumulate(map(len, self._blocks)))
        found = []
        for place in rng.sample(range(self._size), min(wanted, self._size)):
            index = bisect_right(ends, place)
            entry = self._blocks[index][place - ends[index]]
            if not entry.node.gone:
                found.append(entry)
        return found[:limit]

    def _block_for(self, rank: Rank) -> int:
        return min(bisect_left(self._blocks, rank, key=_last_rank), len(self._blocks) - 1)

    def _put_in_order(self) -> None:
        if not self._in_order and len(self._blocks) == 1:
            self._blocks[0].sort(key=_rank)
        self._in_order = True

    def _spread(self) -> None:
        """Make blocks of a single one that is too long."""
        together = self._blocks[0]
        together.sort(key=_rank)
        self._blocks = [together[start : start + BLOCK] for start in range(0, len(together), BLOCK)]

    def _cut(self, index: int) -> None:
        """Halve a block that has grown too long."""
        block = self._blocks[index]
        if len(block) < 2 * BLOCK:
            return
        self._put_in_order()
        self._blocks[index : index + 1] = [block[:BLOCK], block[BLOCK:]]

    def _mend(self, index: int) -> None:
        """Join a block that has become short with the next one."""
        blocks = self._blocks
        if len(blocks) > 1 and len(blocks[index]) < BLOCK // 2:
            first = min(index, len(blocks) - 2)
            blocks[first : first + 2] = [blocks[first] + blocks[first + 1]]
            self._cut(first)

    def _clean(self, index: int) -> None:
        """Drop from a block who is gone."""
        if not self._gone:
            return
        block = self._blocks[index]
        kept = [entry for entry in block if not entry.node.gone]
        dropped = len(block) - len(kept)
        if dropped:
            self._blocks[index] = kept
            self._size -= dropped
            self._gone -= dropped
            self._mend(index)

    def _clean_front(self, limit: int) -> None:
        """Drop who is gone from the blocks that the first ``limit`` are in."""
        index = seen = 0
        while seen < limit and index < len(self._blocks):
            seen += len(self._blocks[index])
            index += 1
        for block in reversed(range(index)):
            if block < len(self._blocks):
                self._clean(block)


class FileOwners:
    """Who has a file: all of it, or a part."""

    __slots__ = ("whole", "partial", "standing", "told")

    def __init__(self) -> None:
        self.told: tuple[int, Found] | None = None  # limit and answer, until anything in it may have changed
        self.standing = 0  # how many there were when ``Largest`` was told last
        self.whole: RankedOwners | None = None
        self.partial: RankedOwners | None = None

    def __len__(self) -> int:
        whole, partial = self.whole, self.partial  # no ``or``: it would ask for their lengths as well
        return (0 if whole is None else len(whole)) + (0 if partial is None else len(partial))

    def add(self, entry: Owned) -> None:
        """One more."""
        self.told = None
        side = self.side(entry)
        if side is not None:
            side.add(entry)
        else:
            self.extend([entry])

    def extend(self, entries: list[Owned]) -> None:
        """Many more, that all have the whole file or all a part of it."""
        if not entries:
            return
        self.told = None
        side = self.side(entries[0])
        if side is not None:
            side.extend(entries)
        elif entries[0].file.complete:
            self.whole = RankedOwners(entries)
        else:
            self.partial = RankedOwners(entries)

    def drop(self, entry: Owned) -> None:
        """One less."""
        self.told = None
        side = self.side(entry)
        if side is not None:
            side.remove(entry)

    def mourn(self, entry: Owned) -> None:
        """The entry's node is gone."""
        self.told = None
        side = self.side(entry)
        if side is not None:
            side.mourn()

    def any_file(self) -> OwnedFile:
        """As some owner describes it."""
        some = chain(self.whole or (), self.partial or ())
        return next(entry.file for entry in some if not entry.node.gone)

    def described(self, file: OwnedFile) -> OwnedFile:
        """``file``, or what is equal to it and is there already: descriptions take much room."""
        side = self.whole if file.complete else self.partial
        known = next(iter(side or ()), None)
        return known.file if known is not None and known.file == file else file

    def side(self, entry: Owned) -> RankedOwners | None:
        """Those who own as much as the entry's node."""
        return self.whole if entry.file.complete else self.partial

    def entries(self) -> list[Owned]:
        """All of them, those of nodes that are gone too."""
        return [*(self.whole or ()), *(self.partial or ())]

    def choose(self, limit: int, drawn: bool, rng: random.Random) -> list[Owned]:
        """The best ``limit``, or any if they are ``drawn``; behind those who have all, any who have a part.

        The latters' merits say little, as they have just begun; and if all nodes were told the same few, all
        would ask these.
        """
        found: list[Owned] = []
        if self.whole:
            found = self.whole.draw(limit, rng) if drawn else self.whole.best(limit)
        if len(found) < limit and self.partial:
            found = found + self.partial.draw(limit - len(found), rng)
        return found

    def tell(self, limit: int, drawn: bool, rng: random.Random) -> Found:
        """What NEED is answered; ``told`` has it where nothing is left to chance."""
        if self.told is not None and self.told[0] == limit:
            return self.told[1]
        best = self.choose(limit, drawn, rng)
        name = best[0].file.filename if best else None
        found = Found(tuple([entry.entry() for entry in best]), len(self), name)
        if not drawn and (not self.partial or len(self.whole or ()) >= limit):
            self.told = limit, found
        return found
