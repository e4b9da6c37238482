"""Who was sent which piece last? So that an owner of all spreads what is still rare first. Pure.

Fetchers that start together choose different pieces from the only owner of all, but what the others have
they know a second late and of a few only. So the same piece leaves the owner again and again, while others
have not left it at all, and nobody can have the whole before the last one did. The owner knows what it sent
to whom: a request that says RARE_ONLY is refused while somebody else has just been sent the piece, who will
pass it on. The idea is BEP 16's (super-seeding), without hiding anything from anybody.
"""

from __future__ import annotations

from collections import OrderedDict

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address

RECENT_SECONDS = (
    3.0  # seconds: news that somebody has a piece takes one or two to travel; then whoever asks has a reason
)
MAX_RECENT_PIECES = 4096  # pieces
MIN_RECENT_BYTES = 4096  # bytes: a smaller request does not mark its piece as sent
MAX_PIECES_PER_REQUEST = 64  # of one request, where pieces are tiny

Piece = tuple[bytes, int]  # info hash and index


class RecentPieces:
    """Remembers to whom the latest pieces went."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Piece, tuple[Address, float]] = OrderedDict()

    @staticmethod
    def piece(request: wire.Request, piece_length: int) -> Piece:
        """The piece that ``request`` begins in: the one that it is about."""
        return request.info_hash, request.offset // piece_length

    def _pieces(self, request: wire.Request, piece_length: int) -> list[Piece]:
        """All that it gives, or gives parts of."""
        if request.length < min(MIN_RECENT_BYTES, piece_length):
            return []
        first, last = request.offset // piece_length, (request.offset + request.length - 1) // piece_length
        return [
            (request.info_hash, index)
            for index in range(first, min(last + 1, first + MAX_PIECES_PER_REQUEST))
        ]

    def sent(self, request: wire.Request, piece_length: int, addr: Address, now: float) -> None:
        """What ``request`` is for goes to ``addr``."""
        for piece in self._pieces(request, piece_length):
            self._latest[piece] = addr, now
            self._latest.move_to_end(piece)
        while len(self._latest) > MAX_RECENT_PIECES:
            self._latest.popitem(last=False)

    def not_sent(self, request: wire.Request, piece_length: int, addr: Address) -> None:
        """``addr`` will not get it after all."""
        for piece in self._pieces(request, piece_length):
            if self._latest.get(piece, (None,))[0] == addr:
                del self._latest[piece]

    def was_sent_to_other(self, piece: Piece, addr: Address, now: float) -> bool:
        """Whether ``piece`` went to somebody other than ``addr`` lately."""
        latest = self._latest.get(piece)
        return latest is not None and latest[0] != addr and now - latest[1] < RECENT_SECONDS
