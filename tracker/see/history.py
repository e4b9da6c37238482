"""The last events of the log, by position, in bounded memory. Pure.

The events stand in blocks. A full block is compressed: a class of 60 nodes writes some hundred events a
second, and late viewers read all of them. If there are too many, the oldest block is dropped; a keyframe,
which is the state after its last event, takes its place.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import OrderedDict, deque

BLOCK_EVENTS = 2000  # events of a block, and so of one answer
BLOCK_BYTES = 1 << 19  # bytes after which a block with fewer events is full
MAX_EVENTS = 200_000  # events that are kept, about
MAX_BYTES = 32 << 20  # bytes that they take, about
OPEN_BLOCKS = 4  # full blocks that are kept uncompressed as well: many viewers read the same
LINE_OVERHEAD = 64  # bytes that an event of the last block takes beside its text


class History:
    """Events as lines of JSON. The first has position 1. Not thread-safe."""

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._starts: deque[int] = deque()  # of each full block: the position before its first event
        self._blocks: deque[bytes] = deque()  # compressed
        self._open: list[bytes] = []
        self._open_bytes = self._full_bytes = 0
        self._read: OrderedDict[int, list[bytes]] = OrderedDict()  # by the block's start
        self.first = 0  # events up to this position are replaced by a keyframe
        self.last = 0  # position of the last event

    def append(self, line: bytes) -> None:
        """Add an event."""
        self._open.append(line)
        self._open_bytes += len(line) + LINE_OVERHEAD
        self.last += 1
        if len(self._open) >= BLOCK_EVENTS or self._open_bytes >= BLOCK_BYTES:
            self._seal()

    def after(self, position: int) -> list[bytes]:
        """The events after ``position``, to the end of their block; none if it is dropped."""
        open_start = self.last - len(self._open)
        if position >= open_start:
            return self._open[position - open_start :]
        if position < self.first:
            return []
        index = bisect_right(self._starts, position) - 1
        start = self._starts[index]
        return self._lines(start, self._blocks[index])[position - start :]

    # ---- dropping the oldest

    @property
    def is_too_long(self) -> bool:
        """The oldest block should be dropped."""
        too_many = self.last - self.first > self._max_events
        return bool(self._blocks) and (too_many or self._full_bytes + self._open_bytes > self._max_bytes)

    def oldest(self) -> list[bytes]:
        """The events of the oldest block."""
        return self._lines(self._starts[0], self._blocks[0])

    def drop_oldest(self) -> None:
        """Forget the oldest block."""
        self._full_bytes -= len(self._blocks.popleft())
        self._read.pop(self._starts.popleft(), None)
        self.first = self._starts[0] if self._starts else self.last - len(self._open)

    # ---- blocks

    def _seal(self) -> None:
        block = zlib.compress(b"\n".join(self._open), 1)
        self._starts.append(self.last - len(self._open))
        self._blocks.append(block)
        self._keep(self._starts[-1], self._open)
        self._full_bytes += len(block)
        self._open, self._open_bytes = [], 0

    def _lines(self, start: int, block: bytes) -> list[bytes]:
        lines = self._read.get(start)
        if lines is None:
            lines = zlib.decompress(block).split(b"\n")
        self._keep(start, lines)
        return lines

    def _keep(self, start: int, lines: list[bytes]) -> None:
        self._read[start] = lines
        self._read.move_to_end(start)
        if len(self._read) > OPEN_BLOCKS:
            self._read.popitem(last=False)
