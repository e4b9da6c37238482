"""The fetcher's state machine, driven by a script: any sequence of answers, losses, timers and requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from common.errors import PeerFault
from common.ranges import RangeSet
from fuzz.parsers import DATAGRAMS, HASH, resealed
from fuzz.target import Script, Target, outcome
from node.chunk_udp import wire
from node.chunk_udp.asks import FIRST_ASK
from node.chunk_udp.congestion import CONTROLLERS, make_controller
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.events import ConnectionConfig, DataReceived, NotHeld, QueuedByOwner

MAX_OPERATIONS = 300  # of one script
SIZE = 1 << 20  # bytes of the content that a fetcher wants


class FetchingRun:
    """A connection, and a record of its bytes: each arrives at most once, and none is forgotten."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.now = 100.0
        self.segment = 512 + 64 * script.byte()
        name = sorted(CONTROLLERS)[script.pick(len(CONTROLLERS))]
        terms = ConnectionConfig(HASH, 1, self.segment, 1 << 18, 2.0, bool(script.byte() & 1))
        self.connection = FetchConnection(terms, make_controller(name, self.segment), self.now)
        self.asked = RangeSet()  # requested, and neither arrived nor returned
        self.next = 0
        self.seen: set[str] = set()
        self.sequences = [FIRST_ASK]
        self.requests: dict[int, wire.Request] = {}
        self.operations: Sequence[Callable[[], None]] = (
            self.request,
            self.data,
            self.data_of_anything,
            self.token,
            self.tell,
            self.refuse,
            self.timer,
            self.wait,
            self.any_datagram,
            self.ask_again,
            self.lost,
            self.port_closed,
        )

    def run(self) -> str:
        """Run until the script or the connection ends. Then the record must balance."""
        try:
            for _ in range(MAX_OPERATIONS):
                if self.script.ended:
                    break
                self.operations[self.script.pick(len(self.operations))]()
                self.look()
        except PeerFault as fault:
            self.seen.add(outcome(fault))
        back = RangeSet()
        for start, end in self.connection.unreceived():
            assert not back.overlap(start, end), "the same bytes come back twice"
            back.add(start, end)
        assert back == self.asked, f"came back: {back}; missing in the books: {self.asked}"
        assert not self.connection.datagram_received(DATAGRAMS[0], self.now)
        return " ".join(sorted(self.seen))

    def look(self) -> None:
        """After any operation: numbers are finite, and sent datagrams are well-formed."""
        connection = self.connection
        self.seen.add(connection.state.value)
        for datagram in connection.datagrams_to_send():
            message = wire.decode(datagram)
            assert isinstance(message, (wire.Ask, wire.Request)) and message.transfer_id == 1
            self.sequences = [*self.sequences[-7:], message.sequence]
            if isinstance(message, wire.Request):
                self.requests[message.sequence] = message
        timer = connection.next_timer()
        assert timer is None or math.isfinite(timer)
        assert (
            connection.tracker.in_flight.bytes >= 0
            and connection.room() >= 0
            and connection.tracker.window > 0
        )
        assert 0 < connection.tracker.request_size <= wire.MAX_REQUEST

    def take(self, datagram: bytes) -> None:
        """Give it to the connection, and record the events."""
        for fact in self.connection.datagram_received(datagram, self.now):
            self.seen.add(type(fact).__name__)
            spans: Sequence[tuple[int, int]] = ()
            if isinstance(fact, DataReceived):
                spans = ((fact.offset, fact.offset + len(fact.payload)),)
            elif isinstance(fact, (NotHeld, QueuedByOwner)):
                spans = fact.ranges
            for span in spans:
                assert self.asked.cut(*span) == [span], f"{span} was not asked for, or came before"

    def request(self) -> None:
        size = min(self.connection.room(), self.connection.tracker.request_size, SIZE)
        if size:
            self.connection.request(self.next, self.next + size, self.now)
            self.asked.add(self.next, self.next + size)
            self.next += size

    def lost(self) -> None:
        """As the fetcher's loop does: request lost ranges again."""
        if self.connection.room() and (
            span := self.connection.tracker.take_lost(self.connection.tracker.request_size)
        ):
            self.connection.request(*span, self.now)

    def _sequence(self) -> int:
        return self.sequences[self.script.pick(len(self.sequences))]

    def data(self) -> None:
        """An answer to a request that was sent, or to a part of it."""
        request = self.requests.get(self._sequence())
        if request is not None:
            first = self.script.pick(4) * self.segment
            length = min(self.segment, request.length - first) - self.script.pick(3)
            if length > 0:
                at = request.offset + first
                data = wire.Data(1, request.sequence, at, bytes(length), request.checked)
                self.take(wire.encode(data))

    def data_of_anything(self) -> None:
        at = (
            self.script.number(3) - (1 << 16) + self.next if self.script.byte() & 1 else self.script.number(8)
        )
        data = wire.Data(1, self._sequence(), max(0, at), bytes(1 + self.script.number(1) * 9), True)
        self.take(wire.encode(data))

    def token(self) -> None:
        self.take(wire.encode(wire.Token(1, self._sequence(), bytes([self.script.byte()]) * 16)))

    def tell(self) -> None:
        complete = bool(self.script.byte() & 1)
        tell = wire.Tell(1, self._sequence(), self.script.number(5), complete, 0, self.script.take(5))
        self.take(wire.encode(tell))

    def refuse(self) -> None:
        reason = wire.Refusal(1 + self.script.pick(4))
        self.take(wire.encode(wire.Refuse(1, self._sequence(), reason, self.script.number(2))))

    def timer(self) -> None:
        """Time goes on until something is due."""
        timer = self.connection.next_timer()
        if timer is not None:
            self.now = max(self.now, timer)
            self.connection.on_timer(self.now)

    def wait(self) -> None:
        self.now += self.script.number(2) / 65_536 * 3
        self.connection.on_timer(self.now)

    def any_datagram(self) -> None:
        kind = self.script.pick(len(DATAGRAMS))
        length = self.script.number(1)
        self.take(resealed(DATAGRAMS[kind][:length] + self.script.take(length % 16)))

    def ask_again(self) -> None:
        self.connection.poll_have(self.now)

    def port_closed(self) -> None:
        self.connection.on_port_error(self.now)


def run_fetching(data: bytes) -> str:
    """``FetchConnection``, whatever the owner, the network and the clock do."""
    return FetchingRun(Script(data)).run()


# operations by number, as ``FetchingRun.operations`` has them: a token, a TELL, requests and their answers
_BEGIN = bytes([8, 0, 1, 3, 0, 7, 4, 1, 1, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0])
_SCRIPTS = [
    _BEGIN + bytes([0, 0, 0, 1, 7, 0, 0, 1, 6, 1, 0, 1, 5, 0, 0]),
    _BEGIN + bytes([0, 1, 7, 0, 0, 6, 6, 6, 6, 10, 10, 11, 11, 11]),
    _BEGIN + bytes([0, 0, 5, 7, 3, 0, 9, 6, 4, 7, 0, 0, 10, 0, 7, 255, 255]),
    bytes([0, 1, 0, 6, 6, 6, 7, 255, 255, 7, 255, 255, 7, 255, 255]),
    bytes.fromhex(  # the answer to the question before the last was a KeyError once
        "000000044656000f75472c0d067f6afbc282637500000000000000000507910300090604070000000000000906000000"
        "040700000000040005070300090604"
    ),
]
TARGET = Target("fetching", run_fetching, _SCRIPTS, 8)
