"""Our requests and the peer's: windows, cancels, chokes, timeouts."""

from __future__ import annotations

import pytest

from common.geometry import Geometry
from node.peer_tcp import events as ev
from node.peer_tcp import messages as m
from node.peer_tcp.extension import ExtendedHandshake, encode_extended_handshake
from node.peer_tcp.limits import (
    BLOCK,
    MAX_REQUEST,
    REQUEST_TIMEOUT,
    REQUESTS_AT_FIRST,
    REQUESTS_AT_LEAST,
    REQUESTS_AT_MOST,
)
from node.peer_tcp.messages import encode
from node.peer_tcp.outgoing_requests import BlockClaim, OutgoingRequests
from tests.node.peer_tcp.pair import (
    CONTENT,
    GEOMETRY,
    ID_A,
    PIECE_LENGTH,
    Pair,
    config_of,
    connected_pair,
    kinds,
)
from tests.node.peer_tcp.test_bad_input import block, opened

LARGE = Geometry(1 << 30, 1 << 20)


def test_requests_are_blocks_cut_at_pieces_and_sent_at_once() -> None:
    requests = OutgoingRequests(Geometry(100_000, 50_000), 0.0)
    asked = [(0, 16_000, 384), (0, 16_384, 16_384), (0, 32_768, 16_384), (0, 49_152, 848), (1, 0, 10)]
    assert requests.request(16_000, 50_010, 0.0) == m.encode_requests(asked)
    assert requests.request(16_000, 50_010, 0.0) == b""  # pending already
    assert len(requests) == 5


def test_the_window_grows_with_each_block_up_to_its_limit() -> None:
    requests = OutgoingRequests(LARGE, 0.0)
    assert requests.room() == REQUESTS_AT_FIRST * BLOCK
    requests.window.on_limit(10_000)
    offset = 0
    for _ in range(3 * REQUESTS_AT_MOST):
        requests.request(offset, offset + BLOCK, 0.0)
        assert requests.on_block(offset, BLOCK, 0.0) is BlockClaim.PENDING
        offset += BLOCK
    assert requests.room() == REQUESTS_AT_MOST * BLOCK
    requests.window.on_limit(7)
    assert requests.room() == 7 * BLOCK


def test_a_slow_peer_has_a_small_window() -> None:
    requests, now = OutgoingRequests(LARGE, 0.0), 0.0
    requests.request(0, BLOCK, 0.0)
    for at in range(100):
        requests.request((at + 1) * BLOCK, (at + 2) * BLOCK, now)
        now += 0.1  # 160 KiB a second
        requests.on_block(at * BLOCK, BLOCK, now)
    assert 10 <= requests.window.blocks <= 12


@pytest.mark.parametrize("round_trip", [0.1, 1.0, 2.0])
def test_the_window_grows_over_a_long_path(round_trip: float) -> None:
    requests, now, offset = OutgoingRequests(LARGE, 0.0), 0.0, 0
    requests.window.on_limit(1000)
    for _ in range(8):  # all that the window allows arrives a round trip later
        asked = range(offset, offset + requests.room(), BLOCK)
        requests.request(asked.start, asked.stop, now)
        offset, now = asked.stop, now + round_trip
        for at in asked:
            requests.on_block(at, BLOCK, now)
    assert requests.window.blocks == REQUESTS_AT_MOST


def test_reqq_of_the_peer_is_honoured() -> None:
    wire = opened()
    wire.receive(encode(m.Extended(0, encode_extended_handshake(ExtendedHandshake(reqq=3)))), 0.0)
    wire.receive(encode(m.Unchoke()), 0.0)
    assert wire.download.room() == 3 * BLOCK


def test_a_fast_peer_that_announces_it_is_asked_for_large_blocks() -> None:
    requests, piece = OutgoingRequests(LARGE, 0.0), 1 << 20
    small = [(0, at, BLOCK) for at in range(0, piece, BLOCK)]
    large = [(1, at, MAX_REQUEST) for at in range(0, piece, MAX_REQUEST)]
    requests.set_max_request(1 << 30)
    requests.window.on_limit(1000)
    assert requests.request(0, piece, 0.0) == m.encode_requests(small)  # its window is not open yet
    requests.window.on_blocks(REQUESTS_AT_MOST, BLOCK, 0.0)
    assert requests.request(piece, 2 * piece, 0.0) == m.encode_requests(large)
    assert requests.room() == REQUESTS_AT_MOST * BLOCK - 2 * piece
    assert requests.on_block(piece, MAX_REQUEST, 0.0) is BlockClaim.PENDING
    assert requests.cancel(0, 2 * piece)[0] == [(0, piece), (piece + MAX_REQUEST, 2 * piece)]
    assert requests.outstanding == 0 and requests.room() == REQUESTS_AT_MOST * BLOCK


def test_max_request_is_announced_and_learned() -> None:
    wire = opened()
    wire.receive(encode(m.Extended(0, encode_extended_handshake(ExtendedHandshake(max_request=40_000)))), 0.0)
    assert wire.download.requests.max_request == 2 * BLOCK
    pair = connected_pair()
    assert pair.a.download.requests.max_request == pair.b.download.requests.max_request == MAX_REQUEST


def test_nothing_is_requested_while_choked() -> None:
    wire = opened()
    assert wire.download.peer_choking and wire.download.room() == 0
    wire.receive(encode(m.AllowedFast(2)), 0.0)
    assert wire.download.room() == 0 and wire.download.allowed_fast == {2}


def test_a_choke_without_bep_6_gives_the_requests_back_and_late_blocks_are_dropped() -> None:
    wire = opened(fast=False)
    wire.receive(encode(m.Unchoke()), 0.0)
    wire.download.request(0, 2 * BLOCK, 0.0)
    events = wire.receive(encode(m.Choke()) + block(0, 0, bytes(BLOCK)), 0.0)
    assert events == [ev.PeerChoked([(0, 2 * BLOCK)])]
    assert wire.download.payload_dropped == BLOCK and wire.unreceived() == []


def test_a_choke_with_bep_6_leaves_them_until_they_are_rejected() -> None:
    wire = opened()
    wire.receive(encode(m.Unchoke()), 0.0)
    wire.download.request(0, 2 * BLOCK, 0.0)
    events = wire.receive(
        encode(m.Choke()) + block(0, 0, bytes(BLOCK)) + encode(m.RejectRequest(0, BLOCK, BLOCK)), 0.0
    )
    assert kinds(events) == ["PeerChoked", "BlockData", "RequestsRejected"]
    assert events[-1] == ev.RequestsRejected([(BLOCK, 2 * BLOCK)]) and wire.unreceived() == []


def test_doubled_chokes_and_unchokes_and_another_order_are_normal() -> None:
    wire = opened()
    assert kinds(wire.receive(2 * encode(m.Unchoke()), 0.0)) == ["PeerUnchoked"]
    wire.download.request(0, 2 * BLOCK, 0.0)
    events = wire.receive(block(0, BLOCK, bytes(BLOCK)) + block(0, 0, bytes(BLOCK)), 0.0)
    assert [event.offset for event in ev.one_by_one(events) if isinstance(event, ev.BlockData)] == [BLOCK, 0]


def test_cancelled_blocks_may_still_come() -> None:
    wire = opened()
    wire.download.request(0, 3 * BLOCK, 0.0)
    wire.data_to_send(0.0)
    assert wire.download.cancel(0, 2 * BLOCK) == [(0, 2 * BLOCK)]
    assert wire.data_to_send(0.0) == b"".join(encode(m.Cancel(0, at, BLOCK)) for at in (0, BLOCK))
    assert wire.receive(block(0, 0, bytes(BLOCK)), 0.0) == []
    assert wire.receive(encode(m.RejectRequest(0, BLOCK, BLOCK)), 0.0) == []
    assert wire.download.payload_dropped == BLOCK
    assert wire.unreceived() == [(2 * BLOCK, 3 * BLOCK)]


def test_a_peer_that_answers_no_request_is_snubbing() -> None:
    wire = opened()
    wire.receive(encode(m.Unchoke()), 0.0)
    wire.download.request(0, BLOCK, 5.0)
    assert wire.next_timer() == 5.0 + REQUEST_TIMEOUT
    assert wire.on_timer(5.0 + REQUEST_TIMEOUT) == [ev.RequestsReturned([(0, BLOCK)])]
    assert wire.download.snubbed and wire.download.room() == REQUESTS_AT_LEAST * BLOCK
    wire.download.request(BLOCK, 2 * BLOCK, 30.0)
    assert kinds(wire.receive(block(0, BLOCK, bytes(BLOCK)), 31.0)) == ["BlockData"]
    assert not wire.download.snubbed


def test_the_peer_is_unchoked_only_while_it_is_interested() -> None:
    pair = connected_pair()
    pair.b.upload.choke()
    pair.a.download.set_interested(False)
    pair.run()
    assert not pair.b.upload.unchoke() and pair.b.data_to_send(pair.now) == b""
    pair.a.download.set_interested(True)
    pair.run()
    assert pair.b.upload.unchoke()


def test_a_choke_rejects_what_waits() -> None:
    pair = connected_pair()
    pair.b.upload.allowed_fast = frozenset()
    pair.a.download.request(0, PIECE_LENGTH, pair.now)
    pair.b.receive(pair.a.data_to_send(pair.now), pair.now)
    pair.b.upload.choke()
    pair.run()
    back = [
        span for event in pair.events_a if isinstance(event, ev.RequestsRejected) for span in event.ranges
    ]
    assert sum(end - start for start, end in back) == PIECE_LENGTH
    assert pair.a.unreceived() == []


def test_a_newcomer_fetches_its_allowed_fast_pieces_once_while_choked() -> None:
    seed = connected_pair()
    pair = Pair(config_of(ID_A, host=seed.a.config.host), seed.b.config)
    pair.run()
    assert pair.a.download.peer_choking and sorted(pair.a.download.allowed_fast) == [0, 1, 2, 3, 4]
    pair.a.download.request(0, GEOMETRY.size, pair.now)
    pair.run()
    assert bytes(pair.received) == CONTENT
    pair.a.download.request(0, GEOMETRY.size, pair.now)
    pair.run()
    assert "RequestsRejected" in kinds(pair.events_a)


def test_a_download_that_ends_gets_everything_back_and_no_later_one_its_bytes() -> None:
    wire = opened()
    wire.receive(encode(m.Unchoke()), 0.0)
    wire.download.request(0, 3 * BLOCK, 0.0)
    wire.data_to_send(0.0)
    first = block(0, 0, bytes(BLOCK))
    assert kinds(wire.receive(first[:1013], 0.0)) == ["BlockData"]
    assert sorted(wire.download.withdraw()) == [(1000, BLOCK), (BLOCK, 3 * BLOCK)]
    assert wire.data_to_send(0.0).count(b"\0\0\0\x0d\x08") == 2
    assert wire.receive(first[1013:], 0.0) == [] and wire.unreceived() == []
