"""Pieces that a peer allows while it chokes us (BEP 6): requested after a while, and only they."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.bitfield import Bitfield
from node.peer_tcp import messages as m
from node.peer_tcp.fetching import FAST_AFTER, Fetching
from node.transport import RequestedRange
from tests.node.peer_tcp.pair import (
    CONTENT,
    GEOMETRY,
    ID_A,
    ID_B,
    PIECE_LENGTH,
    Pair,
    config_of,
    torrent_with,
)


class Session:
    """A download that wants each missing piece of those that the peer holds, once."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.haves: list[tuple[int, bool]] = []  # each piece, and whether the bitfield had it
        self.blocked = True
        self.unblocked = 0  # times
        self.status = ""
        self.missing = set(range(GEOMETRY.piece_count))
        self.got = bytearray(len(CONTENT))

    def on_bitfield(self, pieces: Bitfield | None, is_all: bool = True) -> None:
        self.held = list(range(GEOMETRY.piece_count) if pieces is None else pieces)
        self.is_all = is_all

    def on_have(self, piece: int) -> None:
        self.haves.append((piece, piece in self.held))

    def on_blocked(self, queue_position: int | None) -> None:
        self.blocked = True

    def on_unblocked(self) -> None:
        self.blocked = False
        self.unblocked += 1

    def on_status(self, text: str) -> None:
        self.status = text

    def next_range(self, max_length: int) -> RequestedRange | None:
        wanted = sorted(self.missing & set(self.held))
        if self.blocked or not wanted or max_length < PIECE_LENGTH:
            return None
        self.missing.discard(wanted[0])
        return RequestedRange(*GEOMETRY.piece_range(wanted[0]))

    def on_blocks(self, blocks: Sequence[tuple[int, bytes | memoryview]]) -> None:
        for offset, data in blocks:
            self.got[offset : offset + len(data)] = data

    def keep_work(self, kept: bool) -> None: ...

    def on_returned(self, ranges: Sequence[tuple[int, int]]) -> None:
        self.missing |= {start // PIECE_LENGTH for start, _ in ranges}


class Scene:
    """A leecher at a seed that chokes it and allows two pieces."""

    def __init__(self, allowed: Sequence[int] = (1, 3)) -> None:
        self.pair = Pair(config_of(ID_A, torrent_with(())), config_of(ID_B, torrent_with(None)))
        self.pair.run()
        self.session = Session()
        self.fetching = Fetching(self.pair.a)
        self.fetching.attach(self.session)  # type: ignore[arg-type]
        self.pair.a.download.allowed_fast = self.pair.a.download.allowed_fast & set(allowed)
        self.step(0.0)

    def step(self, now: float) -> None:
        """What the connection's loop does at ``now``, until both are silent."""
        self.fetching.request(now)
        self.pair.run()
        blocks = []
        for event in self.pair.events_a:
            if type(event).__name__ == "BlockData":
                blocks.append(event)
            else:
                self.fetching.on_event(event)
        self.pair.events_a.clear()
        if blocks:
            self.fetching.on_blocks(blocks)  # type: ignore[arg-type]
        self.fetching.update_interest()
        self.pair.run()

    def arrived(self) -> list[int]:
        """The pieces whose bytes are here."""
        ranges = map(GEOMETRY.piece_range, range(GEOMETRY.piece_count))
        return [n for n, (a, b) in enumerate(ranges) if self.session.got[a:b] == CONTENT[a:b]]


def test_allowed_pieces_are_requested_after_a_while_of_choke() -> None:
    scene = Scene()
    scene.step(0.0)
    assert scene.fetching.ask_at == FAST_AFTER and scene.session.status == "it choked us"
    scene.step(FAST_AFTER - 0.1)
    assert scene.session.blocked and scene.arrived() == []
    scene.step(FAST_AFTER)
    assert scene.session.held == [1, 3] and not scene.session.is_all and scene.arrived() == [1, 3]
    scene.step(FAST_AFTER)
    assert scene.arrived() == [1, 3] and scene.fetching.ask_at == float("inf")
    scene.pair.b.upload.unchoke()
    scene.step(3.0)
    scene.step(3.0)
    assert scene.arrived() == [0, 1, 2, 3, 4] and scene.session.unblocked == 1 and scene.session.is_all


def test_a_have_that_is_read_with_an_unchoke_is_in_the_bitfield_already() -> None:
    """So a session must not count it again."""
    pair = Pair(config_of(ID_A, torrent_with(())), config_of(ID_B, torrent_with([0])))
    session, fetching = Session(), Fetching(pair.a)
    fetching.attach(session)  # type: ignore[arg-type]

    def read() -> None:
        pair.run()
        for event in pair.events_a:
            fetching.on_event(event)
        pair.events_a.clear()
        fetching.update_interest()
        pair.run()

    read()
    pair.b.upload.unchoke()
    pair.b.upload.announce(2)
    pair.b.upload.announce(2)
    read()
    assert session.held == [0, 2] and session.haves == [(2, True)]


def test_a_peer_that_unchokes_at_once_is_asked_for_everything() -> None:
    scene = Scene()
    scene.pair.b.upload.unchoke()
    scene.step(0.5)
    assert scene.session.held == list(range(GEOMETRY.piece_count)) and scene.session.unblocked == 1
    scene.pair.b.upload.choke()
    scene.step(1.0)
    assert scene.session.blocked
    scene.step(1.0 + FAST_AFTER - 0.1)
    assert scene.session.blocked, "a new choke begins a new wait"


def test_an_allowed_piece_that_the_peer_rejects_is_not_requested_again() -> None:
    scene = Scene()
    scene.pair.b.upload.allowed_fast = frozenset({3})
    scene.step(0.0)
    scene.step(FAST_AFTER)
    assert scene.session.held == [3] and scene.arrived() == [3]
    assert 1 in scene.session.missing


def test_a_piece_that_is_allowed_later_is_requested_too_and_one_that_is_not_held_never() -> None:
    scene = Scene(allowed=(1,))
    scene.step(0.0)
    scene.step(FAST_AFTER)
    assert scene.arrived() == [1]
    scene.pair.b._context.send(m.encode(m.AllowedFast(2)))
    scene.step(FAST_AFTER)
    scene.step(FAST_AFTER)
    assert scene.arrived() == [1, 2]


@pytest.mark.parametrize("allowed", [(), (1,)])
def test_a_peer_that_holds_none_of_the_allowed_pieces_stays_choked(allowed: tuple[int, ...]) -> None:
    scene = Scene(allowed)
    scene.pair.a.download.held = type(scene.pair.a.download.held)(GEOMETRY.piece_count)
    for now in (0.0, FAST_AFTER, 2 * FAST_AFTER):
        scene.step(now)
    assert scene.session.blocked and scene.session.unblocked == 0
