"""One seed and N nodes that start together, in virtual time: how near do the decisions come to the bound?

The boards, plans, candidates and slots are the real ones. Networks and disks are not: an owner sends portions
to those it serves in turn, at its upload rate; what it sends arrives a moment later.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable

import pytest

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.messages import OwnerEntry
from node.chunk_udp.slots import Slots
from node.download.board import Board
from node.download.candidates import Candidate, Candidates
from node.download.crew import MAX_LINES, ROTATION
from node.download.search import Patience
from node.strategy import Source

PORTION = 32 * 1024  # bytes that an owner sends at a time
REQUEST = 64 * 1024  # bytes
WINDOW = 256 * 1024  # bytes that a fetcher awaits from one owner at a time
DELAY = 0.01  # seconds from owner to fetcher, and back
VERIFYING = 0.02  # seconds
ANNOUNCING = 0.25  # seconds from the first verified piece until the tracker knows
NEWS = 1.0  # seconds between two questions what an owner holds
LOOK = 0.25  # seconds between two looks of a coordinator
SLOTS, COMPLETE_OWNERS, PARTIAL_OWNERS = 16, 3, 8
SEED = 0


class World:
    """What happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._number = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._number), event))

    def run(self, until: Callable[[], bool]) -> None:
        while self._events and not until():
            self.now, _, event = heapq.heappop(self._events)
            event()


class Swarm:
    """A seed, nodes and a tracker."""

    def __init__(self, nodes: int, geometry: Geometry, upload: float, seed: int) -> None:
        self.world = World()
        self.geometry = geometry
        self.rng = random.Random(seed)
        self.announced: set[int] = {SEED}
        self.peers = [Peer(self, number, upload) for number in range(nodes + 1)]
        self.ends: list[float] = []
        for peer in self.peers[1:]:
            self.world.after(self.rng.uniform(0, 0.05), peer.begin)

    def entries(self) -> list[OwnerEntry]:
        whole = [n for n in self.announced if self.peers[n].complete]
        part = [n for n in self.announced if not self.peers[n].complete]
        self.rng.shuffle(part)
        return [OwnerEntry(n, ("10.0.0.1", 1 + n), 0, None, n in whole) for n in [*whole, *part]]

    def run(self) -> float:
        nodes = len(self.peers) - 1
        self.world.run(lambda: len(self.ends) == nodes or self.world.now > 1000)
        assert len(self.ends) == nodes
        return self.ends[-1]


class Line:
    """One node's connection to one owner."""

    def __init__(self, node: Peer, owner: Peer, candidate: Candidate) -> None:
        self.node, self.owner, self.candidate = node, owner, candidate
        self.key: Source = (candidate.node_id, candidate.addr)
        self.addr = ("10.0.0.1", 10_000 + 1000 * node.number + owner.number)  # the fetcher's
        self.requests: deque[tuple[int, int]] = deque()
        self.open = True

    def ask(self) -> None:
        """What do you hold? Again and again."""
        if not self.open or self.node.complete:
            return
        admission = self.owner.slots.admit(self.addr, b"", False, self.node.world.now)
        if admission.displaced is not None:
            self.owner.displace(admission.displaced)
        if admission.place != 0:
            if not self.candidate.place:
                self.node.board.leave(self.key)
            self.candidate.place = admission.place or 99
        else:
            if self.candidate.place:
                self.candidate.place = 0
                self.node.board.join(self.key)
            self.node.board.told(self.key, None if self.owner.complete else self.owner.held.copy())
            self.fill()
        self.node.world.after(NEWS, self.ask)

    def fill(self) -> None:
        """Ask for as much as the board wants of it."""
        node, now = self.node, self.node.world.now
        if not self.open or self.candidate.place or node.complete:
            return
        while sum(end - start for start, end in self.requests) < WINDOW:
            span = node.board.take(self.key, REQUEST)
            if span is None:
                return
            if self.owner.slots.admit(self.addr, b"", True, now).place != 0:
                node.board.give_back([span], self.key)
                return
            self.requests.append(span)
            self.owner.wants(self)

    def portion(self) -> tuple[int, int]:
        start, end = self.requests.popleft()
        if end - start > PORTION:
            self.requests.appendleft((start + PORTION, end))
        return start, min(end, start + PORTION)


class Peer:
    """A node, or the seed: fetches and serves."""

    def __init__(self, swarm: Swarm, number: int, upload: float) -> None:
        self.swarm, self.world, self.number, self.upload = swarm, swarm.world, number, upload
        pieces = swarm.geometry.piece_count
        self.held = Bitfield(pieces) if number else Bitfield.full(pieces)
        self.board = Board(swarm.geometry, self.held, number, lambda: swarm.world.now)
        self.slots = Slots(SLOTS)
        self.candidates = Candidates(number)
        self.patience = Patience(60.0, 0.0)
        self.lines: dict[Source, Line] = {}
        self.served: deque[Line] = deque()  # who wants something, in turn
        self.sending = False
        self.sent = 0
        self.divided = False
        self.rotate_at = ROTATION

    @property
    def complete(self) -> bool:
        return self.held.all()

    # ---- as an owner

    def wants(self, line: Line) -> None:
        if line not in self.served:
            self.served.append(line)
        if not self.sending:
            self.sending = True
            self.world.after(DELAY, self.send)

    def displace(self, addr: tuple[str, int]) -> None:
        for line in list(self.served):
            if line.addr == addr:
                self.served.remove(line)
                spans, line.requests = list(line.requests), deque()
                line.node.board.give_back(spans, line.key)

    def send(self) -> None:
        while self.served and not self.served[0].requests:
            self.served.popleft()
        self.sending = bool(self.served)
        if not self.served:
            return
        line = self.served[0]
        self.served.rotate(-1)
        span = line.portion()
        self.sent += span[1] - span[0]
        seconds = (span[1] - span[0]) / self.upload
        self.world.after(seconds + DELAY, lambda: line.node.received(line, *span))
        self.world.after(seconds, self.send)

    # ---- as a fetcher

    def begin(self) -> None:
        self.need()
        self.look()

    def need(self) -> None:
        self.candidates.named(self.swarm.entries())
        self.board.members(self.candidates.partial_ids())

    def look(self) -> None:
        """What the coordinator does."""
        if self.complete:
            return
        now = self.world.now
        self.board.tick()
        chosen = []
        for partial, limit in ((False, COMPLETE_OWNERS), (True, PARTIAL_OWNERS)):
            ours = [line for line in self.lines.values() if line.candidate.partial == partial]
            working = sum(not line.candidate.place for line in ours)
            free = min(limit - working, limit + MAX_LINES - len(ours))
            chosen += self.candidates.choose(max(0, free), now, False, partial)
            if working < limit and self.patience.wants_more(now):
                self.need()
        self.rotate(now)
        for candidate in chosen:
            self.engage(candidate)
        for line in self.lines.values():
            line.fill()
        self.world.after(LOOK, self.look)

    def rotate(self, now: float) -> None:
        """The slowest one makes room for another one, as in ``Crew``."""
        if now < self.rotate_at or not self.candidates.are_there(True, now):
            return
        self.rotate_at = now + ROTATION
        working = [x for x in self.lines.values() if x.candidate.partial and not x.candidate.place]
        if len(working) < PARTIAL_OWNERS:
            return
        slowest = min(working, key=lambda line: self.board.meter(line.key).rate)
        slowest.open = False
        del self.lines[slowest.key]
        spans, slowest.requests = list(slowest.requests), deque()
        self.board.release(slowest.key)
        self.board.give_back(spans, slowest.key)
        slowest.candidate.rest_until = now + ROTATION
        Candidates.released(slowest.candidate)

    def engage(self, candidate: Candidate) -> None:
        line = Line(self, self.swarm.peers[candidate.node_id], candidate)
        self.lines[line.key] = line
        if not self.divided and not candidate.partial:
            self.divided = True
            self.board.start([line.key])
        self.board.join(line.key)
        if candidate.partial:
            self.board.told(line.key, self.board.nothing())
        self.world.after(2 * DELAY, line.ask)

    def received(self, line: Line, start: int, end: int) -> None:
        if self.complete:
            return
        for first, last in self.board.accept(line.key, start, end):
            for piece in self.board.arrived(line.key, first, last):
                self.world.after(VERIFYING, lambda piece=piece: self.verified(piece))  # type: ignore[misc]
        line.fill()

    def verified(self, piece: int) -> None:
        self.board.right(piece)
        if self.held.count == 1:
            self.world.after(ANNOUNCING, lambda: self.swarm.announced.add(self.number))
        if self.complete:
            self.swarm.ends.append(self.world.now)
            for line in self.lines.values():
                line.open = False
                line.requests.clear()


def ratio(nodes: int, seed: int) -> tuple[float, float]:
    """Last completion by the bound; what the seed sent by the file."""
    size, upload = 64 << 20, 4e6
    swarm = Swarm(nodes, Geometry(size, 64 * 1024), upload, seed)
    last = swarm.run()
    bound = max(size / upload, nodes * size / (upload * (nodes + 1)))
    return last / bound, swarm.peers[SEED].sent / size


@pytest.mark.parametrize("nodes", [10, 20])
def test_all_have_the_file_soon_after_the_seed_could_have_sent_it_once(nodes: int) -> None:
    last, sent = ratio(nodes, seed=1)
    assert 1.0 <= last <= 1.3
    assert sent < 1.3


if __name__ == "__main__":
    import sys

    for nodes in map(int, sys.argv[1:]):
        print(nodes, *(f"{a:.2f}/{b:.2f}" for a, b in (ratio(nodes, seed) for seed in range(3))))
