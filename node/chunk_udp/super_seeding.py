"""Which piece went to which fetcher last, so that a seed spreads rare pieces first (BEP 16). Pure.

Fetchers that start together pick different pieces from the only seed. But they learn of each other's pieces
up to a second late, and only from some peers. So they ask the seed for pieces that it has just sent, while
other pieces have not left it at all, and the last of those bounds the time of the whole swarm.

The seed knows which pieces it sent. While requests queue up, it rejects a request with RARE_ONLY for a piece
that it has just sent to another fetcher: that fetcher will pass the piece on. Unlike BEP 16 the seed hides
nothing.
"""

from __future__ import annotations

from collections import OrderedDict

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address

RECENT_SECONDS = 3.0  # news of a piece takes one or two; a request that comes later has a reason
MAX_RECENT_PIECES = 4096  # pieces that are remembered, the latest ones
MIN_RECENT_BYTES = 4096  # a smaller request does not mark a piece: else marking would cost an attacker little
MAX_PIECES_PER_REQUEST = 64  # that a request marks where pieces are tiny

Piece = tuple[bytes, int]  # info hash and index


class RecentPieces:
    """Remembers which fetcher was sent each of the latest pieces."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Piece, tuple[Address, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._latest)

    @staticmethod
    def piece(request: wire.Request, piece_length: int) -> Piece:
        """The piece in which ``request`` begins: RARE_ONLY is about that piece."""
        return request.info_hash, request.offset // piece_length

    def record(self, request: wire.Request, piece_length: int, addr: Address, now: float) -> None:
        """``request`` will be answered to ``addr``."""
        for piece in _pieces(request, piece_length):
            self._latest[piece] = addr, now
            self._latest.move_to_end(piece)
        while len(self._latest) > MAX_RECENT_PIECES:
            self._latest.popitem(last=False)

    def forget(self, request: wire.Request, piece_length: int, addr: Address) -> None:
        """``request`` is not answered after all."""
        for piece in _pieces(request, piece_length):
            if self._latest.get(piece, (None,))[0] == addr:
                del self._latest[piece]

    def was_sent_to_other(self, piece: Piece, addr: Address, now: float) -> bool:
        """True if ``piece`` was sent to an address other than ``addr`` in the last RECENT_SECONDS."""
        latest = self._latest.get(piece)
        return latest is not None and latest[0] != addr and now - latest[1] < RECENT_SECONDS


def _pieces(request: wire.Request, piece_length: int) -> list[Piece]:
    """The pieces that ``request`` marks as sent."""
    if request.length < min(MIN_RECENT_BYTES, piece_length):
        return []
    first, last = request.offset // piece_length, (request.offset + request.length - 1) // piece_length
    end = min(last + 1, first + MAX_PIECES_PER_REQUEST)
    return [(request.info_hash, index) for index in range(first, end)]
