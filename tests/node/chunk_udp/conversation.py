"""Both ends of a transfer without sockets: a fetcher's connection, an owner that answers, and the time."""

from __future__ import annotations

import dataclasses

from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig, DataReceived, Event
from node.chunk_udp.responder import Responder, SendChunk
from simulator.served import MemoryTorrent

HERE = ("192.0.2.7", 40_000)
TERMS = ConnectionConfig(
    info_hash=b"h" * 20, transfer_id=0xC0FFEE, segment_size=1000, receive_limit=64_000, owner_timeout=2.0
)
CONTENT = bytes(range(256)) * 400


class PlayedOwner:
    """Answers as the real one does; ``secret`` makes its tokens."""

    def __init__(self, secret: bytes = b"secret") -> None:
        self.content = MemoryTorrent(CONTENT, 10_000)
        self.answerer = Responder(AddressValidator(secret), {TERMS.info_hash: self.content})

    def answers(self, datagrams: list[bytes], now: float) -> list[bytes]:
        """Its answers to all of ``datagrams``, in order."""
        return [answer for datagram in datagrams for answer in self._answer(datagram, now)]

    def _answer(self, datagram: bytes, now: float) -> list[bytes]:
        answer = self.answerer.handle_requests(datagram, HERE, now)
        if isinstance(answer, SendChunk):
            return segments(answer.request)
        return [] if answer is None else [wire.encode(answer)]


def segments(request: wire.Request) -> list[bytes]:
    end = request.offset + request.length
    starts = range(request.offset, end, request.segment_size)
    spans = [(at, min(at + request.segment_size, end)) for at in starts]
    return [
        wire.encode(wire.Data(request.transfer_id, request.sequence, s, CONTENT[s:e], request.checked))
        for s, e in spans
    ]


def connect(**terms: object) -> FetchConnection:
    changed = dataclasses.replace(TERMS, **terms)  # type: ignore[arg-type]  # each test names its own
    return FetchConnection(changed, make_controller("cubic", changed.segment_size), 0.0)


def take(connection: FetchConnection, datagrams: list[bytes], now: float) -> list[Event]:
    return [fact for datagram in datagrams for fact in connection.datagram_received(datagram, now)]


def told(connection: FetchConnection, owner: PlayedOwner, now: float = 0.01) -> FetchConnection:
    """Through the handshake; FETCHING afterwards."""
    for step in (0, 1):
        take(connection, owner.answers(connection.datagrams_to_send(), now), now + step * 0.01)
    assert connection.state is ConnectionState.FETCHING
    return connection


def ask_of(datagram: bytes) -> wire.Ask:
    message = wire.decode(datagram)
    assert isinstance(message, wire.Ask)
    return message


def requests_of(datagrams: list[bytes]) -> list[wire.Request]:
    messages = [wire.decode(datagram) for datagram in datagrams]
    assert all(isinstance(message, wire.Request) for message in messages)
    return [message for message in messages if isinstance(message, wire.Request)]


def spans(facts: list[Event]) -> list[tuple[int, int]]:
    assert all(
        isinstance(fact, DataReceived) and fact.payload == CONTENT[fact.offset :][: len(fact.payload)]
        for fact in facts
    )
    return [
        (fact.offset, fact.offset + len(fact.payload)) for fact in facts if isinstance(fact, DataReceived)
    ]


def run_timers(connection: FetchConnection, until: float) -> float:
    """Let the time pass with nothing coming; when the fault came, else ``until``."""
    for _ in range(1000):
        timer = connection.next_timer()
        if timer is None or timer > until:
            return until
        try:
            connection.on_timer(timer)
        except PeerFault:
            return timer
    raise AssertionError("timers spin")


def fetch_all(connection: FetchConnection, owner: PlayedOwner, now: float, end: int) -> list[tuple[int, int]]:
    """Fetch ``[0, end)``, a round trip of 0.01 s each, until nothing is outstanding or lost."""
    arrived: list[tuple[int, int]] = []
    offset = 0
    for _ in range(1000):
        while connection.room() >= connection.tracker.request_size:
            span = connection.tracker.take_lost(connection.tracker.request_size)
            if span is None and offset < end:
                span = (offset, min(offset + connection.tracker.request_size, end))
                offset = span[1]
            if span is None:
                break
            connection.request(*span, now)
        sent = connection.datagrams_to_send()
        if not sent and not connection.tracker.in_flight.bytes:
            return sorted(arrived)
        now += 0.01
        arrived += spans(take(connection, owner.answers(sent, now), now))
    raise AssertionError("does not end")


def whole(arrived: list[tuple[int, int]], end: int) -> bool:
    """Whether sorted ``arrived`` tiles ``[0, end)``: each byte once."""
    return [s for s, _ in arrived] + [end] == [0] + [e for _, e in arrived]
