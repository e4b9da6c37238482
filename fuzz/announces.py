"""The tracker under fire: queries of announces, and UDP packets of proved and unproved hosts."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from common.errors import MessageError
from common.udp_tracker import (
    AnnounceEvent,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    ScrapeRequest,
    decode_answer,
)
from fuzz.target import Script, Target, outcome
from tracker.announce_query import parse_announce, parse_scrape, swarm_key_of
from tracker.model import Rules
from tracker.rate_limits import Limits, RateLimits
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.udp.connection_ids import ConnectionIds
from tracker.udp.responder import UdpResponder

HASH, PEER = bytes(range(20)), b"-XX0001-abcdefghijkl"
HOSTS = ("10.0.0.1", "10.0.0.2", "2001:db8::1", "::ffff:10.0.0.3", "fe80::1%lo")
QUERY = f"info_hash={quote_from_bytes(HASH)}&peer_id={PEER.decode()}&port=6881&left=0&key=7".encode()


def run_queries(data: bytes) -> str:
    """The queries of an announce and of a scrape are read, or the wrong field is named."""
    text, said = data.decode("latin-1"), []
    for parse in (parse_announce, parse_scrape):
        try:
            parse(text)
            said.append("taken")
        except MessageError as error:
            assert error.field, "an error without a field"
            said.append(outcome(error))
    swarm_key_of(data)
    return " / ".join(said)


def run_packets(data: bytes) -> str:
    """Packets of several hosts, in time. Unproved ones are not amplified; all answers can be read."""
    rules = Rules(nodes_per_address=8)
    script, now = Script(data), 0.0
    storage = MemoryStorage(rules, clock=lambda: now)
    service = TrackerService(storage, rules, clock=lambda: now)
    responder = UdpResponder(service.announces, ConnectionIds(b"k" * 32), RateLimits(Limits()))
    while not script.ended:
        host, step, length = HOSTS[script.pick(len(HOSTS))], script.byte(), script.number(2)
        packet = script.take(length % 1700)
        now += step
        answer = responder.answer(packet, host, now)
        assert answer is None or len(answer) <= len(packet), "an unproved packet was amplified"
        connected = responder.answer(ConnectRequest(step).encode(), host, now)
        if connected is None:  # over its rate
            continue
        given = decode_answer(connected)
        assert isinstance(given, ConnectAnswer)
        proved = given.connection_id.to_bytes(8, "big") + packet[8:]
        if (answer := responder.answer(proved, host, now)) is not None:
            decode_answer(answer)
        service.sweep()
    assert storage.counts().peers <= 8 * len(HOSTS), "more peers than the limit"
    return " ".join(sorted(service.announces.udp_packets))


def script_of(*packets: bytes) -> bytes:
    """A script for ``run_packets``: the packets, each from the next host, a second apart."""
    return b"".join(
        bytes([number % len(HOSTS), 1]) + len(packet).to_bytes(2, "big") + packet
        for number, packet in enumerate(packets)
    )


def announce(number: int, event: AnnounceEvent = AnnounceEvent.NONE) -> bytes:
    """A packet of a peer."""
    return AnnounceRequest(1, 2, HASH, PEER, 0, number, 0, event, bytes(4), number, -1, 6881).encode()


TARGETS = [
    Target(
        "announce_queries",
        run_queries,
        [QUERY, QUERY + b"&event=started&numwant=-1&compact=0&swarm_key=a%20key", b"info_hash=%ff" * 20],
        6,
        None,
        [
            b"&",
            b"=",
            b"%00",
            b"info_hash=",
            b"peer_id=",
            b"port=0",
            b"left=",
            b"key=",
            b"numwant=",
            b"event=",
        ],
    ),
    Target(
        "tracker_packets",
        run_packets,
        [
            script_of(announce(0), announce(1), announce(2, AnnounceEvent.STOPPED), announce(0)),
            script_of(ScrapeRequest(1, 2, (HASH,) * 3).encode(), ConnectRequest(3).encode()),
            script_of(ErrorAnswer(1, "no request").encode(), announce(0) + b"\x02\x09/announce"),
        ],
        6,
    ),
]
