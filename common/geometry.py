"""How the bytes of a torrent divide into pieces: all offset arithmetic, in one place.

Ranges are half-open, ``[start, end)``, in bytes from the start of the content. The last piece may be
shorter and is never empty: 32 bytes in pieces of 16 are two pieces, and 0 bytes are no piece.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """``size`` bytes (0 or more) in pieces of ``piece_length`` bytes (1 or more); else ValueError."""

    size: int
    piece_length: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"a size of {self.size} bytes")
        if self.piece_length < 1:
            raise ValueError(f"a piece length of {self.piece_length} bytes")

    @property
    def piece_count(self) -> int:
        return -(-self.size // self.piece_length)

    def piece_range(self, index: int) -> tuple[int, int]:
        """The bytes ``[start, end)`` of piece ``index``; IndexError if there is no such piece."""
        start = index * self.piece_length
        if not 0 <= start < self.size:
            raise IndexError(f"piece {index} of {self.piece_count}")
        return start, min(start + self.piece_length, self.size)

    def piece_length_of(self, index: int) -> int:
        """The length of piece ``index`` in bytes, 1 or more; IndexError if there is no such piece."""
        start, end = self.piece_range(index)
        return end - start

    def pieces_touched(self, start: int, end: int) -> range:
        """The pieces with at least one byte in ``[start, end)``; ValueError outside the content."""
        self.check_range(start, end)
        if start == end:
            return range(0)
        return range(start // self.piece_length, -(-end // self.piece_length))

    def check_range(self, start: int, end: int) -> None:
        """ValueError unless ``0 <= start <= end <= size``."""
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"range [{start}, {end}) of {self.size} bytes")
