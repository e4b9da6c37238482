"""Pieces that a complete peer sends only while they are rare (super-seeding: BEP 16).

Nodes that start together at one seed may request the same piece before they know of each other's pieces. The
seed then rejects the second request once (NOT_RARE), and this node defers the piece: the other node will have
it soon. If it does not come, the piece is requested again, and must not be rejected a second time.
"""

from __future__ import annotations

from collections import deque

from node.peer import Peer

DEFER_SECONDS = 1.0  # for which a piece that a complete peer sent to another node is left to that node


class DeferredPieces:
    """Sets of pieces, as integers with one bit a piece. All times are monotonic seconds."""

    def __init__(self) -> None:
        self.required = 0  # pieces that are wanted from any source, rare or not
        self._deferred: dict[Peer, int] = {}
        self._until: deque[tuple[float, Peer, int]] = deque()

    def __bool__(self) -> bool:
        return bool(self._deferred)

    def at(self, source: Peer) -> int:
        """The pieces that are not requested from ``source`` for a while."""
        return self._deferred.get(source, 0)

    def add(self, source: Peer, piece: int, now: float) -> None:
        """``source`` rejected ``piece``, a set of one."""
        self.required |= piece
        self._deferred[source] = self._deferred.get(source, 0) | piece
        self._until.append((now + DEFER_SECONDS, source, piece))

    def leave(self, source: Peer) -> None:
        """Forget the pieces of ``source``."""
        self._deferred.pop(source, None)

    def expire(self, now: float) -> None:
        """Request pieces again that were deferred for ``DEFER_SECONDS``."""
        while self._until and self._until[0][0] <= now:
            _, source, piece = self._until.popleft()
            left = self._deferred.pop(source, 0) & ~piece
            if left:
                self._deferred[source] = left
