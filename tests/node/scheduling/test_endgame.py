"""The end of a download from peers with deep queues: stalled and slow ones do not hold it up."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer import Peer
from node.scheduling.endgame import BLOCK, LAST_SILENT_SECONDS, LOOK_PAUSE, MIN_GAIN, SILENT_SECONDS, Endgame
from node.scheduling.pending import ENDGAME_FRACTION, PendingRequests
from node.scheduling.scheduler import Scheduler

A, B, C, D = (Peer(f"192.0.2.{number}", 6881, "tcp") for number in range(1, 5))
UDP = Peer("192.0.2.9", 9, "udp", 9)
SIZE = 100 << 20
PIECE = 1 << 18
QUEUE = 256  # blocks requested at a time


class Queues:
    """Requests in progress, and the rates of their sources."""

    def __init__(self, **rates: float) -> None:
        self.pending = PendingRequests(SIZE)
        self.rates = {peer: rates.get(name, 1e6) for name, peer in zip("ABCD", (A, B, C, D), strict=True)}
        self.endgame = Endgame(self.pending, lambda peer: self.rates.get(peer, 1e6), SIZE)
        self.now = 0.0

    def owes(self, source: Peer, first: int, count: int) -> None:
        """``source`` owes ``count`` blocks from block ``first`` on, each requested alone."""
        for block in range(first, first + count):
            self.pending.request(source, block * BLOCK, (block + 1) * BLOCK, self.now)

    def take(self, thief: Peer, last: bool = False, alive: str = "ABCD") -> tuple[int, int] | None:
        """Blocks ``[first, last)`` that ``thief`` is asked for; ``alive``: all that take part."""
        sources = [peer for name, peer in zip("ABCD", (A, B, C, D), strict=True) if name in alive]
        for takeover in self.endgame.takeovers(thief, sources, QUEUE * BLOCK, last, self.now):
            start, end, is_safe = takeover.start, takeover.end, takeover.is_safe
            self.endgame.found(thief)
            self.pending.request_again(thief, start, end, self.now, is_safe)
            return start // BLOCK, -(-end // BLOCK)
        return None


def test_an_idle_source_takes_the_tail_of_the_slowest_queue() -> None:
    queues = Queues(A=1e5, B=1e6, C=1e6)
    queues.owes(A, 0, 100)
    queues.owes(B, 200, 100)
    taken = []
    while (span := queues.take(C)) is not None:
        taken.append(span)
    assert taken[0][1] == 100, "the last block of A first"
    slow = sum(last - first for first, last in taken if last <= 100)
    assert 60 <= slow <= 95, "most of a queue that is ten times slower, but not its head"
    assert queues.pending.budget_left == queues.pending.budget, "a tail hardly arrives twice"


def test_a_queue_that_is_done_soon_is_left_alone() -> None:
    queues = Queues()
    queues.owes(A, 0, int(MIN_GAIN * 1e6 / BLOCK))
    assert queues.take(B) is None
    queues.now += LOOK_PAUSE
    assert queues.take(B, last=True) is not None, "but not at the very end"


def test_a_busy_source_takes_nothing_of_an_equally_long_queue() -> None:
    queues = Queues()
    queues.owes(A, 0, 100)
    queues.owes(B, 200, 100)
    assert queues.take(B) is None


def test_requests_at_a_silent_source_are_shared_by_all_others() -> None:
    queues = Queues()
    queues.owes(A, 0, 90)
    queues.now = SILENT_SECONDS + 0.1
    counts = Counter[Peer]()
    for thief in (B, C, D):
        while (span := queues.take(thief)) is not None:
            counts[thief] += span[1] - span[0]
    assert sum(counts.values()) == 90 and 25 <= min(counts.values()) <= max(counts.values()) <= 40
    assert queues.pending.is_stalled(A) and queues.take(A) is None


def test_a_source_that_delivers_again_is_stalled_no_longer() -> None:
    queues = Queues()
    queues.owes(A, 0, 4)
    queues.now = LAST_SILENT_SECONDS + 3 * BLOCK / 1e6 + 0.01
    assert queues.take(B, last=True) is not None and queues.pending.is_stalled(A)
    assert queues.pending.accept(A, 0, BLOCK, queues.now).ranges
    assert not queues.pending.is_stalled(A)


def test_bytes_of_two_stalled_sources_go_to_a_third() -> None:
    """B took them over from A and stalled as well: no byte waits for both."""
    queues = Queues()
    queues.owes(A, 0, 4)
    queues.now = SILENT_SECONDS + 0.1
    while queues.take(B, alive="AB") is not None:
        pass
    assert queues.pending.of(B) == 4 * BLOCK
    queues.now += SILENT_SECONDS + 0.1
    blocks = set()
    while (span := queues.take(C, alive="ABC")) is not None:
        blocks |= set(range(*span))
    assert blocks == {0, 1, 2, 3}
    accepted = queues.pending.accept(C, 0, 4 * BLOCK, queues.now)
    assert accepted.ranges == [(0, 4 * BLOCK)]
    assert Counter(peer for peer, _ in accepted.cancels) == {A: 1, B: 1}
    assert queues.pending.accept(A, 0, BLOCK, queues.now).ranges == [] and queues.pending.wasted == BLOCK


def test_what_a_source_gives_back_is_free_only_if_none_of_three_owes_it() -> None:
    pending = PendingRequests(SIZE)
    pending.request(A, 0, 100, 0.0)
    pending.request_again(B, 0, 60, 0.0, is_safe=True)
    pending.request_again(C, 20, 60, 0.0)
    assert pending.give_back(B, [(0, 60)]) == []
    accepted = pending.accept(C, 20, 60, 0.0)
    assert accepted.ranges == [(20, 60)] and accepted.cancels == [(A, (20, 60))]
    assert pending.give_back(A, [(0, 100)]) == [(0, 20), (60, 100)]
    assert not pending


def test_heads_are_requested_twice_at_the_very_end_only_and_within_the_budget() -> None:
    queues = Queues()
    queues.owes(A, 0, QUEUE)
    queues.owes(B, QUEUE, QUEUE)
    twice = 0
    while (span := queues.take(C, last=True)) is not None:
        twice += span[1] - span[0]
    assert queues.pending.budget_left == pytest.approx(ENDGAME_FRACTION * SIZE / 2, abs=BLOCK)
    assert twice > QUEUE / 2, "tails, then heads"


def test_the_classroom_transport_keeps_its_own_rule() -> None:
    queues = Queues()
    queues.pending.request(UDP, 0, 100 * BLOCK, 0.0)
    queues.now = SILENT_SECONDS + 0.1
    assert queues.take(A) is None
    assert next(iter(queues.pending.overdue(A, BLOCK, queues.now)), None) == (0, BLOCK)


def test_a_stalled_source_gets_one_block_at_a_time() -> None:
    scheduler = Scheduler(Geometry(4 * PIECE, PIECE), Bitfield(4), 0.0)
    scheduler.start([A, B])
    for source in (A, B):  # one piece proves each
        span = scheduler.take(source, PIECE, 0.0)
        assert span is not None
        scheduler.accept(source, span.start, span.end, 0.0)
        (piece,) = scheduler.arrived(source, span.start, span.end)
        scheduler.piece_passed(piece)
    first = scheduler.take(A, PIECE, 0.0)
    own = scheduler.take(B, PIECE, 0.0)
    assert first is not None and own is not None
    scheduler.accept(B, own.start, own.end, 2.5)
    while (span := scheduler.take(B, BLOCK, 2.6)) is not None:
        scheduler.accept(B, span.start, span.end, 2.6)
    scheduler.give_back(A, [(first.start, first.start + PIECE)])
    scheduler.give_back(B, [(0, 0)])
    assert scheduler.take(A, PIECE, 2.7) is None, "all is here"


@pytest.mark.parametrize("seed", range(2))
def test_every_byte_arrives_once_from_fifty_peers_with_deep_queues(seed: int) -> None:
    """256 blocks each; a fifth of the peers stall, the rest differ in speed by a factor of 100."""
    chance = random.Random(seed)
    peers = [Peer(f"192.0.2.{number}", 6881, "tcp") for number in range(50)]
    rates = {peer: 10 ** chance.uniform(5, 7) for peer in peers}
    stalls = {peer: chance.uniform(0, 2) if chance.random() < 0.2 else 1e9 for peer in peers}
    geometry = Geometry(32 << 20, PIECE)
    now = 0.0
    scheduler = Scheduler(geometry, Bitfield(geometry.piece_count), now, rate_of=lambda peer: rates[peer])
    scheduler.start(peers)
    queues: dict[Peer, list[tuple[int, int]]] = {peer: [] for peer in peers}
    progress = dict.fromkeys(peers, 0.0)
    while not scheduler.complete and now < 60:
        now += 0.02
        for peer in peers:
            room = QUEUE * BLOCK - sum(end - start for start, end in queues[peer])
            while room >= BLOCK and (span := scheduler.take(peer, room, now)) is not None:
                queues[peer].append((span.start, span.end))
                room -= span.end - span.start
            if now > stalls[peer]:
                continue
            progress[peer] += rates[peer] * 0.02
            while queues[peer] and progress[peer] >= BLOCK:
                progress[peer] -= BLOCK
                start, end = queues[peer].pop(0)
                if start + BLOCK < end:
                    queues[peer].insert(0, (start + BLOCK, end))
                    end = start + BLOCK
                accepted = scheduler.accept(peer, start, end, now)
                for other, (first, last) in accepted.cancels:
                    queues[other] = [
                        part
                        for a, b in queues[other]
                        for part in ((a, min(b, first)), (max(a, last), b))
                        if part[0] < part[1]
                    ]
                for first, last in accepted.ranges:
                    for piece in scheduler.arrived(peer, first, last):
                        scheduler.piece_passed(piece)
            progress[peer] = min(progress[peer], BLOCK * 4)
    assert scheduler.complete
    assert scheduler.wasted <= ENDGAME_FRACTION * geometry.size
    alive = sum(rate for peer, rate in rates.items() if stalls[peer] > 10)
    assert now <= 2.5 + 1.5 * geometry.size / alive
