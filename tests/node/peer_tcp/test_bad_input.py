"""Everything that a peer may do wrong closes its connection, with a reason in words."""

from __future__ import annotations

import struct

import pytest

from common.bitfield import Bitfield
from node.peer_tcp import events as ev
from node.peer_tcp import limits
from node.peer_tcp import messages as m
from node.peer_tcp.config import WireConfig
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.handshake import Handshake, encode_handshake, keeps_newer
from node.peer_tcp.messages import encode
from node.peer_tcp.states import STATES, WireState
from tests.node.peer_tcp.pair import (
    GEOMETRY,
    ID_A,
    ID_B,
    INFO_HASH,
    PIECE_LENGTH,
    Host,
    config_of,
    kinds,
    torrent_with,
)

COUNT = GEOMETRY.piece_count
ALL_BITS = Bitfield.full(COUNT).to_bytes()


def fault_in(events: list[ev.WireEvent]) -> str:
    """The reason of the last event, WireFailed; "" if there is none."""
    assert all(not isinstance(event, ev.WireFailed) for event in events[:-1])
    return str(events[-1].fault) if events and isinstance(events[-1], ev.WireFailed) else ""


def accepted(config: WireConfig | None = None) -> PeerWire:
    return PeerWire(config or config_of(ID_B), 0.0)


def shaken(config: WireConfig | None = None, fast: bool = True, peer_id: bytes = ID_A) -> PeerWire:
    """An accepted connection after the handshake of a peer ``a``."""
    wire = accepted(config)
    wire.receive(encode_handshake(Handshake(INFO_HASH, peer_id, fast=fast)), 0.0)
    return wire


def opened(config: WireConfig | None = None, fast: bool = True) -> PeerWire:
    """The same, after the peer said that it holds nothing and is interested."""
    wire = shaken(config, fast)
    wire.receive(encode(m.HaveNone()) if fast else b"", 0.0)
    wire.receive(encode(m.Interested()), 0.0)
    wire.upload.unchoke()
    wire.data_to_send(0.0)
    assert wire.state is WireState.OPEN
    return wire


def raw(number: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """A message with any length field."""
    return struct.pack(">IB", 1 + len(payload) if length is None else length, number) + payload


# ---- before the handshake is done


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x13BitTorrent protocol" + bytes(8) + b"u" * 20, "not shared here"),
        (b"\x13BitTorrent protocoX", "not the BitTorrent handshake"),
        (encode(m.Interested()) + bytes(700), "no encrypted handshake"),
        (bytes(96), "a key that no"),
        (b"GET / HTTP/1.1\r\n" + b"x" * 700, "no encrypted handshake"),
    ],
)
def test_no_handshake(data: bytes, reason: str) -> None:
    assert reason in fault_in(accepted().receive(data, 0.0))


def test_the_dialled_peer_has_another_torrent() -> None:
    wire = PeerWire(config_of(ID_A), 0.0, INFO_HASH, encrypted=False)
    assert "another torrent" in fault_in(wire.receive(encode_handshake(Handshake(b"u" * 20, ID_B))[:48], 0.0))


def test_the_dialled_peer_sends_messages_at_once() -> None:
    wire = PeerWire(config_of(ID_A), 0.0, INFO_HASH, encrypted=False)
    assert (
        fault_in(wire.receive(encode(m.Unchoke()), 0.0)) == "sent bytes that are not the BitTorrent handshake"
    )


def test_a_connection_to_this_node_itself() -> None:
    wire = accepted()
    assert fault_in(wire.receive(encode_handshake(Handshake(INFO_HASH, ID_B)), 0.0)) == "is this node itself"


def test_a_peer_that_is_not_wanted() -> None:
    wire = accepted(config_of(ID_B, host=Host(torrent_with(), refused="is connected already")))
    assert fault_in(wire.receive(encode_handshake(Handshake(INFO_HASH, ID_A)), 0.0)) == "is connected already"


def test_both_sides_keep_the_same_connection() -> None:
    # a dialled one, b the other: each side compares the newer one with the older one
    for newer_dialled_by_a in (True, False):
        a_keeps_newer = keeps_newer(ID_A, ID_B, newer_dialled_by_a)
        b_keeps_newer = keeps_newer(ID_B, ID_A, not newer_dialled_by_a)
        assert a_keeps_newer is b_keeps_newer


# ---- lengths and ids


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xff\xff\xff", "a message of 4294967295 bytes"),
        (b"\x00\x10\x00\x00", "a message of 1048576 bytes"),
        (raw(0, b"x"), "message choke of 2 bytes"),
        (raw(4, b"xyz"), "message have of 4 bytes"),
        (raw(6, bytes(11)), "message request of 12 bytes"),
        (raw(7, bytes(8)), "message piece of 9 bytes"),
        (raw(7, b"", 9 + limits.MAX_REQUEST + 1), "message piece of"),
        (raw(9, b"x"), "message port of 2 bytes"),
        (raw(20), "message extended of 1 bytes"),
        (raw(20, b"", limits.MAX_EXTENDED + 100), "message extended of"),
        (raw(99, b"", limits.MAX_UNKNOWN + 2), "message with id 99 of"),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_wrong_lengths(data: bytes, reason: str, step: int) -> None:
    wire = opened()
    events: list[ev.WireEvent] = []
    for at in range(0, len(data), step):
        events += wire.receive(data[at : at + step], 0.0)
    assert reason in fault_in(events)
    assert wire.state is WireState.CLOSED


def test_unknown_ids_are_skipped_but_not_without_end() -> None:
    wire = opened()
    assert wire.receive(raw(99, b"later"), 0.0) == []
    assert "change nothing" in fault_in(wire.receive(raw(99) * 3000, 0.0))


# ---- bitfields


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (raw(5, ALL_BITS + b"\0"), "bitfield of 2 bytes, where 5 pieces take 1"),
        (raw(5, b""), "bitfield of 0 bytes"),
        (raw(5, b"\xff"), "spare bits"),
        (encode(m.HaveAll()) + encode(m.HaveNone()), "HaveNone after other messages"),
        (encode(m.HaveNone()) + raw(5, b"\xff"), "spare bits"),
        (encode(m.Have(COUNT)), "a have of piece 5"),
        (encode(m.Have(0xFFFFFFFF)), "a have of piece"),
    ],
)
def test_wrong_bitfields_and_haves(data: bytes, reason: str) -> None:
    assert reason in fault_in(shaken().receive(data, 0.0))


@pytest.mark.parametrize("first", [m.HaveNone(), m.Interested(), m.Have(1)])
def test_a_late_bitfield_counts_as_haves(first: m.WireMessage) -> None:
    """aria2 sends one in place of many haves."""
    events = shaken().receive(encode(first) + raw(5, ALL_BITS), 0.0)
    gained = [event.piece for event in events if isinstance(event, ev.PieceGained)]
    assert sorted(gained) == list(range(COUNT)) and fault_in(events) == ""


@pytest.mark.parametrize("first", [m.KeepAlive(), m.Extended(0, b"de"), m.Port(5), m.AllowedFast(1)])
def test_a_bitfield_after_harmless_messages_is_accepted(first: m.WireMessage) -> None:
    events = shaken().receive(encode(first) + raw(5, ALL_BITS), 0.0)
    assert ev.PiecesKnown(None) in events and fault_in(events) == ""


@pytest.mark.parametrize(
    "message",
    [m.HaveAll(), m.HaveNone(), m.RejectRequest(0, 0, 1), m.AllowedFast(0), m.SuggestPiece(0)],
)
def test_fast_messages_without_the_fast_extension(message: m.WireMessage) -> None:
    assert "without the fast extension" in fault_in(shaken(fast=False).receive(encode(message), 0.0))


# ---- requests


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (m.BlockRequest(COUNT, 0, 1), "which has fewer"),
        (m.BlockRequest(0, PIECE_LENGTH, 1), "which has fewer"),
        (m.BlockRequest(0, PIECE_LENGTH - 1, 2), "which has fewer"),
        (m.BlockRequest(COUNT - 1, 0, PIECE_LENGTH), "which has fewer"),
        (m.BlockRequest(0, 0xFFFFFFFF, 0x4000), "which has fewer"),
        (m.BlockRequest(0, 0, limits.MAX_REQUEST + 1), "bytes at a time"),
        (m.BlockRequest(0, 0, 0), "0 bytes at a time"),
    ],
)
def test_requests_out_of_range(request_: m.BlockRequest, reason: str) -> None:
    assert reason in fault_in(opened().receive(encode(request_), 0.0))


def requests(count: int) -> bytes:
    return b"".join(encode(m.BlockRequest(0, at, 1)) for at in range(count))


def test_requests_beyond_reqq_are_rejected_and_a_flood_closes() -> None:
    wire = opened()
    assert kinds(wire.receive(requests(limits.REQUESTS_ACCEPTED), 0.0)) == ["BlocksRequested"]
    assert wire.data_to_send(0.0) == b""
    extra = m.BlockRequest(1, 0, 1)
    wire.receive(encode(extra), 0.0)
    assert wire.data_to_send(0.0) == encode(m.RejectRequest(*extra))
    assert len(wire.upload.requests) == limits.REQUESTS_ACCEPTED
    assert "change nothing" in fault_in(wire.receive(requests(3000), 0.0))


def test_requests_of_a_choked_peer_are_rejected_or_without_bep_6_dropped() -> None:
    request = m.BlockRequest(0, 0, 1)
    for fast, answer in ((True, encode(m.RejectRequest(*request))), (False, b"")):
        wire = opened(fast=fast)
        wire.upload.choke()
        wire.upload.allowed_fast = frozenset()
        wire.data_to_send(0.0)
        wire.receive(encode(request), 0.0)
        assert wire.data_to_send(0.0) == answer and not wire.has_blocks


def test_requests_for_pieces_that_we_do_not_hold() -> None:
    wire = opened(config_of(ID_B, torrent_with([1])))
    assert fault_in(wire.receive(requests(limits.BAD_REQUESTS), 0.0)) == ""
    assert fault_in(wire.receive(requests(1), 0.0)) == "requests pieces that we do not hold"


@pytest.mark.parametrize(
    "message",
    [
        m.Have(1),
        m.Choke(),
        m.Unchoke(),
        m.Interested(),
        m.NotInterested(),
        m.KeepAlive(),
        m.Cancel(0, 0, 1),
        m.Extended(0, b"de"),
        m.Extended(77, b"x"),
        m.Port(6881),
        m.RejectRequest(0, 0, 1),
        m.SuggestPiece(0),
        m.AllowedFast(0),
    ],
)
def test_floods(message: m.WireMessage) -> None:
    wire = opened()
    assert fault_in(wire.receive(encode(message) * 1500, 0.0)) == ""
    assert len(wire.data_to_send(0.0)) < 1000
    assert fault_in(wire.receive(encode(message) * 600, 0.0)) == "floods us with messages that change nothing"


def test_requests_and_cancels_in_turn_are_a_flood_too() -> None:
    wire, request = opened(), m.BlockRequest(0, 0, 1)
    pair = encode(request) + encode(m.Cancel(*request))
    assert "change nothing" in fault_in(wire.receive(pair * 2100, 0.0))


# ---- blocks


def block(piece: int, begin: int, data: bytes) -> bytes:
    return encode(m.Block(piece, begin, len(data), 0, data))


def test_blocks_that_were_never_asked_for_are_dropped_and_then_close() -> None:
    wire = opened()
    wire.download.request(0, limits.BLOCK, 0.0)
    unrequested = block(3, 0, b"x" * 100)
    assert kinds(wire.receive(unrequested * limits.UNREQUESTED_BLOCKS, 0.0)) == []
    assert wire.download.payload_dropped == 100 * limits.UNREQUESTED_BLOCKS
    assert fault_in(wire.receive(unrequested, 0.0)) == "sends blocks that were not asked for"
    assert wire.unreceived() == [(0, limits.BLOCK)]


def test_a_block_of_another_length_is_not_what_was_asked_for() -> None:
    wire = opened()
    wire.download.request(0, 1000, 0.0)
    assert wire.receive(block(0, 0, b"x" * 999), 0.0) == []
    assert wire.unreceived() == [(0, 1000)]


def test_the_events_before_a_fault_count() -> None:
    wire = opened()
    wire.download.request(0, 1000, 0.0)
    events = wire.receive(block(0, 0, b"x" * 1000) + b"\xff" * 5, 0.0)
    assert kinds(events) == ["BlockData", "WireFailed"]
    assert wire.receive(block(0, 0, b"x" * 1000), 0.0) == []  # nothing after it


# ---- time


@pytest.mark.parametrize(
    ("state", "at_once"),
    [(WireState.MSE, b"k"), (WireState.HANDSHAKE, b"\x13BitTorrent protocol")],
)
def test_one_byte_a_second_does_not_keep_a_handshake_open(state: WireState, at_once: bytes) -> None:
    wire = accepted()
    wire.receive(at_once, 0.0)
    assert wire.state is state
    now, events, timeout = 0.0, [], STATES[state].timeout
    assert timeout is not None
    while wire.state is not WireState.CLOSED:
        now += 1.0
        events += wire.receive(b"b", now)
        due = wire.next_timer()
        if due is not None and due <= now:
            events += wire.on_timer(now)
    assert fault_in(events) == f"did not send {STATES[state].waits_for} within {timeout:.0f} s"
    assert now == timeout


def test_one_byte_a_second_does_not_keep_a_message_open() -> None:
    wire, now = opened(), 0.0
    events: list[ev.WireEvent] = []
    for number in raw(20, bytes(200)):
        events += wire.receive(bytes([number]), now)
        now += 1.0
        due = wire.next_timer()
        if due is not None and due <= now:
            events += wire.on_timer(now)
    assert "for one message" in fault_in(events)


def test_a_silent_peer_is_dropped_and_keep_alives_are_sent() -> None:
    wire = opened()
    due = wire.next_timer()
    assert due == limits.KEEP_ALIVE_AFTER
    assert wire.on_timer(due) == [] and wire.data_to_send(due) == encode(m.KeepAlive())
    due = wire.next_timer()
    assert due == limits.SILENCE_TIMEOUT
    assert fault_in(wire.on_timer(due)) == "was silent for 150 s"
    assert wire.next_timer() is None


def test_a_keep_alive_every_two_minutes_keeps_the_connection() -> None:
    wire, now = opened(), 0.0
    for _ in range(10):
        now += 119.0
        assert wire.receive(encode(m.KeepAlive()), now) == []
        assert fault_in(wire.on_timer(now)) == ""


def test_a_peer_that_became_complete_may_say_so_at_once() -> None:
    """aria2 sends HaveAll in place of its last haves."""
    wire = opened()
    wire.receive(encode(m.Have(1)), 0.0)
    events = wire.receive(encode(m.HaveAll()), 0.0)
    assert [event.piece for event in events if isinstance(event, ev.PieceGained)] == [0, 2, 3, 4]
    assert wire.download.held.complete and wire.receive(encode(m.HaveAll()), 0.0) == []
