"""One end of a connection of the peer wire in virtual time: the real state machine, session and turns.

Both ends belong to members of a swarm. Bytes arrive ``LATENCY`` after they were sent, in order. A block is
sent when the upload limit of its member gives this end a turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from common.errors import PeerFault, SwarmError
from node.download.known_peers import Candidate
from node.download.source import Source
from node.download.state import DownloadState
from node.download.write_buffer import WriteBuffer
from node.peer_tcp import events as ev
from node.peer_tcp.config import WireConfig
from node.peer_tcp.connection import OutgoingBlock
from node.peer_tcp.faulty_wire import make_wire
from node.peer_tcp.fetching import Fetching
from node.rate_limit import RateLimit
from node.transport import Range
from simulator.clock import Clock
from simulator.source import VirtualSource
from simulator.timer import Timer

LATENCY = 0.001  # seconds from one end to the other
Payload = Callable[[OutgoingBlock], bytes | None]


class WireEnd:
    """One end. ``payload`` gives the bytes of a block; None: they are never sent."""

    def __init__(
        self,
        clock: Clock,
        config: WireConfig,
        dials: bytes | None,
        limit: RateLimit,
        payload: Payload,
        on_event: Callable[[WireEnd, ev.WireEvent], None],
    ) -> None:
        """``dials``: the info hash to dial for; None: this end was dialled."""
        self.wire = make_wire(config, clock.now, dials, encrypted=False)
        self.fetching = Fetching(self.wire)
        self.source: WireSource | None = None
        self.other: WireEnd | None = None  # set once both exist
        self.is_unchoked = False  # by this member's choker
        self.uploaded = 0  # payload bytes
        self.closed = False
        self._clock = clock
        self._flow = limit.flow()
        self._payload = payload
        self._on_event = on_event
        self._timer = Timer(clock, self._on_time)
        self._send_timer = Timer(clock, self.settle)

    # ---- what arrives

    def receive(self, data: bytes) -> None:
        """Bytes from the other end."""
        if not self.closed:
            self._take(self.wire.receive(data, self._clock.now))
            self.settle()

    def _take(self, events: Sequence[ev.WireEvent]) -> None:
        blocks: list[ev.BlockData] = []
        for event in ev.one_by_one(events):
            if isinstance(event, ev.BlockData):
                blocks.append(event)
                self._on_event(self, event)
                continue
            if blocks:
                self.fetching.on_blocks(blocks)
                blocks = []
            if isinstance(event, ev.WireFailed):
                self.close(event.fault)
                return
            try:
                self.fetching.on_event(event)
            except PeerFault as fault:
                self.close(fault)
                return
            self._on_event(self, event)
        if blocks:
            self.fetching.on_blocks(blocks)

    def soon(self, action: Callable[[], None]) -> None:
        """Call ``action`` after the present event."""
        self._clock.at(self._clock.now, action)

    def close(self, fault: PeerFault) -> None:
        """The connection is over, at both ends."""
        if self.closed:
            return
        self.closed = True
        self.fetching.end()
        if self.source is not None:
            self.source.finish(fault)
        other = self.other
        if other is not None:
            self._clock.at(self._clock.now + LATENCY, lambda: other.close(PeerFault("closed the connection")))
        self._on_event(self, ev.WireFailed(fault))

    # ---- what goes

    def settle(self) -> None:
        """Make requests, send, set the timers."""
        if self.closed:
            return
        now = self._clock.now
        if self.source is not None and self.fetching.session is not None:
            if self.source.closing:
                self.fetching.detach()
                self.source.finish(None)
            elif self.fetching.request(now):
                self._send_timer.set(now + self.source.pause())
            elif self.fetching.ask_at < float("inf"):
                self._send_timer.set(self.fetching.ask_at)
        self._send(now)
        self._timer.set(self.wire.next_timer())

    def _send(self, now: float) -> None:
        wire, flow = self.wire, self._flow
        if messages := wire.data_to_send(now):
            flow.limit.spend(len(messages), now)
            self._deliver(messages, now)
        while wire.has_blocks:
            if not flow.has_turn(now) and (pause := flow.wait(flow.limit.quantum, now)) > 0:
                self._send_timer.set(now + pause + 1e-9)
                return
            block = wire.next_block(now)
            data = None if block is None else self._payload(block)
            if block is not None and data is not None:
                flow.spend(len(block.header) + len(data), now)
                self.uploaded += len(data)
                self._deliver(block.header + wire.encrypt(data), now)
        flow.release(now)

    def _deliver(self, data: bytes, now: float) -> None:
        other = self.other
        if other is not None and data:
            self._clock.at(now + LATENCY, lambda: other.receive(data))

    def _on_time(self) -> None:
        due = self.wire.next_timer()
        if not self.closed and due is not None and due <= self._clock.now:
            self._take(self.wire.on_timer(self._clock.now))
        self.settle()


class WireSource(VirtualSource):
    """A download's side of ``end``."""

    def __init__(
        self,
        candidate: Candidate,
        state: DownloadState,
        buffer: WriteBuffer,
        clock: Clock,
        end: WireEnd,
        on_end: Callable[[Source, SwarmError | None], None],
    ) -> None:
        super().__init__(candidate, state, buffer, clock.read)
        self._end, self._on_end = end, on_end

    def start(self) -> None:
        """Attach to the connection, which is open."""
        if self._end.closed:
            self.finish(PeerFault("closed the connection"))
            return
        self._end.source = self
        self._end.fetching.attach(self)
        self._end.fetching.update_interest()
        self._end.settle()

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Other sources delivered these ranges first."""

        def do() -> None:
            self._end.fetching.cancel(ranges)
            self._end.settle()

        self._end.soon(do)

    def settle(self) -> None:
        """Look for work."""
        self._end.settle()

    def finish(self, why: PeerFault | None) -> None:
        """The end; ``why``: a fault of the peer."""
        if self._end.source is self:
            self._end.source = None
        self._state.leave(self.peer)
        self._on_end(self, why)


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """``data`` with one wrong byte."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ chance.randint(1, 255)]) + data[at + 1 :]
