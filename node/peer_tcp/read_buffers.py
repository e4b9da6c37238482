"""The large buffers that all connections of a transport read into, in turn.

A busy connection wants large reads: each costs two system calls and a step of its loop, however much it
brings. But a large buffer for each of fifty connections would be most of the process's memory. A buffer is
in use only from a read until its bytes are in place, so a few are enough. The one that was used last is
taken first, because a processor's cache still holds it. A connection that finds none reads into a small
buffer of its own.
"""

from __future__ import annotations

LARGE_READ = 512 << 10  # bytes of one read of a busy connection
LARGE_BUFFERS = 4  # connections that read so much at a time


class ReadBuffers:
    """Thread-safe: ``append`` and ``pop`` of a list are."""

    def __init__(self) -> None:
        self._free: list[memoryview | None] = [None] * LARGE_BUFFERS  # None: not made yet

    def take(self) -> memoryview | None:
        """A large buffer; None if all are in use."""
        try:
            buffer = self._free.pop()
        except IndexError:
            return None
        return memoryview(bytearray(LARGE_READ)) if buffer is None else buffer

    def put(self, buffer: memoryview) -> None:
        """``buffer`` is not in use any more, nor any view of it."""
        self._free.append(buffer)
