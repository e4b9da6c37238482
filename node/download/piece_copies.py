"""How many copies of each piece there are among the peers that a download knows, for people. Pure.

Sets of pieces are integers, as in ``node.scheduling.availability``. The availability is the number that other
clients show as "distributed copies": the copies of the rarest piece, and behind the point the part of the
pieces that have more. This node's own pieces count as one copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.bitfield import Bitfield
from node.peer import Peer

COUNTED_COPIES = 16  # of a piece; more are not told apart


@dataclass(frozen=True)
class Copies:
    """``by_count[n]``: how many pieces have ``n`` copies; the last entry: so many or more."""

    availability: float
    by_count: tuple[int, ...]
    missing: int  # the set of pieces of which no peer and not this node has a copy


class PieceCopies:
    """The pieces of each connected peer. Not thread-safe."""

    def __init__(self, piece_count: int) -> None:
        self._count = piece_count
        self._held: dict[Peer, int | None] = {}  # None: everything

    def on_bitfield(self, peer: Peer, held: Bitfield | None) -> None:
        """``peer`` holds these pieces; None: all."""
        self._held[peer] = None if held is None else self._set_of(held)

    def on_have(self, peer: Peer, piece: int) -> None:
        """``peer`` holds one piece more."""
        held = self._held.get(peer)
        if held is not None:
            self._held[peer] = held | 1 << (self._count - 1 - piece)

    def leave(self, peer: Peer) -> None:
        """``peer`` is no source any more."""
        self._held.pop(peer, None)

    def of(self, have: Bitfield) -> Copies:
        """The copies of each piece; ``have``: this node's own pieces."""
        partial = [self._set_of(have), *(held for held in self._held.values() if held is not None)]
        seeds = min(len(self._held) + 1 - len(partial), COUNTED_COPIES)  # peers that have everything
        at_least = [self._all] * (seeds + 1) + [0] * (COUNTED_COPIES - seeds)
        for held in partial:
            for count in range(COUNTED_COPIES, seeds, -1):
                at_least[count] |= at_least[count - 1] & held
        numbers = [*(pieces.bit_count() for pieces in at_least), 0]
        by_count = tuple(before - more for before, more in zip(numbers, numbers[1:], strict=False))
        rarest = next((count for count, number in enumerate(by_count) if number), 0)
        return Copies(
            rarest + (1 - by_count[rarest] / self._count if self._count else 0.0),
            by_count,
            self._all & ~at_least[1],
        )

    def useless(self, have: Bitfield) -> set[Peer]:
        """The peers that hold no piece that is missing in ``have``; a peer that holds everything is none."""
        missing = self._all & ~self._set_of(have)
        return {peer for peer, held in self._held.items() if held is not None and not held & missing}

    @property
    def _all(self) -> int:
        return (1 << self._count) - 1

    def _set_of(self, held: Bitfield) -> int:
        data = held.to_bytes()
        return int.from_bytes(data, "big") >> (8 * len(data) - self._count)


def piece_states(
    have: Bitfield, fetched: Iterable[int] = (), missing: int = 0, wanted: Bitfield | None = None
) -> str:
    """A letter for each piece, as in ``PiecesStatus``. ``missing``: the set of pieces without a copy."""
    states = bytearray(b"m" * have.size)
    for letter, pieces in (
        ("x", pieces_of(missing, have.size)),
        ("u", wanted.missing() if wanted is not None else ()),
        ("f", fetched),
        ("v", have),
    ):
        for piece in pieces:
            states[piece] = ord(letter)
    return states.decode()


def pieces_of(pieces: int, piece_count: int) -> Iterable[int]:
    """The indexes in the set ``pieces``, ascending."""
    while pieces:
        highest = pieces.bit_length() - 1
        yield piece_count - 1 - highest
        pieces &= ~(1 << highest)
