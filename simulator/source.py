"""An owner's thread without a thread: the real supply and the real connection, between two links.

``settle`` is what the fetcher's loop does after anything has happened: ask for more, send, see to the timers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

from common.errors import PeerFault, SwarmError
from common.metainfo import Metainfo
from common.ranges import RangeSet
from faults.link import Link
from node.chunk_udp import wire
from node.chunk_udp.access import AccessLink
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.facts import Arrived, Fact, NotHeld, NotRare, Queued, Terms, Told
from node.chunk_udp.fetcher import NEWS_INTERVAL, first_news_wait
from node.chunk_udp.tokens import Address
from node.download.known_peers import Candidate
from node.download.source import SourceThread
from node.download.state import LATE_CHECK, DownloadState
from node.download.write_buffer import WriteBuffer
from node.settings import TransferSettings
from simulator.clock import Clock
from simulator.owner import SimulatedOwner
from simulator.scenario import Scenario

EPSILON = 1e-6  # seconds that the loop takes for one turn: what is due a rounding error ago is due by then
RECEIVE_SEGMENTS = 64  # that fit into our receive buffer


class Place(Protocol):
    """Where a source works."""

    scenario: Scenario
    metainfo: Metainfo
    board: DownloadState
    clock: Clock
    access: AccessLink

    def note(self, what: str, *more: object) -> None:
        """It becomes part of the trace."""
        ...


class Asked:
    """What was asked for and neither came nor was given up: a byte as often as it was asked for.

    More than once it is asked for if it came from another one meanwhile, was wrong, and is wanted again.
    """

    def __init__(self) -> None:
        self._times: list[RangeSet] = []  # what was asked for at least once, twice, ...

    def add(self, start: int, end: int) -> None:
        """It is asked for, once more."""
        spans = [(start, end)]
        for ranges in self._times:
            again = [both for span in spans for both in ranges.overlap(*span)]
            for span in spans:
                ranges.add(*span)
            spans = again
        if spans:
            self._times.append(RangeSet(spans))

    def cut(self, start: int, end: int) -> bool:
        """It came, or is given up: whether all of it was asked for."""
        rest = RangeSet([(start, end)])
        for ranges in reversed(self._times):
            for span in list(rest):
                for gone in ranges.cut(*span):
                    rest.cut(*gone)
        return not rest


class SimulatedSource(SourceThread):
    """One connection to ``owner``, from begin to end."""

    def __init__(
        self,
        candidate: Candidate,
        place: Place,
        landing: WriteBuffer,
        owner: SimulatedOwner,
        links: tuple[Link, Link],
        ended: Callable[[SourceThread, SwarmError | None], None],
        seed: int,
    ) -> None:
        clock = place.clock
        settings = TransferSettings()
        super().__init__(candidate, place.metainfo, place.board, landing, settings, ended, clock.read)
        self._place, self._virtual, self._owner = place, clock, owner
        self._there, self._back = links
        chance = random.Random(seed)
        self._here: Address = ("192.0.2.1", chance.randint(1024, 65535))
        scenario = place.scenario
        terms = Terms(
            place.metainfo.info_hash,
            chance.getrandbits(64),
            scenario.segment_size,
            receive_limit=RECEIVE_SEGMENTS * scenario.segment_size,
            owner_timeout=settings.owner_timeout,
            checked=scenario.checked or bool(candidate.doubt),
        )
        controller = make_controller(scenario.controller, terms.segment_size)
        self.link = FetchConnection(terms, controller, clock.now, place.access.join())
        self._asked = Asked()
        self._armed = math.inf
        self._next_question = math.inf
        self._news_wait = first_news_wait(chance.random())
        self._gone = False

    # ---- instead of a thread

    def start(self) -> None:
        """Begin."""
        self._begin(self.link)
        self.settle()

    def join(self, timeout: float) -> None:
        """There is no thread."""

    def settle(self) -> None:
        """Whatever happened: what follows."""
        if self._gone:
            return
        try:
            goes_on = not self.stopping() and self._step()
        except PeerFault as fault:
            self._finish(fault)
            return
        if goes_on:
            ends = self.link.next_timer() is not None or self._next_question < math.inf
            assert ends or self.link.idle, "waits for something, and for nothing to end that"
            self._arm()
        else:
            self._finish(None)

    def _step(self) -> bool:
        """Ask, send; False when there will be nothing more to do."""
        link, now = self.link, self._virtual.now
        if now >= self._next_question:
            self._next_question = now + NEWS_INTERVAL
            link.ask_what_it_holds(now)
        while size := link.may_request(now):
            span, rare_only = link.take_lost(size), False
            if span is None:
                span = self._more(size)
                if span is None:
                    link.out_of_work()
                    break
                rare_only = self.wants_rare(span[0])
            assert 0 < span[1] - span[0] <= wire.MAX_REQUEST
            link.request(*span, now, rare_only)
        for datagram in link.datagrams_to_send():
            for when, arriving in self._there.send(datagram, now):
                self._virtual.at(when, partial(self._reaches_owner, arriving))
        return not link.idle or self.wait_for_work(0.0)

    def _more(self, size: int) -> tuple[int, int] | None:
        span = self.next_span(size)
        if span is not None:
            self._asked.add(*span)
        return span

    def _arm(self) -> None:
        timer = self.link.next_timer()
        due = min(self._next_question, math.inf if timer is None else timer)
        if self.link.idle:  # the board may have something for us by then
            due = min(due, self._virtual.now + LATE_CHECK)
        due = max(due, self._virtual.now + EPSILON)
        if due < self._armed:
            self._armed = due
            self._virtual.at(due, partial(self._on_time, due))

    def _on_time(self, armed: float) -> None:
        if armed != self._armed or self._gone:
            return  # an earlier one was needed meanwhile, and has armed the next
        self._armed = math.inf
        timer = self.link.next_timer()
        if timer is not None and timer <= self._virtual.now:
            self._guarded(lambda: self.link.on_timer(self._virtual.now))
        else:
            self.settle()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except PeerFault as fault:
            self._finish(fault)
        else:
            self.settle()

    def _finish(self, why: PeerFault | None) -> None:
        if self._gone:
            return
        self._gone = True
        self._place.note("ends", self.key, why)
        self.link.share.leave()
        self.give_back(self.link.unreceived())
        self._end(why)

    # ---- what comes and goes

    def _reaches_owner(self, datagram: bytes) -> None:
        self._place.note("to", self.key, len(datagram))
        self._owner.receive(datagram, self._here, self._send_back)

    def _send_back(self, datagram: bytes) -> None:
        for when, arriving in self._back.send(datagram, self._virtual.now):
            self._virtual.at(when, partial(self._reaches_us, arriving))

    def _reaches_us(self, datagram: bytes) -> None:
        if not self._gone:
            self._place.note("from", self.key, len(datagram))
            self._guarded(lambda: self._take(datagram))

    def _take(self, datagram: bytes) -> None:
        for fact in self.link.datagram_received(datagram, self._virtual.now):
            if isinstance(fact, Arrived):
                span = (fact.offset, fact.offset + len(fact.payload))
                assert self._asked.cut(*span), f"{span} came too often, or was not asked for"
                self.deliver(fact.offset, fact.payload)
            else:
                self._hear(fact)

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, Told):
            self._next_question = math.inf if fact.complete else self._virtual.now + self._news_wait
            self._news_wait = NEWS_INTERVAL
            self.told(fact.size, fact.complete, fact.first_piece, fact.bitfield)
        elif isinstance(fact, (NotHeld, NotRare, Queued)):
            for span in fact.spans:
                self._asked.cut(*span)
            if isinstance(fact, NotHeld):
                self.not_held(fact.spans)
            elif isinstance(fact, NotRare):
                self.not_rare(fact.spans)
            else:
                self.give_back(fact.spans)
                self.queued(fact.place)
