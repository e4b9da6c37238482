"""Which pieces somebody has, one bit each, in the order of BEP 3: piece 0 is the highest bit of byte 0."""

from __future__ import annotations

from collections.abc import Iterator

from common.errors import MalformedInput


class Bitfield:
    """A set of piece indexes below ``size``. It has no lock: whoever shares one between threads has it.

    Indexes outside ``[0, size)`` raise IndexError, except for ``in``, where they are simply not in.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"a bitfield of {size} bits")
        self.size = size
        self._bytes = bytearray((size + 7) // 8)
        self._count = 0

    @classmethod
    def full(cls, size: int) -> Bitfield:
        """All of ``size`` pieces."""
        whole, rest = divmod(size, 8)
        return cls.from_bytes(b"\xff" * whole + (bytes([0xFF00 >> rest & 0xFF]) if rest else b""), size)

    @classmethod
    def from_bytes(cls, data: bytes, size: int) -> Bitfield:
        """The bitfield that ``data`` says; MalformedInput if its length or its spare bits are wrong."""
        bitfield = cls(size)
        if len(data) != len(bitfield._bytes):
            raise MalformedInput(
                f"bitfield of {len(data)} bytes, where {size} pieces take {len(bitfield._bytes)}"
            )
        if size % 8 and data[-1] & (0xFF >> size % 8):
            raise MalformedInput(f"bitfield with spare bits set behind its {size} pieces")
        bitfield._bytes[:] = data
        bitfield._count = int.from_bytes(data, "big").bit_count()
        return bitfield

    def to_bytes(self) -> bytes:
        """As sent: 8 pieces a byte, spare bits zero."""
        return bytes(self._bytes)

    def copy(self) -> Bitfield:
        """An independent one with the same pieces."""
        return Bitfield.from_bytes(self.to_bytes(), self.size)

    @property
    def count(self) -> int:
        """How many pieces are in."""
        return self._count

    def all(self) -> bool:
        """Whether every piece is in; true if there are none."""
        return self._count == self.size

    def set(self, index: int) -> None:
        """Put piece ``index`` in."""
        byte, mask = self._place(index)
        if not self._bytes[byte] & mask:
            self._bytes[byte] |= mask
            self._count += 1

    def clear(self, index: int) -> None:
        """Take piece ``index`` out."""
        byte, mask = self._place(index)
        if self._bytes[byte] & mask:
            self._bytes[byte] ^= mask
            self._count -= 1

    def __contains__(self, index: object) -> bool:
        if not isinstance(index, int) or not 0 <= index < self.size:
            return False
        return bool(self._bytes[index >> 3] & (0x80 >> (index & 7)))

    def __iter__(self) -> Iterator[int]:
        """The pieces that are in, ascending."""
        return self._indexes(0x00)

    def missing(self) -> Iterator[int]:
        """The pieces that are not in, ascending."""
        return self._indexes(0xFF)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitfield) and (self.size, self._bytes) == (other.size, other._bytes)

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no dictionary key

    def __repr__(self) -> str:
        return f"<Bitfield {self._count} of {self.size}>"

    def _indexes(self, flip: int) -> Iterator[int]:
        """Positions whose bit differs from ``flip``'s; whole bytes without any are skipped."""
        for place, byte in enumerate(self._bytes):
            if byte != flip:
                for index in range(place * 8, min(place * 8 + 8, self.size)):
                    if (byte ^ flip) & (0x80 >> (index & 7)):
                        yield index

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < self.size:
            raise IndexError(f"piece {index} of {self.size}")
        return index >> 3, 0x80 >> (index & 7)
