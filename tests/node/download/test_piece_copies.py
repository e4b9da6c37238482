"""Copies of pieces, as other clients count them."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from common.bitfield import Bitfield
from node.download.piece_copies import COUNTED_COPIES, PieceCopies, piece_states, pieces_of
from node.peer import Peer

PIECES = st.integers(1, 40)


def field(pieces: set[int], count: int) -> Bitfield:
    made = Bitfield(count)
    for piece in pieces:
        made.set(piece)
    return made


@given(st.data())
def test_copies_are_counted_as_by_hand(data: st.DataObject) -> None:
    count = data.draw(PIECES)
    sets = st.sets(st.integers(0, count - 1))
    own, held = data.draw(sets), data.draw(st.lists(sets, max_size=COUNTED_COPIES - 2))
    copies = PieceCopies(count)
    for port, pieces in enumerate(held):
        peer = Peer("127.0.0.1", port + 1)
        copies.on_bitfield(peer, field(pieces, count) if len(pieces) < count else None)
    expected = [sum(piece in pieces for pieces in (own, *held)) for piece in range(count)]
    found = copies.of(field(own, count))
    assert list(found.by_count) == [expected.count(number) for number in range(COUNTED_COPIES + 1)]
    more = Fraction(sum(number > min(expected) for number in expected), count)
    assert abs(found.availability - (min(expected) + more)) < 1e-9
    assert list(pieces_of(found.missing, count)) == [i for i, number in enumerate(expected) if not number]


def test_peers_gain_pieces_and_leave() -> None:
    copies, peer = PieceCopies(3), Peer("127.0.0.1", 1)
    copies.on_have(peer, 0)  # before its bitfield nothing is known of it
    assert copies.of(Bitfield(3)).availability == 0
    copies.on_bitfield(peer, field({0}, 3))
    copies.on_have(peer, 2)
    assert copies.of(Bitfield(3)).by_count[:3] == (1, 2, 0)
    copies.leave(peer)
    assert copies.of(Bitfield.full(3)).availability == 1.0


def test_each_piece_has_its_letter() -> None:
    have, wanted = field({0, 1}, 6), field({0, 2, 3, 4}, 6)
    assert piece_states(have, [2], 0b001100, wanted) == "vvfxmu"
