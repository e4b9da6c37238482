"""One owner's supply: large requests come from the board by the portion, small ones one by one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from common.bitfield import Bitfield
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from common.ranges import RangeSet
from node.chunk_udp import wire
from node.download.known_peers import Candidate
from node.download.source import LARGE_REQUEST, PORTION, SourceThread
from node.download.state import DownloadState
from node.peer import Peer
from node.transport import Reject

PIECE = 4 * 1024 * 1024
PIECES = 3
OTHER = Peer("127.0.0.1", 2, node_id=2)


class NoLanding:
    """Nothing arrives."""

    checked = True
    began = False

    def flush(self) -> None: ...


@pytest.fixture
def metainfo() -> Metainfo:
    pieces = hashlib.sha1(bytes(PIECE)).digest() * PIECES
    return decode_metainfo(encode_metainfo("x.bin", PIECES * PIECE, PIECE, pieces, ""))


@pytest.fixture
def board(metainfo: Metainfo) -> DownloadState:
    return DownloadState(metainfo.geometry, Bitfield(PIECES))


@pytest.fixture
def source(metainfo: Metainfo, board: DownloadState, tmp_path: Path) -> SourceThread:
    landing: Any = NoLanding()
    transport: Any = None
    made = SourceThread(
        Candidate(Peer("127.0.0.1", 1, node_id=1)), metainfo, board, landing, lambda *_: None, transport
    )
    board.start([made.key])
    board._plan.probation.right(0, [made.key, OTHER])  # both are known
    return made


def test_large_requests_are_taken_by_the_portion(source: SourceThread, board: DownloadState) -> None:
    size = wire.MAX_REQUEST
    spans = [source.next_range(size) for _ in range(PORTION)]
    assert spans == [(at * size, (at + 1) * size, False) for at in range(PORTION)]
    assert board._plan.outstanding.of(source.key) == PORTION * size
    assert source.next_range(size) == (PORTION * size, (PORTION + 1) * size, False)
    assert board._plan.outstanding.of(source.key) == 2 * PORTION * size


def test_small_requests_are_taken_one_by_one(source: SourceThread, board: DownloadState) -> None:
    size = LARGE_REQUEST - 1
    assert source.next_range(size) == (0, size, False)
    assert board._plan.outstanding.of(source.key) == size


def test_who_slows_down_is_asked_for_no_more_at_a_time_than_fits(source: SourceThread) -> None:
    assert source.next_range(wire.MAX_REQUEST) == (0, wire.MAX_REQUEST, False)
    assert source.next_range(1000) == (wire.MAX_REQUEST, wire.MAX_REQUEST + 1000, False)


def test_what_is_in_hand_at_the_end_is_for_others_once(source: SourceThread, board: DownloadState) -> None:
    assert source.next_range(wire.MAX_REQUEST) == (0, wire.MAX_REQUEST, False)
    source.on_returned([(0, wire.MAX_REQUEST)])
    source.on_returned([])
    assert not board._plan.outstanding
    board.leave(source.key)
    board.join(OTHER)
    taken = RangeSet()
    while span := board.take(OTHER, PIECE):
        assert not taken.overlap(*span)
        taken.add(*span)
    assert list(taken) == [(0, PIECES * PIECE)]


def told_all(source: SourceThread, board: DownloadState) -> None:
    """It has everything, and somebody else has a part."""
    source.on_bitfield(None)
    board.join(OTHER)
    board.told(OTHER, Bitfield(PIECES))


def test_what_somebody_else_has_just_got_is_left_to_them_with_all_that_is_in_hand(
    source: SourceThread, board: DownloadState
) -> None:
    told_all(source, board)
    board.meter(source.key).rate = 10e6  # so it may be asked for much in advance
    first = source.next_range(LARGE_REQUEST)
    assert first is not None and first.rare_only and source._in_hand[0] < source._in_hand[1]
    source.on_rejected([(first.start, first.end)], Reject.NOT_RARE)
    assert not board._plan.outstanding and not board.wants_rare(source.key, first.start)
    piece = first.start // PIECE
    following = source.next_range(LARGE_REQUEST)
    assert following is not None and following.start // PIECE != piece
    board.told(OTHER, Bitfield.full(PIECES))  # who got it has told
    board.meter(OTHER).rate = 1e9
    taken = RangeSet()
    while span := board.take(OTHER, PIECE):
        taken.add(*span)
    assert taken.overlap(piece * PIECE, (piece + 1) * PIECE) == [(piece * PIECE, (piece + 1) * PIECE)]


def test_the_first_piece_of_a_new_owner_is_meant(source: SourceThread, board: DownloadState) -> None:
    told_all(source, board)
    board._plan.probation.distrust(source.key)
    board.join(source.key)
    wanted = source.next_range(LARGE_REQUEST)
    assert wanted is not None and not wanted.rare_only


def test_among_owners_of_all_nothing_need_be_rare(source: SourceThread) -> None:
    source.on_bitfield(None)
    wanted = source.next_range(LARGE_REQUEST)
    assert wanted is not None and not wanted.rare_only
