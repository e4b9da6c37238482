"""The pieces that a peer states to hold, also while the number of pieces is unknown (a magnet link)."""

from __future__ import annotations

from common.bitfield import Bitfield
from common.errors import MalformedInput, PeerWireError
from common.metainfo import MAX_PIECES


class HeldPieces:
    """A set of pieces. ``count``: the torrent's number of pieces; None: unknown, until ``learn_count``.

    PeerWireError if the peer names a piece that the torrent does not have.
    """

    def __init__(self, count: int | None) -> None:
        self._count = count
        self._pieces = Bitfield(count or 0)
        self._all = False
        self._raw: bytes | None = None  # a bitfield that came while the count was unknown
        self._named = bytearray()  # pieces named one by one in that time, as bits

    @property
    def complete(self) -> bool:
        """True if the peer holds every piece."""
        return self._all or (bool(self._count) and self._pieces.all())

    @property
    def count(self) -> int:
        """Number of pieces, as far as their number is known."""
        return self._pieces.size if self._all else self._pieces.count

    def __contains__(self, index: object) -> bool:
        return self._all or index in self._pieces

    def snapshot(self) -> Bitfield | None:
        """As ``DownloadSession.on_bitfield`` takes it; None: all."""
        return None if self.complete else self._pieces.copy()

    def set_all(self) -> None:
        """The peer holds every piece."""
        self._all = True

    def set_bits(self, bits: bytes) -> None:
        """The peer holds the pieces of this bitfield."""
        if self._count is None:
            self._raw = bits
        else:
            self._pieces = _checked(bits, self._count)

    def add_bits(self, bits: bytes) -> list[int]:
        """The peer holds the pieces of this bitfield, too. Returns those that were not known."""
        pieces = _bits_of(bits) if self._count is None else list(_checked(bits, self._count))
        return [piece for piece in pieces if self.add(piece)]

    def add_all(self) -> list[int]:
        """The peer is complete now. Returns the pieces that were not known, if their number is."""
        new = [] if self._all else list(self._pieces.missing())
        self._all = True
        return new

    def add(self, index: int) -> bool:
        """The peer holds one piece more. False if that was known."""
        if not 0 <= index < (MAX_PIECES if self._count is None else self._count):
            raise PeerWireError(f"a have of piece {index}, which does not exist")
        if index in self:
            return False
        if self._count is not None:
            self._pieces.set(index)
            return True
        byte, mask = index >> 3, 0x80 >> (index & 7)
        self._named.extend(bytes(max(0, byte + 1 - len(self._named))))
        is_new = not self._named[byte] & mask
        self._named[byte] |= mask
        return is_new

    def learn_count(self, count: int) -> None:
        """The metadata is known: the torrent has ``count`` pieces."""
        self._count = count
        self._pieces = Bitfield(count) if self._raw is None else _checked(self._raw, count)
        named = self._named
        self._raw, self._named = None, bytearray()
        if not self._all:
            for byte, value in enumerate(named):
                for bit in range(8):
                    if value & 0x80 >> bit:
                        self.add(byte * 8 + bit)


def _bits_of(bits: bytes) -> list[int]:
    return [
        byte * 8 + bit for byte, value in enumerate(bits) if value for bit in range(8) if value & 0x80 >> bit
    ]


def _checked(bits: bytes, count: int) -> Bitfield:
    try:
        return Bitfield.from_bytes(bits, count)
    except MalformedInput as error:
        raise PeerWireError(f"a {error}") from None
