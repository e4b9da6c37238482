"""Which source holds which pieces, and how rare each piece is.

Sets of pieces are integers, one bit a piece in the order of a bitfield's bytes: piece 0 is the highest bit.
One operation on them looks at a thousand pieces, or at a million.
"""

from __future__ import annotations

from common.bitfield import Bitfield
from node.peer import Peer

RARITY_LEVELS = 8  # pieces held by this many partial peers, or more, count as equally rare


class Availability:
    """The pieces of each source, as far as they are known."""

    def __init__(self, piece_count: int) -> None:
        self.piece_count = piece_count
        self.all_pieces = (1 << piece_count) - 1
        self._held: dict[Peer, int | None] = {}  # None: everything
        self._rarities: list[int] | None = None  # None: outdated

    def __contains__(self, source: Peer) -> bool:
        return source in self._held

    def bit(self, piece: int) -> int:
        """The set that has only ``piece``."""
        return 1 << (self.piece_count - 1 - piece)

    # ---- sources

    def join(self, source: Peer) -> None:
        """Add a source. It counts as complete until ``on_bitfield``."""
        self._held.setdefault(source, None)

    def leave(self, source: Peer) -> None:
        """Remove a source."""
        if self._held.pop(source, None) is not None:
            self._rarities = None

    def on_bitfield(self, source: Peer, held: Bitfield | None) -> None:
        """``source`` holds these pieces; None: all."""
        self._held[source] = None if held is None else self._set_of(held)
        self._rarities = None

    def on_have(self, source: Peer, piece: int) -> None:
        """``source`` holds one piece more."""
        held = self._held.get(source)
        if held is not None and not held & self.bit(piece):
            self._held[source] = held | self.bit(piece)
            self._rarities = None

    def is_complete(self, source: Peer) -> bool:
        """True if ``source`` holds every piece."""
        return self._held.get(source, 0) is None

    @property
    def has_partial_source(self) -> bool:
        """True if some source holds only a part."""
        return any(held is not None for held in self._held.values())

    # ---- pieces

    def of(self, source: Peer) -> int:
        """The set of pieces that ``source`` holds."""
        held = self._held[source]
        return self.all_pieces if held is None else held

    def rarity(self) -> list[int]:
        """Sets of pieces by the number of known partial holders: 0, 1, 2, and so on."""
        if self._rarities is None:
            at_least = [self.all_pieces] + [0] * RARITY_LEVELS
            for held in self._held.values():
                if held is not None:
                    for count in range(RARITY_LEVELS, 0, -1):
                        at_least[count] |= at_least[count - 1] & held
            self._rarities = [a & ~b for a, b in zip(at_least, [*at_least[1:], 0], strict=True)]
        return self._rarities

    def holders(self) -> list[int]:
        """For each piece, the number of partial peers that are known to hold it."""
        partial = [held for held in self._held.values() if held is not None]
        return [sum(bool(held & self.bit(piece)) for held in partial) for piece in range(self.piece_count)]

    def _set_of(self, held: Bitfield) -> int:
        data = held.to_bytes()
        return int.from_bytes(data, "big") >> (8 * len(data) - self.piece_count)
