"""GET /announce and GET /scrape on Flask's test client, as every BitTorrent client sends them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from common import bencode
from common.compact_peers import decode_peers
from common.errors import MessageError
from tracker import announce_query
from tracker.announce_query import parse_announce, parse_scrape, swarm_key_of
from tracker.auth import SwarmKey
from tracker.model import Rules
from tracker.rate_limits import Limits
from tracker.service import TrackerService
from tracker.settings import WebSettings
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app

HASH = bytes(range(200, 220))  # bytes that are no text
OPEN = WebSettings(limits=Limits(1e6, 1e6), trusted_proxies=frozenset({"127.0.0.9"}))


def make(settings: WebSettings = OPEN, key: str | None = None, **rules: Any) -> FlaskClient:
    the_rules = Rules(**rules)
    service = TrackerService(MemoryStorage(the_rules), the_rules, swarm_key=SwarmKey(key))
    app = create_app(service, settings)
    app.testing = True
    return app.test_client()


@pytest.fixture
def client() -> FlaskClient:
    return make()


def peer_id(number: int) -> bytes:
    return b"-LT2110-%012d" % number


def query(number: int = 1, info_hash: bytes = HASH, **fields: Any) -> str:
    given = {
        "port": 6000 + number,
        "uploaded": 0,
        "downloaded": 0,
        "left": 1,
        "key": f"{number:08X}",
        **fields,
    }
    parts = [f"info_hash={quote_from_bytes(info_hash)}", f"peer_id={quote_from_bytes(peer_id(number))}"]
    return "&".join([*parts, *(f"{name}={value}" for name, value in given.items() if value is not None)])


def get(client: FlaskClient, path: str, remote: str = "127.0.0.1", **headers: str) -> Any:
    answer = client.get(path, environ_base={"REMOTE_ADDR": remote}, headers=headers)
    assert answer.status_code == 200
    return bencode.decode(answer.data)


def announce(client: FlaskClient, number: int = 1, remote: str = "127.0.0.1", **fields: Any) -> Any:
    return get(client, f"/announce?{query(number, **fields)}", remote)


def scrape(client: FlaskClient, info_hash: bytes = HASH) -> Any:
    return get(client, f"/scrape?info_hash={quote_from_bytes(info_hash)}")[b"files"][info_hash]


def test_peers_find_each_other_and_leave(client: FlaskClient) -> None:
    first = announce(client, 1, event="started", left=0)
    assert first == {b"complete": 1, b"incomplete": 0, b"interval": 300, b"min interval": 60, b"peers": b""}
    second = announce(client, 2, event="started", remote="127.0.0.2")
    assert (second[b"complete"], second[b"incomplete"]) == (1, 1)
    assert decode_peers(second[b"peers"]) == [("127.0.0.1", 6001)]
    assert decode_peers(announce(client, 1, left=0)[b"peers"]) == [("127.0.0.2", 6002)]
    announce(client, 2, event="completed", left=0, remote="127.0.0.2")
    assert scrape(client) == {b"complete": 2, b"downloaded": 1, b"incomplete": 0}
    assert announce(client, 1, left=0)[b"peers"] == b"", "a seed is given no seed"
    gone = announce(client, 1, event="stopped", left=0)
    assert (gone[b"complete"], gone[b"peers"]) == (1, b"")
    announce(client, 2, event="stopped", left=0, remote="127.0.0.2")
    assert scrape(client) == {b"complete": 0, b"downloaded": 1, b"incomplete": 0}, "an emptied swarm keeps it"
    announce(client, 1, left=0)
    assert scrape(client) == {b"complete": 1, b"downloaded": 1, b"incomplete": 0}


def test_a_list_of_dictionaries_for_clients_that_want_one(client: FlaskClient) -> None:
    announce(client, 1, left=0)
    announce(client, 3, left=0, remote="2001:db8::3")
    answer = announce(client, 2, compact=0)
    assert sorted(answer[b"peers"], key=lambda peer: peer[b"port"]) == [
        {b"ip": b"127.0.0.1", b"peer id": peer_id(1), b"port": 6001},
        {b"ip": b"2001:db8::3", b"peer id": peer_id(3), b"port": 6003},
    ]
    without = announce(client, 2, compact=0, no_peer_id=1, numwant=1)[b"peers"]
    assert len(without) == 1 and b"peer id" not in without[0]


def test_a_client_with_two_address_families_counts_once(client: FlaskClient) -> None:
    announce(client, 1, remote="10.0.0.1", left=0)
    announce(client, 1, remote="2001:db8::1", left=0)
    answer = announce(client, 2)
    assert answer[b"complete"] == 1
    assert decode_peers(answer[b"peers"]) == [("10.0.0.1", 6001)]
    assert decode_peers(answer[b"peers6"], 6) == [("2001:db8::1", 6001)]


def test_an_ipv4_address_in_ipv6_form_is_an_ipv4_address(client: FlaskClient) -> None:
    announce(client, 1, remote="::ffff:10.0.0.1")
    assert decode_peers(announce(client, 2)[b"peers"]) == [("10.0.0.1", 6001)]


def test_the_address_is_the_requests_own_whatever_the_client_says(client: FlaskClient) -> None:
    assert b"ip is ignored" in announce(client, 1, ip="8.8.8.8", ipv6="2001:db8::8")[b"warning message"]
    answer = announce(client, 2)
    assert decode_peers(answer[b"peers"]) == [("127.0.0.1", 6001)] and b"peers6" not in answer


def test_only_a_trusted_proxy_names_the_client(client: FlaskClient) -> None:
    path = f"/announce?{query(1)}"
    get(client, path, "127.0.0.9", **{"X-Forwarded-For": "9.9.9.9, 10.0.0.7"})
    get(client, f"/announce?{query(2)}", "127.0.0.8", **{"X-Forwarded-For": "10.0.0.8"})
    assert sorted(decode_peers(announce(client, 3)[b"peers"])) == [("10.0.0.7", 6001), ("127.0.0.8", 6002)]
    odd = get(client, path, "127.0.0.9", **{"X-Forwarded-For": "<script>"})
    assert b"address" in odd[b"failure reason"]


def test_nodes_that_listen_on_tcp_and_standard_peers_are_one_swarm(client: FlaskClient) -> None:
    node = {"node_id": 7, "addr": ["127.0.0.3", 4007], "filename": "f", "info_hash": HASH.hex(), "size": 9}
    client.post("/own", json={**node, "tcp_port": 7007})
    client.post("/own", json={**node, "node_id": 8, "addr": ["127.0.0.4", 4008]})  # speaks UDP only
    answer = announce(client, 1, compact=0)
    assert answer[b"peers"] == [{b"ip": b"127.0.0.3", b"port": 7007}]
    assert (answer[b"complete"], answer[b"incomplete"]) == (1, 1)
    question = {"node_id": 9, "info_hash": HASH.hex()}
    plain = client.post("/need", json=question).get_json()["search_result"]
    assert sorted(entry["node_id"] for entry, _ in plain) == [7, 8]
    both = client.post("/need", json={**question, "transports": ["udp", "tcp"]}).get_json()["search_result"]
    assert [entry for entry, _ in both if entry["node_id"] is None] == [
        {"node_id": None, "addr": ["127.0.0.1", 6001], "transport": "tcp", "complete": False,
         "peer_id": peer_id(1).hex()}
    ]  # fmt: skip
    assert {entry["node_id"]: entry.get("tcp_port") for entry, _ in both} == {7: 7007, 8: None, None: None}
    client.post("/register", json={"node_id": 7, "addr": ["127.0.0.3", 4007]})  # it listens no longer
    assert announce(client, 1)[b"peers"] == b""


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"port": 0}, b"port"), ({"port": 65536}, b"port"), ({"port": None}, b"port"),
        ({"port": "1e3"}, b"port"), ({"left": -1}, b"left"), ({"left": "9" * 30}, b"left"),
        ({"numwant": "many"}, b"numwant"), ({"event": "paused"}, b"event"),
        ({"info_hash": b"x" * 19}, b"info_hash"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_and_nothing_is_recorded(
    client: FlaskClient, fields: dict[str, Any], named: bytes
) -> None:
    assert named in announce(client, 1, **fields)[b"failure reason"]
    assert scrape(client)[b"incomplete"] == 0


def test_missing_fields_are_named(client: FlaskClient) -> None:
    for path in ("/announce", "/scrape", "/announce?info_hash=%zz", "/scrape?" + "&" * 9000):
        assert b"failure reason" in get(client, path)


def test_ten_thousand_announces_make_no_longer_list() -> None:
    client = make(nodes_per_address=10_000)
    for number in range(1, 1001):
        announce(client, number)
    assert len(announce(client, 5, numwant=10_000)[b"peers"]) == 6 * announce_query.MAX_WANTED
    assert len(announce(client, 5)[b"peers"]) == 6 * announce_query.DEFAULT_WANTED


def test_limits_of_an_address_hold_here_as_well() -> None:
    client = make(nodes_per_address=2)
    announce(client, 1)
    announce(client, 2)
    assert b"your address" in announce(client, 3)[b"failure reason"]
    slow = make(WebSettings(limits=Limits(0.1, 1.0)))
    announce(slow, 1)
    refused = announce(slow, 1)
    assert b"too many requests" in refused[b"failure reason"] and refused[b"retry in"] >= 1


def test_a_private_class_gives_addresses_to_its_members_only() -> None:
    client = make(key="join me&")
    assert b"swarm key is missing" in announce(client, 1)[b"failure reason"]
    assert b"swarm key is wrong" in announce(client, 1, swarm_key="guess")[b"failure reason"]
    assert announce(client, 1, swarm_key="join%20me%26")[b"incomplete"] == 1
    assert b"swarm key" in get(client, f"/scrape?info_hash={quote_from_bytes(HASH)}")[b"failure reason"]
    assert client.get("/torrents").status_code == 403
    assert get(client, f"/announce?{query(2)}", **{"X-Swarm-Key": "join me&"})[b"incomplete"] == 2


def test_torrents_lists_what_nodes_own_with_its_standard_peers(client: FlaskClient) -> None:
    for node in (1, 2):
        body = {"node_id": node, "addr": ["127.0.0.1", 4000 + node], "filename": "f", "size": 9}
        client.post("/own", json={**body, "info_hash": HASH.hex(), "complete": node == 1})
    client.post("/own", json={"node_id": 1, "addr": ["127.0.0.1", 4001], "filename": "plain"})
    announce(client, 1)
    announce(client, 2, left=0)
    announce(client, 3, info_hash=bytes(20))  # no node has named that torrent
    answer = client.get("/torrents").get_json()
    assert answer["total"] == 2
    assert answer["torrents"] == [
        {"name": "f", "info_hash": HASH.hex(), "size": 9, "owners": 2, "complete": 1, "partial": 1,
         "peers": 2, "complete_peers": 1, "tcp_peers": 2},
        {"name": "plain", "info_hash": None, "size": None, "owners": 1, "complete": 1, "partial": 0,
         "peers": 0, "complete_peers": 0, "tcp_peers": 0},
    ]  # fmt: skip
    assert len(client.get("/torrents?limit=1").get_json()["torrents"]) == 1
    assert client.get("/torrents?limit=5000").status_code == 400


# ---- the parser


@given(st.text(st.characters(max_codepoint=255), max_size=400))
def test_any_query_is_read_or_refused_with_the_named_error(text: str) -> None:
    for parse in (parse_announce, parse_scrape):
        try:
            parse(text)
        except MessageError as error:
            assert error.field and "\n" not in str(error)
    swarm_key_of(text.encode("latin-1"))


hashes = st.binary(min_size=20, max_size=20)


@given(hashes, hashes, st.integers(1, 65535), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_an_encoded_query_is_read_as_it_was_meant(
    info_hash: bytes, name: bytes, port: int, left: int, key: int
) -> None:
    text = (
        f"info_hash={quote_from_bytes(info_hash, safe='')}&peer_id={quote_from_bytes(name, safe='')}"
        f"&port={port}&left={left}&key={key:X}&numwant=-1"
    )
    read = parse_announce(text)
    assert (read.info_hash, read.peer_id, read.port, read.complete) == (info_hash, name, port, left == 0)
    assert (read.key, read.wanted) == (key.to_bytes(4, "big"), announce_query.DEFAULT_WANTED)
    assert parse_scrape(f"{text}&{text}").info_hashes == (info_hash, info_hash)
