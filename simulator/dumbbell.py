"""Several owners behind one bottleneck, in virtual time: a test bed for congestion controllers.

    owner 1 ──own delay──┐                       ┌── fetching connection 1
    owner 2 ─────────────┼── bottleneck (Link) ──┼── fetching connection 2     requests go back over a
    TCP sender ──────────┘                       └── TCP receiver              second Link, the uplink

The connections, congestion controllers and links are the real ones; owners answer at once. Sizes on the links
count IP and UDP headers, so rates are those of the wire.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from common.errors import PeerFault, WireError
from common.ranges import RangeSet
from faults.link import Link, LinkFaults
from node.chunk_udp import wire
from node.chunk_udp.congestion import ControllerFactory, make_controller
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig, DataReceived
from node.chunk_udp.replay_window import ReplayWindow
from node.rate_limit import RateLimit
from simulator.clock import Clock
from simulator.timer import Timer

HEADERS = bytes(28)  # IPv4 and UDP; carried along so that the links count them
SEGMENT = 1440  # bytes of file in a datagram of 1,500 bytes
RETRY_SECONDS = 1.0  # after which a failed owner is tried again
CONTENT = bytes(wire.MAX_REQUEST)


@dataclass
class Path:
    """Both directions of the shared link, and the delay of an owner before it."""

    down: Link
    up: Link
    extra_delay: float = 0.0  # seconds, each way, before the bottleneck


@dataclass
class Flow:
    """One owner's connection, and its figures."""

    controller: str | ControllerFactory
    segment: int
    connection: FetchConnection = field(init=False)
    arrived: int = 0  # bytes of file
    sent: int = 0  # bytes that its owner put on the wire
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # (when, bytes)


class Supply:
    """``size`` bytes that the flows share, lowest first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.missing = RangeSet([(0, size)])
        self.arrived = 0

    @property
    def done(self) -> bool:
        """True once every byte has arrived."""
        return self.arrived == self.size


class Dumbbell:
    """Runs flows over shared links. ``clock`` may drive other flows as well."""

    def __init__(self, clock: Clock, supply: Supply, limit: RateLimit | None = None) -> None:
        self.failures = 0  # connections that failed, and were made again
        self.clock = clock
        self.supply = supply
        self.manager = CongestionManager()
        self._limit = limit  # for downloading
        self.flows: list[Flow] = []
        self._made = 0  # connections so far

    def add(
        self, path: Path, controller: str | ControllerFactory, begins_at: float = 0.0, segment: int = SEGMENT
    ) -> Flow:
        """Add an owner, reached over ``path``."""
        flow = Flow(controller, segment)
        flow.connection = self.connect(flow, begins_at)
        self.flows.append(flow)
        _Runner(self, flow, path).start(begins_at)
        return flow

    def connect(self, flow: Flow, now: float | None = None) -> FetchConnection:
        """A new connection for ``flow``."""
        self._made += 1
        begins_with = min(flow.segment, wire.SMALL_SEGMENT)
        terms = ConnectionConfig(
            b"h" * 20, self._made, begins_with, 1 << 21, 2.0, largest_segment=flow.segment
        )
        controller = make_controller(flow.controller, begins_with)
        now = self.clock.now if now is None else now
        return FetchConnection(terms, controller, now, self.manager.join(), self._limit)


class _Runner:
    """The loops of the fetcher and of the owner of one flow."""

    def __init__(self, bell: Dumbbell, flow: Flow, path: Path) -> None:
        self._bell, self._flow, self._path = bell, flow, path
        self._timer = Timer(bell.clock, self._wake_or_fail)
        self._copies = ReplayWindow()

    def start(self, when: float) -> None:
        self._bell.clock.at(when, self._wake_or_fail)

    def _wake_or_fail(self) -> None:
        try:
            self._wake()
        except PeerFault:
            connection = self._flow.connection
            for span in connection.unreceived():
                self._bell.supply.missing.add(*span)
            connection.flow.leave()
            self._bell.failures += 1
            self._bell.clock.at(self._bell.clock.now + RETRY_SECONDS, self._again)

    def _again(self) -> None:
        self._flow.connection = self._bell.connect(self._flow)
        self._wake_or_fail()

    def _wake(self) -> None:
        clock, connection = self._bell.clock, self._flow.connection
        if self._bell.supply.done or connection.state is ConnectionState.CLOSED:
            return
        timer = connection.next_timer()
        if timer is not None and timer <= clock.now:
            connection.on_timer(clock.now)
        self._request_more()

    def _request_more(self) -> None:
        clock, connection = self._bell.clock, self._flow.connection
        while size := connection.may_request(clock.now):
            span = connection.tracker.take_lost(size) or self._bell.supply.missing.take_first(size)
            if span is None:
                connection.tracker.mark_app_limited(clock.now)
                break
            connection.request(*span, clock.now)
        for datagram in connection.datagrams_to_send():
            self._cross(self._path.up, datagram, self._owner_receives)
        self._timer.set(connection.next_timer())

    def _cross(self, link: Link, datagram: bytes, receive: Callable[[bytes], None]) -> None:
        """Over the owner's own wire, then the shared link."""
        clock = self._bell.clock

        def enter() -> None:
            for when, arriving in link.send(HEADERS + datagram, clock.now):
                payload = arriving[len(HEADERS) :]
                clock.at(when, lambda p=payload: receive(p))  # type: ignore[misc]

        if self._path.extra_delay:  # the link takes datagrams in the order of their times
            clock.at(clock.now + self._path.extra_delay, enter)
        else:
            enter()

    def _owner_receives(self, datagram: bytes) -> None:
        try:
            message = wire.decode(datagram)
        except WireError:
            return
        if isinstance(message, wire.Ask):
            size = self._bell.supply.size
            is_first = message.token == wire.NO_TOKEN
            answer: wire.Message = wire.Tell(message.transfer_id, message.sequence, size, True)
            if is_first:
                answer = wire.Token(message.transfer_id, message.sequence, b"t" * wire.TOKEN_SIZE)
            self._cross(self._path.down, wire.encode(answer), self._fetcher_receives)
        elif isinstance(message, wire.Request) and not self._copies.is_duplicate(message, ("", 0)):
            self._send_chunk(message)

    def _send_chunk(self, request: wire.Request) -> None:
        for at in range(0, request.length, request.segment_size):
            payload = CONTENT[: min(request.segment_size, request.length - at)]
            data = wire.Data(request.transfer_id, request.sequence, request.offset + at, payload, True)
            self._flow.sent += len(payload) + wire.HEADER_SIZE + len(HEADERS)
            self._cross(self._path.down, wire.encode(data), self._fetcher_receives)

    def _fetcher_receives(self, datagram: bytes) -> None:
        now, flow = self._bell.clock.now, self._flow
        if flow.connection.state is ConnectionState.CLOSED:
            return
        for fact in flow.connection.datagram_received(datagram, now):
            if type(fact) is DataReceived:
                size = len(fact.payload)
                flow.arrived += size
                flow.arrivals.append((now, size))
                self._bell.supply.arrived += size
        self._wake_or_fail()


def shared_path(faults: LinkFaults, seed: int, uplink: LinkFaults | None = None) -> Path:
    """A bottleneck with ``faults``. The uplink has the same ones unless it has its own."""
    chance = random.Random(seed)
    return Path(Link(faults, chance.getrandbits(32)), Link(uplink or faults, chance.getrandbits(32)))
