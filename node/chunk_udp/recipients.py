"""Who was sent which piece last? So that an owner of all spreads what is still rare first. Pure.

Fetchers that start together choose different pieces from the only owner of all, but what the others have
they know a second late and of a few only. So the same piece leaves the owner again and again, while others
have not left it at all, and nobody can have the whole before the last one did. The owner knows what it sent
to whom: a request that says RARE_ONLY is refused while somebody else has just been sent the piece, who will
pass it on. The idea is BEP 16's (super-seeding), without hiding anything from anybody.
"""

from __future__ import annotations

from collections import OrderedDict

from node.chunk_udp.tokens import Address

LATELY = 3.0  # seconds: news that somebody has a piece takes two to travel; then whoever asks has a reason
MAX_KNOWN = 4096  # pieces

Piece = tuple[bytes, int]  # info hash and index


class Recipients:
    """Remembers to whom the latest pieces went."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Piece, tuple[Address, float]] = OrderedDict()

    def sent(self, piece: Piece, addr: Address, now: float) -> None:
        """``piece``, or a part of it, goes to ``addr``."""
        self._latest[piece] = addr, now
        self._latest.move_to_end(piece)
        if len(self._latest) > MAX_KNOWN:
            self._latest.popitem(last=False)

    def not_sent(self, piece: Piece, addr: Address) -> None:
        """``addr`` will not get ``piece`` after all."""
        if self._latest.get(piece, (None,))[0] == addr:
            del self._latest[piece]

    def somebody_else(self, piece: Piece, addr: Address, now: float) -> bool:
        """Whether ``piece`` went to somebody other than ``addr`` lately."""
        latest = self._latest.get(piece)
        return latest is not None and latest[0] != addr and now - latest[1] < LATELY
