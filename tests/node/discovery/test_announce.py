"""An announce's query, and the answers that HTTP trackers give: the usual, the odd and the hostile."""

from __future__ import annotations

import math
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import bencode
from common.addresses import unicast_host
from common.compact_peers import MAX_ENTRIES, encode_peers
from common.errors import TrackerPacketError
from common.udp_tracker import AnnounceEvent
from node.discovery.announce import (
    ASK_INTERVAL,
    DEFAULT_INTERVAL,
    MAX_INTERVAL,
    AnnounceFailure,
    AnnounceParams,
    AnnounceResult,
    announce_query,
    merged,
    parse_announce_answer,
)
from node.discovery.base import TransferTotals

A, B = ("10.0.0.1", 6881), ("10.0.0.2", 6882)
PARAMS = AnnounceParams(
    info_hash=bytes(range(20)),
    peer_id=b"-CS0100- &+%/abcdefg",
    port=6881,
    totals=TransferTotals(uploaded=1, downloaded=2, left=3),
    event=AnnounceEvent.STARTED,
    key=0xBEEF,
)


def parsed(fields: dict[bytes, bencode.Value]) -> AnnounceResult:
    answer = parse_announce_answer(bencode.encode(fields))
    assert isinstance(answer, AnnounceResult)
    return answer


def test_the_query_has_what_bep_3_asks_for() -> None:
    fields = parse_qs(announce_query(PARAMS), encoding="latin-1", strict_parsing=True)
    assert {name: value for name, (value,) in fields.items()} == {
        "info_hash": bytes(range(20)).decode("latin-1"),
        "peer_id": "-CS0100- &+%/abcdefg",
        "port": "6881",
        "uploaded": "1",
        "downloaded": "2",
        "left": "3",
        "numwant": "100",
        "key": "0000BEEF",
        "compact": "1",
        "no_peer_id": "1",
        "event": "started",
    }


def test_a_regular_announce_has_no_event_and_an_address_only_if_given() -> None:
    regular = replace(PARAMS, event=AnnounceEvent.NONE, ip="2001:db8::1", tracker_id=b"a=b&c")
    fields = parse_qs(announce_query(regular), encoding="latin-1", strict_parsing=True)
    assert "event" not in fields
    assert fields["ip"] == ["2001:db8::1"]
    assert fields["trackerid"] == ["a=b&c"]


@given(st.binary(min_size=20, max_size=20))
def test_any_info_hash_arrives_as_it_is(info_hash: bytes) -> None:
    query = announce_query(replace(PARAMS, info_hash=info_hash))
    assert parse_qs(query, encoding="latin-1")["info_hash"] == [info_hash.decode("latin-1")]


def test_compact_peers_of_both_versions() -> None:
    six = ("2001:db8::1", 7)
    answer = parsed(
        {
            b"interval": 900,
            b"min interval": 60,
            b"complete": 4,
            b"incomplete": 5,
            b"peers": encode_peers([A, B]),
            b"peers6": encode_peers([six], 6),
            b"tracker id": b"t",
            b"warning message": b"slow \x1b[31mdown",
        }
    )
    assert answer == AnnounceResult((A, B, six), 900.0, 60.0, 4, 5, "slow �[31mdown", b"t")


def test_dictionary_peers_are_used_one_by_one() -> None:
    def entry(**fields: bencode.Value) -> bencode.Value:
        return {name.replace("_", " ").encode(): value for name, value in fields.items()}

    peers = [
        entry(ip=b"10.0.0.1", port=6881, peer_id=b"x" * 20),
        entry(ip=b"2001:db8:0::1", port=1),
        entry(ip=b"tracker.example", port=1),  # a name: not looked up
        entry(ip=b"10.0.0.9", port=0),
        entry(ip=b"10.0.0.9", port=65536),
        entry(ip=b"10.0.0.9", port=b"80"),
        entry(ip=7, port=7),
        entry(ip=b"10.0.0.9", port=80, peer_id=PARAMS.peer_id),  # this peer
        entry(port=7),
        b"10.0.0.9",
        entry(ip=b"10.0.0.1", port=6881),
    ]
    answer = parse_announce_answer(bencode.encode({b"peers": peers}), PARAMS.peer_id)
    assert isinstance(answer, AnnounceResult)
    assert answer.peers == (A, ("2001:db8::1", 1))


def test_ten_thousand_peers_are_read_to_the_limit() -> None:
    many = [(f"10.0.{i >> 8}.{i & 255}", 1 + i) for i in range(10_000)]
    compact = parsed({b"peers": encode_peers(many)})
    listed = parsed({b"peers": [{b"ip": host.encode(), b"port": port} for host, port in many]})
    assert compact.peers == listed.peers == tuple(many[:MAX_ENTRIES])


@pytest.mark.parametrize("interval", [None, b"900", 0, -5, [], {}])
def test_an_interval_that_is_none_is_the_usual_one(interval: bencode.Value | None) -> None:
    fields: dict[bytes, bencode.Value] = {} if interval is None else {b"interval": interval}
    answer = parsed(fields)
    assert (answer.interval, answer.min_interval) == (DEFAULT_INTERVAL, ASK_INTERVAL)


def test_intervals_have_bounds_and_the_minimum_comes_first() -> None:
    assert parsed({b"interval": 10**39}).interval == MAX_INTERVAL
    assert parsed({b"interval": 5}).min_interval == 5.0
    answer = parsed({b"interval": 5, b"min interval": 60})
    assert (answer.interval, answer.min_interval) == (60.0, 60.0)


def test_keys_out_of_order_and_bytes_behind_are_no_fault() -> None:
    answer = parse_announce_answer(b"d5:peers0:8:intervali60eeextra\r\n")
    assert isinstance(answer, AnnounceResult)
    assert answer.interval == 60.0


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({b"failure reason": b"not registered\n"}, AnnounceFailure("not registered�")),
        ({b"failure reason": 7}, AnnounceFailure("(int)")),
        ({b"failure reason": b"x", b"retry in": b"5"}, AnnounceFailure("x", 300.0)),
        ({b"failure reason": b"x", b"retry in": b"never"}, AnnounceFailure("x", math.inf)),
        ({b"failure reason": b"x", b"retry in": b"soon"}, AnnounceFailure("x")),
        ({b"failure reason": b"y" * 999, b"peers": b""}, AnnounceFailure("y" * 200)),
    ],
)
def test_a_refusal_is_in_the_trackers_words(
    fields: dict[bytes, bencode.Value], failure: AnnounceFailure
) -> None:
    assert parse_announce_answer(bencode.encode(fields)) == failure


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not bencoded"),
        (b"<html>", "not bencoded"),
        (b"le", "not bencoded"),
        (b"d5:peers6:\0\0\0\0\0e", "not bencoded"),
        (b"d" * 100, "not bencoded"),
        (b"l" * 500_000, "not bencoded"),
        (b"d5:peersi7ee", "neither bytes nor a list"),
        (b"d5:peersdee", "neither bytes nor a list"),
        (b"d5:peers7:\0\0\0\0\0\0\0e", "no multiple of 6"),
        (b"d6:peers66:\0\0\0\0\0\0e", "no multiple of 18"),
    ],
)
def test_what_is_no_answer(body: bytes, reason: str) -> None:
    with pytest.raises(TrackerPacketError, match=reason):
        parse_announce_answer(body)


VALUES = st.recursive(
    st.integers(-5, 2**70) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([b"ip", b"port", b"peer id"]), inner)
    ),
    max_leaves=8,
)
FIELDS = [b"peers", b"peers6", b"interval", b"min interval", b"failure reason", b"warning message"]
FIELDS += [b"retry in", b"complete", b"tracker id"]


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_answer_parses_or_raises_the_named_error(fields: dict[bytes, bencode.Value]) -> None:
    try:
        answer = parse_announce_answer(bencode.encode(fields))
    except TrackerPacketError:
        return
    if isinstance(answer, AnnounceResult):
        assert 0 < answer.min_interval <= answer.interval <= MAX_INTERVAL
        assert len(set(answer.peers)) == len(answer.peers)
        assert all(unicast_host(host) == host and 0 < port < 65536 for host, port in answer.peers)


def test_answers_over_both_versions_are_one() -> None:
    one = AnnounceResult((A, B), 900, 30, 1, 2)
    two = AnnounceResult((B, ("2001:db8::1", 7)), 60, 60)
    assert merged([one, two]) == AnnounceResult((A, B, ("2001:db8::1", 7)), 900, 60, 1, 2)
