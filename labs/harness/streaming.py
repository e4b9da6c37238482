"""A swarm that plays a film while it fetches it, as flows in virtual time: which piece next?

    seed ── SEED_RATE pieces/s ──▶ node ◀── RATE pieces/s each ──▶ node     all nodes know each other

A node plays piece i at ``JOIN + PATIENCE + i`` seconds: a piece a second. A node that has everything leaves.
Uploads are shared equally by at most SLOTS fetchers; a fetcher has at most REQUESTS requests under way.
Choosing: ``choose(needed, holders, now, rng)``, see ``Choose``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

SEED_RATE, RATE = 4.0, 1.2  # pieces a second of upload
SLOTS, REQUESTS = 4, 4
PATIENCE = 20.0  # seconds from joining to the first piece that is played
WINDOW = 30  # pieces
MAX_SECONDS = 4000.0

# choose(needed, holders, now, rng) -> one of needed: the pieces that the source holds and the node misses,
# ascending. holders[piece]: how many nodes hold it. now: seconds since the node joined.
Choose = Callable[[Sequence[int], Mapping[int, int], float, random.Random], int]


def sequential(needed: Sequence[int], holders: Mapping[int, int], now: float, rng: random.Random) -> int:
    """The first one."""
    return needed[0]


def rarest(needed: Sequence[int], holders: Mapping[int, int], now: float, rng: random.Random) -> int:
    """One of those with the fewest holders."""
    by_count = dict[int, list[int]]()
    for piece in needed:
        by_count.setdefault(holders[piece], []).append(piece)
    return rng.choice(by_count[min(by_count)])


def window(needed: Sequence[int], holders: Mapping[int, int], now: float, rng: random.Random) -> int:
    """The rarest of the next WINDOW pieces to be played; else the rarest of all."""
    playing = max(now - PATIENCE, 0)
    soon = [piece for piece in needed if playing <= piece < max(playing, needed[0]) + WINDOW]
    return rarest(soon or needed, holders, now, rng)


@dataclass(frozen=True)
class Film:
    """``nodes`` join one every ``every`` seconds; 0: all together."""

    nodes: int = 40
    pieces: int = 240
    every: float = 0.0


@dataclass
class _Member:
    """A node or the seed. ``work``: pieces' worth of upload that each transfer from it has got so far."""

    number: int
    rate: float
    choose: Choose | None
    joined: float
    held: set[int] = field(default_factory=set)
    requested: set[int] = field(default_factory=set)
    came: dict[int, float] = field(default_factory=dict)
    transfers: list[tuple[float, int, int]] = field(default_factory=list)  # (work at its end, fetcher, piece)
    work: float = 0.0


class Screening:
    """One run: ``choose_for(number)`` gives the strategy of a node, from 1 on; number 0 is the seed."""

    def __init__(self, film: Film, choose_for: Callable[[int], Choose], seed: int) -> None:
        self.film = film
        self.rng = random.Random(seed)
        self.now = 0.0
        self.holders: dict[int, int] = dict.fromkeys(range(film.pieces), 1)
        everything = set(range(film.pieces))
        self.members = {0: _Member(0, SEED_RATE, None, 0.0, everything)}
        self.done: list[_Member] = []
        self._coming = [
            _Member(n, RATE, choose_for(n), (n - 1) * film.every) for n in range(film.nodes, 0, -1)
        ]

    def run(self) -> float:
        """Run until each node is complete; returns the share of (node, piece) that came in time."""
        while self._coming or len(self.members) > 1:
            if self.now > MAX_SECONDS:
                break
            self._join()
            self._request_all()
            self._advance()
        everyone = self.done + [member for member in self.members.values() if member.number]
        in_time = sum(
            member.came.get(piece, float("inf")) <= member.joined + PATIENCE + piece
            for member in everyone
            for piece in range(self.film.pieces)
        )
        return in_time / (self.film.nodes * self.film.pieces)

    @property
    def complete(self) -> int:
        """Nodes that have every piece."""
        return len(self.done)

    def _join(self) -> None:
        while self._coming and self._coming[-1].joined <= self.now + 1e-9:
            member = self._coming.pop()
            self.members[member.number] = member

    def _advance(self) -> None:
        """To the next end of a transfer, or the next node that joins."""
        first, ends = None, float("inf")
        for member in self.members.values():
            if member.transfers:
                left = member.transfers[0][0] - member.work
                when = self.now + left * len(member.transfers) / member.rate
                if when < ends:
                    first, ends = member, when
        joins = self._coming[-1].joined if self._coming else float("inf")
        until = min(ends, joins)
        if until == float("inf"):
            self.now = MAX_SECONDS + 1  # no node can receive anything more
            return
        for member in self.members.values():
            if member.transfers:
                member.work += (until - self.now) * member.rate / len(member.transfers)
        self.now = until
        if first is not None and ends <= joins:
            _, fetcher, piece = first.transfers.pop(0)
            self._arrive(self.members[fetcher], piece)

    def _arrive(self, member: _Member, piece: int) -> None:
        member.requested.discard(piece)
        member.held.add(piece)
        member.came[piece] = self.now
        self.holders[piece] += 1
        if len(member.held) == self.film.pieces:
            self._leave(member)

    def _leave(self, member: _Member) -> None:
        del self.members[member.number]
        self.done.append(member)
        for piece in member.held:
            self.holders[piece] -= 1
        for _, fetcher, piece in member.transfers:
            self.members[fetcher].requested.discard(piece)

    def _request_all(self) -> None:
        """Each node that may request something does, in random order."""
        nodes = [member for member in self.members.values() if member.choose is not None]
        self.rng.shuffle(nodes)
        sources = list(self.members.values())
        for member in nodes:
            if len(member.requested) < REQUESTS:
                self._request(member, sources)

    def _request(self, member: _Member, sources: list[_Member]) -> None:
        free = [source for source in sources if source is not member and len(source.transfers) < SLOTS]
        self.rng.shuffle(free)
        for source in free:
            if len(member.requested) >= REQUESTS:
                return
            needed = sorted(source.held - member.held - member.requested)
            if not needed:
                continue
            assert member.choose is not None
            piece = member.choose(needed, self.holders, self.now - member.joined, self.rng)
            member.requested.add(piece)
            source.transfers.append((source.work + 1.0, member.number, piece))
