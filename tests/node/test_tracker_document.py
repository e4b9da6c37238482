"""docs/protocol.md, parts 5 and 6, agrees with the code: its examples and numbers are taken from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import bencode
from common.compact_peers import MAX_ENTRIES, encode_peers
from common.udp_tracker import AnnounceAnswer, AnnounceEvent, AnnounceRequest, ConnectAnswer, ConnectRequest
from node import trackers
from node.discovery import announce, announce_plan, announce_url, http_tracker, udp_link, udp_tracker
from node.discovery.announce import AnnounceParams, announce_query, parse_announce_answer
from node.discovery.base import TransferTotals
from tests.node.chunk_udp.test_protocol_document import INFO_HASH, dump

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
PEER_ID = b"-CS0100-0123456789ab"
KEY = 0x1A2B3C4D
QUERY = announce_query(
    AnnounceParams(INFO_HASH, PEER_ID, 6881, TransferTotals(0, 0, 13), AnnounceEvent.STARTED, KEY)
)
ANSWER_BODY = bencode.encode(
    {
        b"complete": 1,
        b"incomplete": 1,
        b"interval": 300,
        b"min interval": 60,
        b"peers": [{b"ip": b"127.0.0.1", b"port": 6882}],
    }
)
REQUEST = AnnounceRequest(
    0x0123456789ABCDEF,
    2,
    INFO_HASH,
    PEER_ID,
    downloaded=0,
    left=13,
    uploaded=0,
    event=AnnounceEvent.STARTED,
    ip=bytes(4),
    key=KEY,
    num_want=announce.NUM_WANT,
    port=6881,
)
PACKETS = [
    ("Connect", "a fixed number, action 0, transaction id 1.", ConnectRequest(1).encode()),
    ("Its answer", "action, transaction id, connection id.", ConnectAnswer(1, 0x0123456789ABCDEF).encode()),
    (
        "Announce",
        "connection id, action 1, transaction id 2, info hash, peer id, downloaded, left, uploaded (8 bytes\n"
        "each), event (1 completed, 2 started, 3 stopped), IPv4 address or 0, key, number wanted, port.",
        REQUEST.encode(),
    ),
    (
        "Its answer",
        "action, transaction id, interval, leechers, seeders, then compact peers.",
        AnnounceAnswer(2, 300, 1, 1, encode_peers([("127.0.0.1", 6882)])).encode(),
    ),
]


def test_the_announce_and_its_answer_over_http() -> None:
    assert f"```\n{QUERY}\n```" in DOCUMENT
    assert f"```\n{ANSWER_BODY.decode()}\n```" in DOCUMENT
    parse_announce_answer(ANSWER_BODY)


@pytest.mark.parametrize(("name", "note", "packet"), PACKETS)
def test_every_packet(name: str, note: str, packet: bytes) -> None:
    assert f"**{name}**: {note}\n\n```\n{dump(packet)}\n```" in DOCUMENT


def test_the_table_of_tries() -> None:
    waits = [announce_plan.udp_try_seconds(n) for n in range(9)]
    assert (
        f"| seconds until the next try: 15 · 2ⁿ | {' | '.join(f'{wait:,.0f}' for wait in waits)} |"
        in DOCUMENT
    )
    assert announce_plan.udp_try_seconds(9) == waits[-1]


def test_the_numbers_of_the_text() -> None:
    assert announce_plan.UDP_WAIT == udp_link.CONNECTION_LIFETIME == 60
    assert (
        announce.DEFAULT_INTERVAL
        == announce_plan.HTTP_RETRY.limit
        == announce_plan.REFUSED_RETRY.limit
        == 1800
    )
    assert announce_plan.REFUSED_RETRY.first == 60
    assert trackers.EXIT_LIMIT == 1
    assert announce_plan.HTTP_RETRY.growth == announce_plan.REFUSED_RETRY.growth == 2
    for text in (
        f"{MAX_ENTRIES:,} entries are read",
        f"| {http_tracker.MAX_BODY >> 20} MiB |",
        f"| {http_tracker.REQUEST_TIMEOUT:.0f} s each |",
        f"| {http_tracker.MAX_REDIRECTS}, to http and https only |",
        f"| {announce_url.MAX_URL:,} ASCII characters",
        f"up to {announce_plan.INTERVAL_JITTER:.0%} later",
        f"after {announce_plan.HTTP_RETRY.first:.0f} s, doubled up to 30 minutes",
        f"repeated every {udp_tracker.URGENT_REPEAT} s",
        f"| {announce.ASK_INTERVAL:.0f} s, or the interval |",
    ):
        assert text in DOCUMENT, text
