"""A source without a thread: the real session, driver and connection, between two links.

``settle`` does what the fetcher's loop does after any event: make requests, send, set the timer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from common.errors import PeerFault, SwarmError
from common.metainfo import Metainfo
from common.ranges import RangeSet
from faults.link import Link
from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.events import ConnectionConfig
from node.chunk_udp.session_driver import SessionDriver
from node.download.known_peers import Candidate
from node.download.source import Source
from node.download.state import WORK_CHECK, DownloadState
from node.download.write_buffer import WriteBuffer
from node.message_faults import MessageFaults
from node.notes import ConnectionSample
from node.rate_limit import RateLimit
from node.settings import TransferSettings
from node.transport import Range, Reject, RequestedRange
from simulator.clock import Clock
from simulator.owner import SimulatedOwner
from simulator.scenario import Scenario

EPSILON = 1e-6  # seconds between two turns of the loop: more than any rounding error of a deadline
RECEIVE_SEGMENTS = 64  # that fit into our receive buffer


@dataclass(frozen=True)
class Site:
    """The parts that the sources of one simulated node share."""

    scenario: Scenario
    metainfo: Metainfo
    clock: Clock
    access: CongestionManager
    download_limit: RateLimit | None
    note: Callable[..., None]  # appends to the trace
    faults: MessageFaults | None = None  # of this node, before the links to its owners


class RequestedBytes:
    """The bytes that were requested and have not come back: each as often as it was requested.

    A byte is requested again if it came from another source meanwhile, was wrong, and is wanted again.
    """

    def __init__(self) -> None:
        self._times: list[RangeSet] = []  # bytes requested at least once, at least twice, and so on

    def add(self, start: int, end: int) -> None:
        """Request ``[start, end)``, once more."""
        spans = [(start, end)]
        for ranges in self._times:
            again = [both for span in spans for both in ranges.overlap(*span)]
            for span in spans:
                ranges.add(*span)
            spans = again
        if spans:
            self._times.append(RangeSet(spans))

    def cut(self, start: int, end: int) -> bool:
        """``[start, end)`` came back. True if all of it was requested."""
        rest = RangeSet([(start, end)])
        for ranges in reversed(self._times):
            for span in list(rest):
                for gone in ranges.cut(*span):
                    rest.cut(*gone)
        return not rest


class VirtualSource(Source):
    """A source without a thread."""

    def join(self, timeout: float) -> None:
        """There is no thread."""

    def settle(self) -> None:
        """Do everything that follows from an event."""
        raise NotImplementedError


class SimulatedSource(VirtualSource):
    """One connection to ``owner`` over ``links`` (there and back), from begin to end."""

    def __init__(
        self,
        candidate: Candidate,
        state: DownloadState,
        buffer: WriteBuffer,
        site: Site,
        owner: SimulatedOwner,
        links: tuple[Link, Link],
        on_end: Callable[[Source, SwarmError | None], None],
        seed: int,
    ) -> None:
        super().__init__(candidate, state, buffer, site.clock.read)
        self._site, self._virtual, self._owner = site, site.clock, owner
        self._on_end = on_end
        self._there, self._back = links
        chance = random.Random(seed)
        self.here: Address = ("192.0.2.1", chance.randint(1024, 65535))
        scenario = site.scenario
        terms = ConnectionConfig(
            site.metainfo.info_hash,
            chance.getrandbits(64),
            scenario.segment_size,
            receive_limit=RECEIVE_SEGMENTS * scenario.segment_size,
            owner_timeout=TransferSettings().owner_timeout,
            checked=scenario.checked,
            poll_phase=chance.random(),
        )
        controller = make_controller(scenario.controller, terms.segment_size)
        now, limit = site.clock.now, site.download_limit
        self.link = FetchConnection(terms, controller, now, site.access.join(), limit)
        self._driver = SessionDriver(self.link, site.metainfo, self)
        self._requested = RequestedBytes()
        self._armed = math.inf
        self._gone = False

    # ---- instead of a thread

    def start(self) -> None:
        """Begin."""
        self.settle()

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Other sources delivered these ranges first."""
        self._driver.cancel(ranges)

    def sample(self) -> ConnectionSample:
        """What limits the requests now."""
        tracker, rtt = self.link.tracker, self.link.rtt
        return ConnectionSample(
            tracker.window, rtt.smoothed if rtt.measured else None, tracker.in_flight.bytes
        )

    def settle(self) -> None:
        """Do everything that follows from an event."""
        if self._gone:
            return
        try:
            goes_on = not self.closing and self._step()
        except PeerFault as fault:
            self._finish(fault)
            return
        if goes_on:
            assert self.link.next_timer() is not None or self.link.idle, (
                "waits for something, and for nothing to end that"
            )
            self._arm()
        else:
            self._finish(None)

    def _step(self) -> bool:
        """Ask, send; False when there will be nothing more to do."""
        now = self._virtual.now
        for datagram in self._driver.datagrams_to_send(now):
            self._through_faults(datagram, True, self._leaves)
        return not self.link.idle or self.wait_for_work(0.0)

    def _arm(self) -> None:
        timer = self.link.next_timer()
        due = math.inf if timer is None else timer
        if self.link.idle:  # the board may have something for us by then
            due = min(due, self._virtual.now + WORK_CHECK)
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
        self._site.note("ends", self.peer, why)
        self._driver.end()
        self._state.leave(self.peer)
        self._on_end(self, why)

    # ---- what comes and goes

    def _through_faults(self, datagram: bytes, outgoing: bool, then: Callable[[bytes], None]) -> None:
        """Do ``then`` with a datagram, as this node's own faults leave it."""
        faults, now = self._site.faults, self._virtual.now
        if faults is None:
            then(datagram)
            return
        for when, arriving in faults.datagram(datagram, outgoing, self.peer.addr, now):
            if when > now:
                self._virtual.at(when, partial(then, arriving))
            else:
                then(arriving)

    def _leaves(self, datagram: bytes) -> None:
        for when, arriving in self._there.send(datagram, self._virtual.now):
            self._virtual.at(when, partial(self._reaches_owner, arriving))

    def _reaches_owner(self, datagram: bytes) -> None:
        self._site.note("to", self.peer, len(datagram))
        self._owner.receive(datagram, self.here, self._send_back)

    def _send_back(self, datagram: bytes) -> None:
        for when, arriving in self._back.send(datagram, self._virtual.now):
            self._virtual.at(when, partial(self._through_faults, arriving, False, self._reaches_us))

    def _reaches_us(self, datagram: bytes) -> None:
        if not self._gone:
            self._site.note("from", self.peer, len(datagram))
            self._guarded(lambda: self._driver.datagram_received(datagram, self._virtual.now))

    # ---- accounts of the requested bytes

    def next_range(self, max_length: int) -> RequestedRange | None:
        """Note what is asked for."""
        wanted = super().next_range(max_length)
        if wanted is not None:
            assert 0 < wanted.end - wanted.start <= wire.MAX_REQUEST
            self._requested.add(wanted.start, wanted.end)
        return wanted

    def on_data(self, offset: int, data: bytes | memoryview) -> None:
        """A byte comes once for each time that it was asked for, at most."""
        span = (offset, offset + len(data))
        assert self._requested.cut(*span), f"{span} came too often, or was not asked for"
        super().on_data(offset, data)

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        """Not awaited any more; if not held, ``on_returned`` follows."""
        if reason is Reject.NOT_RARE:
            self._strike(ranges)
        super().on_rejected(ranges, reason)

    def on_returned(self, ranges: Sequence[Range]) -> None:
        """Not awaited any more."""
        self._strike(ranges)
        super().on_returned(ranges)

    def _strike(self, ranges: Sequence[Range]) -> None:
        for span in ranges:
            assert self._requested.cut(*span), f"{span} comes back, and was not asked for"
