"""An owner's reaction to each datagram: an answer, a refusal, or silence and a count."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bitfield import Bitfield
from node.chunk_udp import wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.responder import Responder, SendChunk
from simulator.served import MemoryTorrent

HERE = ("192.0.2.7", 4000)
MINT = AddressValidator(b"secret")
TOKEN = MINT.make(HERE, 1.0)
SHARED = b"h" * 20
ASK = wire.Ask(7, 1, SHARED, TOKEN)
PIECE = 1000
REQUEST = wire.Request(7, 2, 0, 1000, SHARED, TOKEN, 1000)


def content(size: int = 100_000, *held: int, is_served: bool = True) -> MemoryTorrent:
    """A shared torrent of ``size`` bytes: whole, or only the pieces ``held``."""
    torrent = MemoryTorrent(bytes(size), PIECE)
    if held:
        torrent.have = Bitfield(torrent.info.geometry.piece_count)
        for piece in held:
            torrent.have.set(piece)
    torrent.is_served = is_served
    return torrent


def answerer(torrent: MemoryTorrent | None = None) -> Responder:
    return Responder(MINT, {SHARED: torrent or content()})


def give(owner: Responder, message: wire.Message, now: float = 1.0) -> object:
    return owner.handle_requests(wire.encode(message), HERE, now)


def changed(message: wire.Ask | wire.Request, **fields: Any) -> wire.Ask | wire.Request:
    if isinstance(message, wire.Request):
        return message._replace(**fields)
    return dataclasses.replace(message, **fields)


def test_who_shows_a_token_is_told_the_size() -> None:
    owner = answerer(content(12_345))
    assert give(owner, ASK) == wire.Tell(7, 1, 12_345, True)
    assert owner.counts == {"ask": 1}


def test_a_request_that_the_network_doubled_is_answered_once_and_one_asked_again_each_time() -> None:
    owner = answerer()
    again = REQUEST._replace(sequence=3)
    assert [give(owner, r) for r in (REQUEST, REQUEST, again, REQUEST)] == [
        *(SendChunk(REQUEST), None),
        *(SendChunk(again), None),
    ]
    assert owner.counts == {"request": 2, "copy": 2}


def test_what_was_refused_is_answered_when_it_is_held() -> None:
    torrent = content(100_000, 99)
    owner = answerer(torrent)
    assert give(owner, REQUEST) == wire.Refuse(7, 2, wire.Refusal.NOT_HELD)
    torrent.have = Bitfield.full(100)
    assert give(owner, REQUEST) == SendChunk(REQUEST)


def test_who_shows_none_gets_one_that_works() -> None:
    owner = answerer()
    for message in (ASK, REQUEST):
        answer = give(owner, changed(message, token=wire.NO_TOKEN))
        assert answer == wire.Token(message.transfer_id, message.sequence, TOKEN)
    assert owner.counts == {"token": 2}


def test_an_expired_token_gets_a_new_one() -> None:
    answer = give(answerer(), REQUEST, 100.0)
    assert answer == wire.Token(7, 2, MINT.make(HERE, 100.0))


def test_a_file_that_is_not_shared_is_refused_but_only_to_a_proved_address() -> None:
    owner = answerer()
    for message in (ASK, REQUEST):
        strange = changed(message, info_hash=b"x" * 20)
        assert give(owner, strange) == wire.Refuse(7, message.sequence, wire.Refusal.NOT_SHARED)
        assert isinstance(give(owner, changed(strange, token=wire.NO_TOKEN)), wire.Token)
    assert owner.counts == {"refused": 2, "token": 2}


def test_a_file_that_has_changed_is_refused() -> None:
    owner = answerer(content(is_served=False))
    for message in (ASK, REQUEST):
        assert give(owner, message) == wire.Refuse(7, message.sequence, wire.Refusal.CHANGED)


@pytest.mark.parametrize(
    ("offset", "length", "segment_size"),
    [
        (0, 1, 512),
        (99_999, 1, 1000),
        (0, 64_000, 1000),
        (36_000, 64_000, 1000),
        (0, 32_768, 512),
        (0, 100_000, wire.MAX_SEGMENT),
    ],
)
def test_a_range_within_the_file_is_sent(offset: int, length: int, segment_size: int) -> None:
    request = REQUEST._replace(offset=offset, length=length, segment_size=segment_size)
    owner = answerer()
    assert give(owner, request) == SendChunk(request)
    assert owner.counts == {"request": 1}


@pytest.mark.parametrize(
    ("offset", "length", "segment_size"),
    [
        (0, 0, 1000),  # nothing
        (100_000, 1, 1000),  # behind the end
        (99_999, 2, 1000),  # across the end
        (2**64 - 1, 1, 1000),  # far away
        (2**64 - 1, 2**32 - 1, 1000),
        (0, 64_001, 1000),  # more segments than one batch
        (0, wire.MAX_REQUEST + 1, wire.MAX_SEGMENT),
        (0, 1000, 0),  # a segment size that would never end
        (0, 1000, wire.MIN_SEGMENT - 1),  # too small to be worth its header
        (0, 1000, wire.MAX_SEGMENT + 1),  # no datagram is as large
        (0, 1000, 2**32 - 1),
    ],
)
def test_anything_else_is_met_with_silence(offset: int, length: int, segment_size: int) -> None:
    owner = answerer(content(100_000))
    request = REQUEST._replace(offset=offset, length=length, segment_size=segment_size)
    assert give(owner, request) is None
    assert owner.counts == {"out of bounds": 1}


def holding(pieces: int, *held: int) -> MemoryTorrent:
    """A content of ``pieces`` pieces, of which ``held`` are verified."""
    return content(pieces * PIECE, *held)


def test_who_has_only_some_pieces_tells_which() -> None:
    owner = answerer(holding(10, 0, 9))
    assert give(owner, ASK) == wire.Tell(7, 1, 10_000, False, 0, b"\x80\x40")


def test_who_has_all_pieces_by_now_is_complete() -> None:
    assert give(answerer(holding(3, 0, 1, 2)), ASK) == wire.Tell(7, 1, 3000, True)


def test_the_pieces_of_a_large_file_are_told_page_by_page() -> None:
    pieces = 8 * wire.MAX_BITFIELD
    torrent = holding(2 * pieces + 9, 3, pieces + 1, 2 * pieces + 8)
    owner, told = answerer(torrent), b""
    for first in (0, pieces, 2 * pieces):
        tell = give(owner, dataclasses.replace(ASK, first_piece=first))
        assert isinstance(tell, wire.Tell) and (tell.complete, tell.first_piece) == (False, first)
        assert len(wire.encode(tell)) <= 40 + wire.MAX_BITFIELD
        told += tell.bitfield
    assert told == torrent.have.to_bytes()


@given(st.integers(0, 2**64 - 1))
def test_a_page_begins_with_a_byte_and_may_be_empty(first: int) -> None:
    tell = give(answerer(holding(20, 8)), dataclasses.replace(ASK, first_piece=first))
    assert tell == wire.Tell(7, 1, 20_000, False, first // 8 * 8, b"\0\x80\0"[first // 8 :])


@pytest.mark.parametrize(
    ("offset", "length", "sent"),
    [(1000, 2000, True), (1500, 1, True), (999, 2, False), (2500, 501, False), (4000, 1000, False)],
)
def test_only_what_is_verified_is_sent(offset: int, length: int, sent: bool) -> None:
    request = REQUEST._replace(offset=offset, length=length)
    answer = give(answerer(holding(5, 1, 2)), request)
    assert answer == (SendChunk(request) if sent else wire.Refuse(7, 2, wire.Refusal.NOT_HELD))


def test_an_empty_file_is_told_of_and_nothing_of_it_sent() -> None:
    owner = answerer(content(0))
    assert give(owner, ASK) == wire.Tell(7, 1, 0, True)
    assert give(owner, REQUEST._replace(length=1)) is None


@pytest.mark.parametrize(
    "message",
    [
        wire.Token(7, 1, TOKEN),
        wire.Tell(7, 1, 5, True),
        wire.Refuse(7, 1, wire.Refusal.BUSY),
        wire.Data(7, 1, 0, b"bytes"),
    ],
)
def test_answers_are_not_answered(message: wire.Message) -> None:
    owner = answerer()
    assert give(owner, message) is None
    assert owner.counts == {"unexpected": 1}


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20))
def test_random_bytes_are_counted_and_met_with_silence(junk: list[bytes]) -> None:
    owner = answerer()
    assert [owner.handle_requests(datagram, HERE, 1.0) for datagram in junk] == [None] * len(junk)
    assert owner.counts == {"malformed": len(junk)}


U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)


@given(U64, st.one_of(U32, st.integers(0, 2000)), st.one_of(U32, st.integers(0, 70_000)))
def test_what_is_sent_is_always_within_the_file(offset: int, length: int, segment_size: int) -> None:
    offset %= 2**17 if offset % 2 else 2**64
    request = REQUEST._replace(offset=offset, length=length, segment_size=segment_size)
    answer = give(answerer(content(100_000)), request)
    if answer is not None:
        assert length > 0 and offset + length <= 100_000
        assert -(-length // segment_size) <= wire.MAX_SEGMENTS_PER_REQUEST
