"""Which part of which file holds a range of a torrent's content. Pure.

A torrent's files follow each other without gaps, in the order of its ``info`` dictionary (BEP 3). A piece may
begin in one file and end several files later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple


class FileRange(NamedTuple):
    """Bytes ``[start, end)`` of one file; never empty."""

    file: int  # index in the torrent's list of files
    start: int
    end: int


class Layout:
    """Maps ranges of the content to files of ``lengths`` bytes, in order. A length may be 0."""

    def __init__(self, lengths: Sequence[int]) -> None:
        if any(length < 0 for length in lengths):
            raise ValueError("a file of negative length")
        self._lengths = tuple(lengths)
        self._ends = tuple(accumulate(self._lengths))

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return self._ends[-1] if self._ends else 0

    def file_at(self, offset: int) -> FileRange:
        """The whole file that holds the byte at ``offset``; IndexError outside the content.

        ``start`` and ``end`` are the file's bytes in the content.
        """
        if not 0 <= offset < self.size:
            raise IndexError(f"byte {offset} of {self.size}")
        file = bisect_right(self._ends, offset)
        return FileRange(file, self._ends[file] - self._lengths[file], self._ends[file])

    def split(self, start: int, end: int) -> Iterator[FileRange]:
        """The file ranges that make up ``[start, end)``, in order; ValueError outside the content."""
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"range [{start}, {end}) of {self.size} bytes")
        file = bisect_right(self._ends, start)
        while start < end:
            first = self._ends[file] - self._lengths[file]
            stop = min(end, self._ends[file])
            if start < stop:  # else the file is empty
                yield FileRange(file, start - first, stop - first)
            start, file = stop, file + 1
