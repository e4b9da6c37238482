"""The buffers in which a download gathers what arrives: a bounded number, shared by all its sources."""

from __future__ import annotations

import threading
from collections.abc import Callable

from common.metainfo import Metainfo

MAX_RUN_BYTES = 1 << 20  # bytes of a run; larger pieces are hashed from the file
LARGE_BUFFERS = 24  # of a download; a source that finds none of them free gathers smaller runs
SMALL_RUN_BYTES = 1 << 17  # bytes of a smaller run
SPARE_BUFFERS = 4  # beyond two for each source: runs that are being written and hashed
LONGEST_WAIT = 0.2  # seconds between two looks whether a source that waits for a buffer must end


class BufferPool:
    """A bounded number of buffers, made when first needed: ``count`` of ``length``, ``small`` shorter ones.

    Once ``most_full`` of them (None: any number) wait for a hashing thread, a thread that wants a buffer
    waits, too. More full buffers would make nothing faster, but push each other out of the processor's cache.
    """

    def __init__(self, length: int, count: int, most_full: int | None = None, small: int = 0) -> None:
        self._length = length
        self._free: list[memoryview] = []
        self._free_small: list[memoryview] = []
        self._unmade, self._unmade_small = count, small
        self._full: set[int] = set()  # ids of buffers
        self._most_full = count if most_full is None else most_full
        self._changed = threading.Condition()

    def take(self, stopping: Callable[[], bool]) -> memoryview | None:
        """A buffer, as soon as one is free; None if ``stopping()`` is true before."""
        with self._changed:
            while True:
                if len(self._full) < self._most_full and (buffer := self._take_free()) is not None:
                    return buffer
                if stopping():
                    return None
                self._changed.wait(LONGEST_WAIT)

    def take_free(self) -> memoryview | None:
        """A buffer, if one is free at this moment."""
        with self._changed:
            return self._take_free() if len(self._full) < self._most_full else None

    def _take_free(self) -> memoryview | None:
        if self._free:
            return self._free.pop()
        if self._unmade:
            self._unmade -= 1
            return memoryview(bytearray(self._length))
        if self._free_small:
            return self._free_small.pop()
        if self._unmade_small:
            self._unmade_small -= 1
            return memoryview(bytearray(min(self._length, SMALL_RUN_BYTES)))
        return None

    def mark_full(self, buffer: memoryview) -> None:
        """``buffer`` waits for a hashing thread."""
        with self._changed:
            self._full.add(id(buffer))

    def put(self, buffer: memoryview) -> None:
        """``buffer`` is free again."""
        with self._changed:
            self._full.discard(id(buffer))
            (self._free if len(buffer) == self._length else self._free_small).append(buffer)
            self._changed.notify()


def pool_for(metainfo: Metainfo, sources: int) -> BufferPool:
    """Buffers for a download from ``sources`` peers at a time, of whole pieces unless these are longer.

    Beyond LARGE_BUFFERS they are small: with 50 peers large ones would make most of the process's memory.
    """
    count = 2 * sources + SPARE_BUFFERS
    large = min(count, LARGE_BUFFERS)
    return BufferPool(buffer_length(metainfo), large, SPARE_BUFFERS, count - large)


def buffer_length(metainfo: Metainfo) -> int:
    """Bytes of a buffer: whole pieces, unless these are longer."""
    length = MAX_RUN_BYTES // metainfo.piece_length * metainfo.piece_length or MAX_RUN_BYTES
    return min(length, metainfo.size)
