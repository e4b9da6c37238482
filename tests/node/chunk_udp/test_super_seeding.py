"""Rare pieces go first: a piece that was just sent is refused to a fetcher that could take a rarer piece."""

from __future__ import annotations

from unittest.mock import Mock

from node.chunk_udp import wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.responder import Responder, SendChunk
from node.chunk_udp.super_seeding import (
    MAX_PIECES_PER_REQUEST,
    MAX_RECENT_PIECES,
    MIN_RECENT_BYTES,
    RECENT_SECONDS,
    RecentPieces,
)
from simulator.served import MemoryTorrent

HERE, THERE = ("192.0.2.7", 4000), ("192.0.2.8", 4000)
INFO_HASH = b"i" * 20
PIECE = 10_000
MINT = AddressValidator(b"secret")


class SuperSeed:
    """An answerer that is ``crowded`` or not, and numbers the requests that it is given."""

    def __init__(self, crowded: bool = True, partial: bool = False) -> None:
        self.crowded = crowded
        torrent = MemoryTorrent(bytes(1_000_000), PIECE)
        if partial:
            torrent.have.clear(5)
        self.answerer = Responder(
            MINT, {INFO_HASH: torrent}, uploads=Mock(is_backlogged=lambda now: self.crowded)
        )
        self._sequence = 0

    def asked(
        self,
        addr: tuple[str, int],
        offset: int,
        length: int = PIECE,
        *,
        rare_only: bool = True,
        now: float = 1.0,
    ) -> wire.Refusal | None:
        """Why it refuses; None if it answers."""
        self._sequence += 1
        token = MINT.make(addr, now)
        request = wire.Request(7, self._sequence, offset, length, INFO_HASH, token, 1200, rare_only=rare_only)
        answer = self.answerer.handle_requests(wire.encode(request), addr, now)
        if isinstance(answer, SendChunk):
            return None
        assert isinstance(answer, wire.Refuse) and answer.sequence == self._sequence
        return answer.reason


def test_what_somebody_else_was_just_sent_is_refused_while_others_wait() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, 5 * PIECE) is None
    assert owner.asked(THERE, 5 * PIECE) is wire.Refusal.NOT_RARE
    assert owner.asked(THERE, 6 * PIECE) is None


def test_who_means_it_is_served() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, 0) is None
    assert owner.asked(THERE, 0, rare_only=False) is None


def test_who_got_it_may_have_it_again_and_the_rest_of_it() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, 0, PIECE // 2) is None
    assert owner.asked(HERE, 0) is None
    assert owner.asked(HERE, PIECE // 2, PIECE // 2) is None


def test_where_nobody_waits_nothing_is_refused() -> None:
    owner = SuperSeed(crowded=False)
    assert owner.asked(HERE, 0) is None
    assert owner.asked(THERE, 0) is None


def test_after_a_while_whoever_asks_has_a_reason() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, 0, now=1.0) is None
    assert owner.asked(THERE, 0, now=1.0 + RECENT_SECONDS - 0.1) is wire.Refusal.NOT_RARE
    assert owner.asked(THERE, 0, now=1.0 + RECENT_SECONDS + 0.1) is None


def test_a_request_is_for_all_the_pieces_that_it_touches() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, PIECE // 2, 3 * PIECE) is None
    assert [owner.asked(THERE, piece * PIECE) for piece in range(5)] == [*4 * [wire.Refusal.NOT_RARE], None]


def test_what_was_not_sent_after_all_is_rare_again() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, 0) is None
    owner.answerer.not_sent(wire.Request(7, 1, 0, PIECE, INFO_HASH, bytes(16), 1200), HERE)
    assert owner.asked(THERE, 0) is None
    assert owner.asked(HERE, 0) is wire.Refusal.NOT_RARE
    owner.answerer.not_sent(wire.Request(7, 1, 0, PIECE, INFO_HASH, bytes(16), 1200), HERE)  # THERE has it
    assert owner.asked(HERE, 0) is wire.Refusal.NOT_RARE


def test_an_owner_of_a_part_gives_what_it_has() -> None:
    owner = SuperSeed(partial=True)
    assert owner.asked(HERE, 0) is None
    assert owner.asked(THERE, 0) is None


def test_a_little_of_a_piece_keeps_it_from_nobody() -> None:
    owner = SuperSeed()
    assert owner.asked(HERE, 0, MIN_RECENT_BYTES - 1) is None
    assert owner.asked(THERE, 0) is None
    assert owner.asked(THERE, PIECE, MIN_RECENT_BYTES) is None
    assert owner.asked(HERE, PIECE) is wire.Refusal.NOT_RARE


def wanted(offset: int, length: int) -> wire.Request:
    return wire.Request(7, 1, offset, length, INFO_HASH, bytes(16), 1200)


def test_only_so_many_pieces_are_remembered() -> None:
    recipients = RecentPieces()
    for index in range(2 * MAX_RECENT_PIECES):
        recipients.record(wanted(index * PIECE, PIECE), PIECE, HERE, 1.0)
    assert not recipients.was_sent_to_other((INFO_HASH, MAX_RECENT_PIECES - 1), THERE, 1.0)
    assert recipients.was_sent_to_other((INFO_HASH, MAX_RECENT_PIECES), THERE, 1.0)


def test_a_request_for_very_many_tiny_pieces_costs_no_more_than_others() -> None:
    recipients = RecentPieces()
    recipients.record(wanted(0, wire.MAX_REQUEST), 1, HERE, 1.0)
    assert len(recipients) == MAX_PIECES_PER_REQUEST
