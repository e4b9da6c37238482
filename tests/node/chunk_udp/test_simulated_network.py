"""A thousand transfers over bad networks in virtual time: all identical, none hangs, no byte comes twice.

Real connections and real answers, joined by ``faults.Link`` both ways; a heap of events is the clock.
Nothing sleeps, and a seed says all: ``run(Scenario.of(seed))`` repeats a failure exactly.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from common.errors import OwnerFault
from common.ranges import RangeSet
from faults.link import Link, LinkFaults
from node.chunk_udp import wire
from node.chunk_udp.answers import Answerer, SendChunk
from node.chunk_udp.congestion import CONTROLLERS, make_controller
from node.chunk_udp.connection import FetchConnection, State
from node.chunk_udp.facts import Arrived, Terms
from node.chunk_udp.tokens import TokenMint

TRANSFERS, BATCHES = 1000, 20
INFO_HASH = bytes(range(20))
MOST_SECONDS = 60.0  # of virtual time, and
SLOWEST = 2000.0  # bytes a second: Reno's or CUBIC's due over 1 s of round trip with 30 % of loss
MOST_EVENTS = 60_000
MOST_FAULTS = 60  # connections that may fail (silence under heavy loss) before a transfer counts as hanging


@dataclass(frozen=True)
class Scenario:
    """Everything that decides a run; printed when one fails."""

    seed: int
    size: int
    segment_size: int
    owners: int
    controller: str
    begins_at: float  # on the virtual clock: tokens expire at multiples of 30
    restart_after: float | None  # seconds after which the first owner comes back with another secret
    requests: LinkFaults
    answers: LinkFaults

    @classmethod
    def of(cls, seed: int) -> Scenario:
        """The scenario that ``seed`` stands for."""
        chance = random.Random(seed)
        segment_size = chance.choice([512, 1200, 1400, 4000])
        return cls(
            seed,
            size=int(2 ** chance.uniform(0, 19.5)),
            segment_size=segment_size,
            owners=chance.choice([1, 1, 2, 3]),
            controller=chance.choice(sorted(CONTROLLERS)),
            begins_at=chance.choice([0.0, 29.9, chance.uniform(0, 1000)]),
            restart_after=chance.choice([None, None, chance.uniform(0, 1)]),
            requests=bad_network(chance, segment_size),
            answers=bad_network(chance, segment_size),
        )


def bad_network(chance: random.Random, segment_size: int) -> LinkFaults:
    """Anything from a clean path to a terrible one; each fault is there in half of all."""

    def perhaps(most: float) -> float:
        return chance.choice([0.0, chance.uniform(0, most)])

    return LinkFaults(
        loss=perhaps(0.3),
        duplicate=perhaps(0.2),
        reorder=perhaps(0.3),
        reorder_by=perhaps(0.05),
        corrupt=perhaps(0.1),
        delay=chance.choice([0.0, 10 ** chance.uniform(-4, 0)]),
        jitter=perhaps(0.03),
        rate=chance.choice([None, 10 ** chance.uniform(4.7, 7)]),
        queue=int((segment_size + wire.HEADER_SIZE) * chance.uniform(3, 30)),
    )


@dataclass
class Content:
    """A torrent as the answers see it."""

    size: int
    offered: bool = True

    held = None

    def holds(self, start: int, end: int) -> bool:
        return True


class Clock:
    """What is to happen, by time."""

    def __init__(self, begins_at: float) -> None:
        self.now = begins_at
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._count), action))

    def run_until(self, done: Callable[[], bool], limit: float) -> int:
        """Let things happen until ``done``; how many did."""
        for happened in range(MOST_EVENTS):
            if done():
                return happened
            assert self._events, "hangs: nothing will ever happen again"
            self.now, _, action = heapq.heappop(self._events)
            assert self.now <= limit, "hangs: still not done"
            action()
        raise AssertionError("hangs: spins without getting done")


@dataclass
class Download:
    """What the file needs, and who is to fetch what."""

    content: bytes
    missing: RangeSet = field(default_factory=RangeSet)
    got: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.missing.add(0, len(self.content))
        self.got = bytearray(len(self.content))

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        end = offset + len(payload)
        assert self.missing.cut(offset, end) == [(offset, end)], f"[{offset}, {end}) came twice"
        self.got[offset:end] = payload


class Path:
    """One owner, the way there and back, and our connection to it."""

    def __init__(self, clock: Clock, scenario: Scenario, number: int, download: Download) -> None:
        self.todo = RangeSet()
        self.others: list[Path] = []
        self.faults = 0
        self.there = Link(scenario.requests, scenario.seed * 10 + number)
        self.back = Link(scenario.answers, scenario.seed * 10 + number + 5)
        self._clock, self._scenario, self._number, self._download = clock, scenario, number, download
        self._chance = random.Random(scenario.seed * 10 + number)
        self.restart_owner()
        self._armed = math.inf
        self._told = False

    def restart_owner(self) -> None:
        """The owner as a new process: nothing that it knew is left."""
        mint = TokenMint(self._chance.randbytes(32))
        self._answerer = Answerer(mint, {INFO_HASH: Content(len(self._download.content))})

    def begin(self) -> None:
        """Connect; also again, after a fault."""
        scenario = self._scenario
        terms = Terms(
            INFO_HASH,
            self._chance.getrandbits(64),
            scenario.segment_size,
            receive_limit=64 * scenario.segment_size,
            owner_timeout=2.0,
        )
        controller = make_controller(scenario.controller, scenario.segment_size)
        self.connection = FetchConnection(terms, controller, self._clock.now)
        self._settle()

    def _settle(self) -> None:
        """What the fetcher's loop does after anything happened: ask for more, send, arm the timer."""
        connection, now = self.connection, self._clock.now
        size = connection.request_size
        while connection.room() >= size or (connection.room() and not connection.in_flight):
            span = connection.take_lost(size) or self._next_span(size)
            if span is None:
                break
            assert 0 < span[1] - span[0] <= wire.MAX_REQUEST
            connection.request(*span, now)
        for datagram in connection.datagrams_to_send():
            for when, arriving in self.there.send(datagram, now):
                self._clock.at(when, partial(self._owner_receives, arriving))
        timer = connection.next_timer()
        if timer is not None and timer < self._armed:
            self._armed = timer
            self._clock.at(timer, partial(self._timer, timer))

    def _next_span(self, limit: int) -> tuple[int, int] | None:
        """Of our own chunk; when that is done, from the end of the longest other one."""
        if not self.todo:
            longest = max(self.others, key=lambda path: path.todo.total, default=None)
            if longest is not None:
                for span in longest.todo.take_last((longest.todo.total + 1) // 2):
                    self.todo.add(*span)
        return self.todo.take_first(limit)

    def _owner_receives(self, datagram: bytes) -> None:
        answer = self._answerer.handle_requests(datagram, ("192.0.2.1", 1000), self._clock.now)
        if isinstance(answer, SendChunk):
            answers: Iterator[bytes] = self._segments(answer.request)
        else:
            answers = iter([] if answer is None else [wire.encode(answer)])
        for datagram in answers:
            for when, arriving in self.back.send(datagram, self._clock.now):
                self._clock.at(when, partial(self._we_receive, arriving))

    def _segments(self, request: wire.Request) -> Iterator[bytes]:
        end = request.offset + request.length
        for at in range(request.offset, end, request.segment_size):
            payload = self._download.content[at : min(at + request.segment_size, end)]
            yield wire.encode(wire.Data(request.transfer_id, request.sequence, at, payload, request.checked))

    def _we_receive(self, datagram: bytes) -> None:
        self._guarded(lambda: self._take(datagram))

    def _take(self, datagram: bytes) -> None:
        for fact in self.connection.datagram_received(datagram, self._clock.now):
            if isinstance(fact, Arrived):
                self._download.deliver(fact.offset, fact.payload)
            else:
                assert fact.size == len(self._download.content)

    def _timer(self, armed: float) -> None:
        if armed != self._armed:
            return  # an earlier one was needed meanwhile, and has armed the next
        self._armed = math.inf
        timer = self.connection.next_timer()
        if timer is not None and timer <= self._clock.now:
            self._guarded(lambda: self.connection.on_timer(self._clock.now))
        else:
            self._settle()

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do it; if the owner fails us, what it owes goes back and a new connection is made."""
        try:
            action()
        except OwnerFault:
            self.faults += 1
            for span in self.connection.unreceived():
                self.todo.add(*span)
            assert self.connection.state is State.CLOSED
            self.begin()
            return
        assert (self.connection.in_flight == 0) == (
            self.connection.next_timer() is None or self.connection.state is not State.FETCHING
        )
        self._settle()


def run(scenario: Scenario) -> list[Path]:
    """Carry the scenario out; AssertionError if it hangs or a byte is wrong."""
    content = random.Random(scenario.seed).randbytes(scenario.size)
    clock, download = Clock(scenario.begins_at), Download(content)
    paths = [Path(clock, scenario, number, download) for number in range(scenario.owners)]
    chunk = -(-scenario.size // len(paths))
    for number, path in enumerate(paths):
        path.others = [other for other in paths if other is not path]
        path.todo.add(number * chunk, min((number + 1) * chunk, scenario.size))
        path.begin()
    if scenario.restart_after is not None:
        clock.at(clock.now + scenario.restart_after, paths[0].restart_owner)
    clock.run_until(lambda: not download.missing, clock.now + MOST_SECONDS + scenario.size / SLOWEST)
    assert bytes(download.got) == content
    assert sum(path.faults for path in paths) <= MOST_FAULTS, "hangs: fails over and over"
    return paths


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_transfer_over_a_bad_network_is_identical_and_none_hangs(batch: int) -> None:
    each = TRANSFERS // BATCHES
    for seed in range(batch * each, (batch + 1) * each):
        scenario = Scenario.of(seed)
        try:
            run(scenario)
        except AssertionError as error:
            raise AssertionError(f"{error}: {scenario}") from error
