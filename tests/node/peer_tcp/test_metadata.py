"""The metadata exchange (BEP 9), the extended handshake (BEP 10) and the allowed fast set (BEP 6)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import bencode
from common.bitfield import Bitfield
from common.errors import PeerFault, PeerWireError
from node.peer_tcp import events as ev
from node.peer_tcp import messages as m
from node.peer_tcp.allowed_fast import allowed_fast_set
from node.peer_tcp.config import WireTorrent
from node.peer_tcp.extension import ExtendedHandshake, decode_extended_handshake, encode_extended_handshake
from node.peer_tcp.limits import METADATA_QUEUE
from node.peer_tcp.metadata import (
    METADATA_PIECE,
    METADATA_TIMEOUT,
    MetadataFetch,
    MetadataKind,
    MetadataMessage,
    decode_metadata,
    encode_metadata,
)
from node.transport import MAX_METADATA_BYTES
from tests.node.peer_tcp.pair import GEOMETRY, ID_A, ID_B, Pair, config_of, connected_pair, kinds

LARGE_INFO = bytes(range(251)) * 2000  # 502,000 bytes: 31 pieces, the last one short
LARGE_HASH = hashlib.sha1(LARGE_INFO).digest()


def magnet_pair(raw_info: bytes, info_hash: bytes = LARGE_HASH) -> Pair:
    """``a`` knows only the info hash, ``b`` has the metadata ``raw_info`` and every piece."""
    a = config_of(ID_A, WireTorrent(info_hash, None, lambda: Bitfield(0)))
    b = config_of(ID_B, WireTorrent(info_hash, GEOMETRY, lambda: Bitfield.full(5), raw_info))
    pair = Pair(a, b, info_hash=info_hash)
    pair.run()
    return pair


def test_metadata_arrives_whole_and_verified() -> None:
    pair = magnet_pair(LARGE_INFO)
    pair.events_a += pair.a.fetch_metadata(pair.now)
    pair.run()
    progress = [event.received for event in pair.events_a if isinstance(event, ev.MetadataProgress)]
    assert progress == sorted(set(progress)) and progress[-1] == len(LARGE_INFO)
    assert pair.events_a[-1] == ev.MetadataComplete(LARGE_INFO)
    assert pair.a.extension.next_timer() is None


def test_pieces_are_fetched_on_the_connection_that_brought_the_metadata() -> None:
    pair = magnet_pair(LARGE_INFO)
    assert "PiecesKnown" not in kinds(pair.events_a)
    events = pair.a.learn_torrent(WireTorrent(LARGE_HASH, GEOMETRY, lambda: Bitfield(5)), pair.now)
    assert events == [ev.PiecesKnown(None)]
    pair.connect()
    pair.a.download.request(0, 1000, pair.now)
    pair.run()
    assert any(isinstance(event, ev.BlockData) for event in pair.events_a)


def test_wrong_metadata_closes_the_connection() -> None:
    pair = magnet_pair(LARGE_INFO[:-1] + b"?")
    pair.events_a += pair.a.fetch_metadata(pair.now)
    pair.run()
    failed = pair.events_a[-1]
    assert isinstance(failed, ev.WireFailed) and "not that of the torrent" in str(failed.fault)


def test_too_large_metadata_is_not_asked_for() -> None:
    pair = magnet_pair(LARGE_INFO)
    (failed,) = pair.a.fetch_metadata(pair.now, max_size=500_000)
    assert isinstance(failed, ev.MetadataFailed) and "at most 500000" in str(failed.fault)


def test_a_peer_without_metadata_says_so() -> None:
    pair = magnet_pair(b"")
    pair.events_a += pair.a.fetch_metadata(pair.now)
    pair.run()
    failed = [event for event in pair.events_a if isinstance(event, ev.MetadataFailed)]
    assert [str(event.fault) for event in failed] == ["has no metadata to give"]


def test_a_silent_peer_is_given_up() -> None:
    pair = magnet_pair(LARGE_INFO)
    assert pair.a.fetch_metadata(pair.now) == []
    assert pair.a.next_timer() == METADATA_TIMEOUT
    (failed,) = pair.a.on_timer(METADATA_TIMEOUT)
    assert isinstance(failed, ev.MetadataFailed) and "20 s" in str(failed.fault)


def test_metadata_requests_beyond_the_queue_are_rejected() -> None:
    pair = connected_pair()
    number = pair.a.extension.peer.numbers["ut_metadata"]
    request = m.encode(m.Extended(number, encode_metadata(MetadataMessage(MetadataKind.REQUEST, 0))))
    pair.b.receive(request * 3 * METADATA_QUEUE, pair.now)
    answers = pair.b.data_to_send(pair.now)
    assert answers.count(b"msg_typei2e") == 2 * METADATA_QUEUE
    assert answers.count(b"msg_typei1e") == METADATA_QUEUE


@pytest.mark.parametrize(
    ("size", "reason"),
    [(0, "0 bytes"), (MAX_METADATA_BYTES + 1, "at most")],
)
def test_impossible_sizes(size: int, reason: str) -> None:
    with pytest.raises(PeerFault, match=reason):
        MetadataFetch(LARGE_HASH, size)


def test_each_piece_is_checked() -> None:
    fetch = MetadataFetch(LARGE_HASH, len(LARGE_INFO))
    assert fetch.to_request() == list(range(8))
    with pytest.raises(PeerFault, match="not asked for"):
        fetch.on_data(MetadataMessage(MetadataKind.DATA, 9, bytes(METADATA_PIECE)))
    with pytest.raises(PeerFault, match="sends 5 bytes"):
        fetch.on_data(MetadataMessage(MetadataKind.DATA, 0, b"short"))


def test_the_message_of_bep_9() -> None:
    data = b"d8:msg_typei1e5:piecei0e10:total_sizei34256ee" + b"x" * 8
    message = MetadataMessage(MetadataKind.DATA, 0, b"x" * 8, 34256)
    assert encode_metadata(message) == data and decode_metadata(data) == message
    assert decode_metadata(b"d8:msg_typei7e5:piecei0ee") is None
    size_in_a_request = b"d8:msg_typei0e5:piecei3e10:total_sizei9ee"
    assert decode_metadata(size_in_a_request) == MetadataMessage(MetadataKind.REQUEST, 3)


@pytest.mark.parametrize(
    "bomb", [b"l" * 60_000, b"d1:a" * 16_000, b"i" + b"9" * 60_000, b"d8:msg_type9999999999:"]
)
def test_bombs_are_refused(bomb: bytes) -> None:
    with pytest.raises(PeerWireError):
        decode_metadata(bomb)
    with pytest.raises(PeerWireError):
        decode_extended_handshake(bomb)


@given(
    st.builds(
        ExtendedHandshake,
        numbers=st.dictionaries(st.sampled_from(["ut_metadata", "ut_pex", "x"]), st.integers(0, 255)),
        reqq=st.none() | st.integers(1, 1 << 16),
        client=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        port=st.none() | st.integers(1, 65535),
        your_ip=st.sampled_from([b"", bytes(4), bytes(16)]),
        metadata_size=st.none() | st.integers(1, 1 << 30),
        max_request=st.none() | st.integers(1 << 14, 1 << 30),
        node_id=st.none() | st.integers(0, (1 << 31) - 1),
    )
)
def test_extended_handshakes_survive_the_wire(handshake: ExtendedHandshake) -> None:
    assert decode_extended_handshake(encode_extended_handshake(handshake)) == handshake


def test_fields_of_wrong_types_count_as_absent() -> None:
    payload = bencode.encode(
        {b"m": [1], b"reqq": b"x", b"v": 5, b"p": 0, b"yourip": b"xyz", b"metadata_size": -1}
    )
    assert decode_extended_handshake(payload) == ExtendedHandshake()


def test_a_client_name_is_made_printable() -> None:
    payload = bencode.encode({b"v": b"evil\x1b[2J\n" + b"x" * 500})
    client = decode_extended_handshake(payload).client
    assert client.isprintable() and len(client) == 64


def test_the_allowed_fast_set_of_bep_6() -> None:
    pieces = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]
    assert allowed_fast_set("80.4.4.200", b"\xaa" * 20, 1313, 7) == pieces[:7]
    assert allowed_fast_set("80.4.4.200", b"\xaa" * 20, 1313, 9) == pieces
    assert sorted(allowed_fast_set("10.0.0.1", b"\xaa" * 20, 3, 9)) == [0, 1, 2]
    assert allowed_fast_set("::1", b"\xaa" * 20, 1313, 7) == []
