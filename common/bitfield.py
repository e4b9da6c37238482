"""A set of pieces as one bit each, in the order of BEP 3: piece 0 is the highest bit of byte 0."""

from __future__ import annotations

from collections.abc import Iterator

from common.errors import MalformedInput


class Bitfield:
    """A set of piece indexes below ``size``. It has no lock: threads that share one need their own.

    Indexes outside ``[0, size)`` raise IndexError. The operator ``in`` returns False for them instead.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"a bitfield of {size} bits")
        self.size = size
        self._bytes = bytearray((size + 7) // 8)
        self._count = 0

    @classmethod
    def full(cls, size: int) -> Bitfield:
        whole, rest = divmod(size, 8)
        return cls.from_bytes(b"\xff" * whole + (bytes([0xFF00 >> rest & 0xFF]) if rest else b""), size)

    @classmethod
    def from_bytes(cls, data: bytes, size: int) -> Bitfield:
        """The bitfield that ``data`` encodes. MalformedInput if its length or spare bits are wrong."""
        bitfield = cls(size)
        if len(data) != len(bitfield._bytes):
            raise MalformedInput(
                f"bitfield of {len(data)} bytes, where {size} pieces take {len(bitfield._bytes)}"
            )
        if size % 8 and data[-1] & (0xFF >> size % 8):
            raise MalformedInput(f"bitfield with spare bits set after its {size} pieces")
        bitfield._bytes[:] = data
        bitfield._count = int.from_bytes(data, "big").bit_count()
        return bitfield

    def to_bytes(self) -> bytes:
        """The bits as sent: 8 pieces per byte, spare bits zero."""
        return bytes(self._bytes)

    def byte(self, position: int) -> int:
        """Byte number ``position`` of ``to_bytes``."""
        return self._bytes[position]

    def copy(self) -> Bitfield:
        """An independent bitfield with the same pieces."""
        return Bitfield.from_bytes(self.to_bytes(), self.size)

    @property
    def count(self) -> int:
        """Number of pieces in the set."""
        return self._count

    def all(self) -> bool:
        """Whether every piece is in the set. True if ``size`` is 0."""
        return self._count == self.size

    def set(self, index: int) -> None:
        """Add piece ``index``."""
        byte, mask = self._byte_and_mask(index)
        if not self._bytes[byte] & mask:
            self._bytes[byte] |= mask
            self._count += 1

    def clear(self, index: int) -> None:
        """Remove piece ``index``."""
        byte, mask = self._byte_and_mask(index)
        if self._bytes[byte] & mask:
            self._bytes[byte] ^= mask
            self._count -= 1

    def __contains__(self, index: object) -> bool:
        if not isinstance(index, int) or not 0 <= index < self.size:
            return False
        return bool(self._bytes[index >> 3] & (0x80 >> (index & 7)))

    def __iter__(self) -> Iterator[int]:
        """The pieces in the set, ascending."""
        return self._indexes(0x00)

    def missing(self) -> Iterator[int]:
        """The pieces not in the set, ascending."""
        return self._indexes(0xFF)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitfield) and (self.size, self._bytes) == (other.size, other._bytes)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<Bitfield {self._count} of {self.size}>"

    def _indexes(self, flip: int) -> Iterator[int]:
        """Indexes of the bits that differ from ``flip``. Bytes equal to ``flip`` are skipped at once."""
        for position, byte in enumerate(self._bytes):
            if byte != flip:
                for index in range(position * 8, min(position * 8 + 8, self.size)):
                    if (byte ^ flip) & (0x80 >> (index & 7)):
                        yield index

    def _byte_and_mask(self, index: int) -> tuple[int, int]:
        if not 0 <= index < self.size:
            raise IndexError(f"piece {index} of {self.size}")
        return index >> 3, 0x80 >> (index & 7)
