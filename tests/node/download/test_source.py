"""A source's session: large requests are taken several at a time, small ones one by one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from common.bitfield import Bitfield
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from common.ranges import RangeSet
from node.chunk_udp import wire
from node.download.known_peers import Candidate
from node.download.source import LARGE_REQUEST, REQUESTS_AT_A_TIME, SourceThread
from node.download.state import DownloadState
from node.peer import Peer
from node.transport import Reject

PIECE = 4 * 1024 * 1024
PIECES = 3
OTHER = Peer("127.0.0.1", 2, node_id=2)


class NoBuffer:
    """Nothing arrives."""

    checked = True
    used = False

    def flush(self) -> None: ...

    def keep_jobs(self, kept: bool) -> None: ...

    def take_jobs(self) -> None: ...


@pytest.fixture
def metainfo() -> Metainfo:
    pieces = hashlib.sha1(bytes(PIECE)).digest() * PIECES
    return decode_metainfo(encode_metainfo("x.bin", PIECES * PIECE, PIECE, pieces, ""))


@pytest.fixture
def state(metainfo: Metainfo) -> DownloadState:
    return DownloadState(metainfo.geometry, Bitfield(PIECES))


@pytest.fixture
def source(metainfo: Metainfo, state: DownloadState, tmp_path: Path) -> SourceThread:
    buffer: Any = NoBuffer()
    made = SourceThread(
        Candidate(Peer("127.0.0.1", 1, node_id=1)), metainfo, state, buffer, Mock(), lambda *_: None
    )
    state.start([made.peer])
    state._scheduler._parole._trusted |= {made.peer, OTHER}
    return made


def test_large_requests_are_taken_several_at_a_time(source: SourceThread, state: DownloadState) -> None:
    size = wire.MAX_REQUEST
    spans = [source.next_range(size) for _ in range(REQUESTS_AT_A_TIME)]
    assert spans == [(at * size, (at + 1) * size, False) for at in range(REQUESTS_AT_A_TIME)]
    assert state._scheduler._pending.of(source.peer) == REQUESTS_AT_A_TIME * size
    assert source.next_range(size) == (REQUESTS_AT_A_TIME * size, (REQUESTS_AT_A_TIME + 1) * size, False)
    assert state._scheduler._pending.of(source.peer) == 2 * REQUESTS_AT_A_TIME * size


def test_a_piece_that_is_announced_again_is_counted_once(source: SourceThread) -> None:
    def counts(*pieces: int) -> list[int | None]:
        found = []
        for piece in pieces:
            source.on_have(piece)
            found.append(source.candidate.pieces_held)
        return found

    assert counts(0) == [None]  # before the bitfield
    first = Bitfield(PIECES)
    first.set(1)
    source.on_bitfield(first)
    assert counts(1, 2, 2, 1) == [1, 2, 2, 2]
    source.on_bitfield(first, is_all=False)  # it chokes us, and allows one of its two pieces
    assert source.candidate.pieces_held == 2
    source.on_bitfield(None)  # a seed
    assert counts(0, 1) == [None, None]


def test_small_requests_are_taken_one_by_one(source: SourceThread, state: DownloadState) -> None:
    size = LARGE_REQUEST - 1
    assert source.next_range(size) == (0, size, False)
    assert state._scheduler._pending.of(source.peer) == size


def test_a_slower_connection_gets_smaller_requests(source: SourceThread) -> None:
    assert source.next_range(wire.MAX_REQUEST) == (0, wire.MAX_REQUEST, False)
    assert source.next_range(1000) == (wire.MAX_REQUEST, wire.MAX_REQUEST + 1000, False)


def test_unrequested_bytes_are_free_for_others_at_the_end(source: SourceThread, state: DownloadState) -> None:
    assert source.next_range(wire.MAX_REQUEST) == (0, wire.MAX_REQUEST, False)
    source.on_returned([(0, wire.MAX_REQUEST)])
    source.on_returned([])
    assert not state._scheduler._pending
    state.leave(source.peer)
    state.join(OTHER)
    taken = RangeSet()
    while span := state.take(OTHER, PIECE):
        assert not taken.overlap(*span[:2])
        taken.add(*span[:2])
    assert list(taken) == [(0, PIECES * PIECE)]


def told_all(source: SourceThread, state: DownloadState) -> None:
    """The source is complete, and another peer has a part."""
    source.on_bitfield(None)
    state.join(OTHER)
    state.on_bitfield(OTHER, Bitfield(PIECES))


def test_a_piece_rejected_as_not_rare_is_deferred_with_the_unrequested_rest(
    source: SourceThread, state: DownloadState
) -> None:
    told_all(source, state)
    state.meter(source.peer).rate = 10e6  # so it may be asked for much in advance
    first = source.next_range(LARGE_REQUEST)
    assert first is not None and first.rare_only and source._taken is not None
    source.on_rejected([(first.start, first.end)], Reject.NOT_RARE)
    assert not state._scheduler._pending
    piece = first.start // PIECE
    following = source.next_range(LARGE_REQUEST)
    assert following is not None and following.start // PIECE != piece
    state.on_bitfield(OTHER, Bitfield.full(PIECES))  # the receiver has announced it
    state.meter(OTHER).rate = 1e9
    taken = RangeSet()
    while span := state.take(OTHER, PIECE):
        taken.add(*span[:2])
    assert taken.overlap(piece * PIECE, (piece + 1) * PIECE) == [(piece * PIECE, (piece + 1) * PIECE)]


def test_the_first_piece_of_a_new_owner_is_never_rare_only(
    source: SourceThread, state: DownloadState
) -> None:
    told_all(source, state)
    state.dismiss(source.peer)
    state.join(source.peer)
    wanted = source.next_range(LARGE_REQUEST)
    assert wanted is not None and not wanted.rare_only


def test_among_complete_owners_no_request_is_rare_only(source: SourceThread) -> None:
    source.on_bitfield(None)
    wanted = source.next_range(LARGE_REQUEST)
    assert wanted is not None and not wanted.rare_only
