"""The node's tracker clients under fire: answers of HTTP and UDP trackers, and tracker URLs."""

from __future__ import annotations

import random

from common import bencode
from common.addresses import unicast_host
from common.compact_peers import MAX_ENTRIES, decode_peers, encode_peers
from common.errors import MessageError, TrackerPacketError
from common.udp_tracker import (
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    decode_request,
)
from fuzz.target import Script, Target, outcome
from node.discovery.announce import MAX_INTERVAL, AnnounceFailure, parse_announce_answer
from node.discovery.announce_url import caution, parse_announce_url
from node.discovery.udp_link import UdpExchange, UdpLink

PEERS = encode_peers([("10.0.0.1", 6881), ("10.0.0.2", 1)])
REQUEST = AnnounceRequest(0, 0, bytes(20), bytes(20), 0, 1, 0, AnnounceEvent.STARTED, bytes(4), 7, 50, 6881)
ANSWERS: list[bencode.Value] = [
    {b"interval": 900, b"peers": PEERS, b"complete": 1, b"incomplete": 2},
    {b"interval": 900, b"min interval": 60, b"peers": [], b"peers6": bytes(15) + b"\x01\x1a\xe1"},
    {b"peers": [{b"ip": b"10.0.0.1", b"port": 6881, b"peer id": b"p" * 20}, {b"ip": b"::1", b"port": 1}]},
    {b"failure reason": b"unregistered torrent", b"retry in": b"5"},
    {b"failure reason": b"no", b"retry in": b"never"},
    {b"warning message": b"slow", b"tracker id": b"t" * 20, b"peers": b""},
]
MAX_BEGUN, MAX_STEPS = 8, 60  # of a script: exchanges, and operations
URLS = [
    b"http://tracker.example:6969/announce",
    b"https://tracker.example/announce?passkey=0123",
    b"udp://[2001:db8::1]:6969",
    b"http://10.0.0.1/announce/0123abcd",
    b"http://127.0.0.1:8080/admin?port=1",
    b"wss://tracker.example",
]


def run_answers(data: bytes) -> str:
    """The answer of an HTTP tracker; its peers can be dialled, its times are in bounds."""
    try:
        answer = parse_announce_answer(data, b"p" * 20)
    except TrackerPacketError as error:
        return outcome(error)
    if isinstance(answer, AnnounceFailure):
        return f"refused {answer.retry_in is None}"
    assert 0 < answer.min_interval <= answer.interval <= MAX_INTERVAL, "times out of bounds"
    assert len(answer.peers) <= MAX_ENTRIES, "too many peers"
    assert all(unicast_host(host) == host and 0 < port < 65536 for host, port in answer.peers)
    return f"{min(len(answer.peers), 3)} peers {bool(answer.warning)} {answer.seeders is None}"


def run_urls(data: bytes) -> str:
    """A tracker's URL, and whether it may lead inside."""
    try:
        url = parse_announce_url(data.decode("utf-8", "replace"))
    except MessageError as error:
        return f"refused, {str(error).rpartition(':')[2][:30] if 'sets' in str(error) else 'no address'}"
    assert url.host and 0 < url.port < 65536, "no address"
    assert caution(url, "8.8.8.8") == "", "caution outside"
    return f"{url.scheme} {caution(url, '127.0.0.1') == ''}"


def run_link(data: bytes) -> str:
    """The exchanges with a UDP tracker: datagrams and time in any order. Each exchange ends exactly once."""
    script, now = Script(data), 0.0
    link, rng = UdpLink(random.Random(7)), random.Random(7)
    begun: list[UdpExchange] = []
    ended: list[UdpExchange] = []
    sent: list[bytes] = []
    for _ in range(MAX_STEPS):
        if script.ended:
            break
        step = script.pick(6)
        new: list[bytes] = []
        over: list[UdpExchange] = []
        if step == 0 and len(begun) < MAX_BEGUN:
            repeat = 0.3 if script.byte() & 1 else None
            begun.append(UdpExchange(REQUEST, now + 15.0, repeat_every=repeat))
            new = link.begin(begun[-1], now)
        elif step == 1:
            now += script.byte()
            new, over = link.tick(now)
        elif step == 2:
            new, over = link.receive(script.take(script.byte()), now)
        elif sent:
            new, over = link.receive(_answer(sent[rng.randrange(len(sent))], step, script), now)
        sent += new
        ended += over
    ended += link.abandon()
    assert sorted(map(id, begun)) == sorted(map(id, ended)), "an exchange is lost, or ended twice"
    assert link.is_idle and link.next_tick() == float("inf"), "something is left"
    return f"{min(len(begun), 4)} begun {sum(each.answer is not None for each in ended)} answered"


def _answer(packet: bytes, step: int, script: Script) -> bytes:
    """An answer to a packet that was sent: the usual one, an error, or one with peers of any length."""
    request = decode_request(packet)
    number = request.transaction_id
    if step == 3:
        return ErrorAnswer(number, "no").encode()
    if isinstance(request, ConnectRequest):
        return ConnectAnswer(number, script.number(2)).encode()
    peers = script.take(script.byte())
    for version in (4, 6):
        try:
            decode_peers(peers, version)
        except TrackerPacketError:
            continue
    return AnnounceAnswer(number, 900, 1, 2, peers).encode()


TARGETS = [
    Target(
        "tracker_answers",
        run_answers,
        [bencode.encode(answer) for answer in ANSWERS],
        6,
        None,
        [
            b"5:peers",
            b"6:peers6",
            b"8:interval",
            b"14:failure reason",
            b"2:ip",
            b"4:port",
            b"i0e",
            b"le",
            b"de",
        ],
    ),
    Target(
        "tracker_urls", run_urls, URLS, 3, None, [b"http://", b"udp://", b"/announce", b"?port=", b"@", b"["]
    ),
    Target(
        "tracker_link",
        run_link,
        [
            bytes([0, 0, 4, 0, 7, 4, 6]) + PEERS,
            bytes([0, 1, 1, 20, 4, 0, 7, 3, 4, 0, 9]),
            bytes([0, 0, 0, 0, 5, 0, 1, 5, 0, 3, 3, 5, 0, 1, 1, 255]),
            bytes([2, 16]) + ConnectAnswer(1, 2).encode(),
            bytes([0, 1, 1, 1, 1, 1, 1, 14]),
            bytes([1, 60, 0, 0, 4, 1, 1, 4, 0, 1, 61, 0, 0, 4]),
        ],
        5,
    ),
]
