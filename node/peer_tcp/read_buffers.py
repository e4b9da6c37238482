"""The large buffers that all connections of a transport read into, in turn.

A busy connection wants large reads: each costs two system calls and a step of its loop, however much it
brings. But a large buffer for each of fifty connections would be most of the process's memory. A buffer is
in use only from a read until its bytes are in place, so a few are enough. A thread gets the buffer that it
used last, if that is free, because its processor's cache still holds it. A connection that finds no buffer
reads into a small one of its own.
"""

from __future__ import annotations

import threading

LARGE_READ = 512 << 10  # bytes of one read of a busy connection
LARGE_BUFFERS = 4  # connections that read so much at a time


class ReadBuffers:
    """Thread-safe: ``pop`` and ``popitem`` of a dictionary are."""

    def __init__(self) -> None:
        self._free: dict[int, memoryview | None] = dict.fromkeys(range(LARGE_BUFFERS))  # None: not made yet
        self._local = threading.local()  # ``last``: the key of the buffer that this thread used last

    def take(self) -> memoryview | None:
        """A large buffer; None if all are in use."""
        buffer = self._free.pop(getattr(self._local, "last", -1), None)
        if buffer is None:
            try:
                _, buffer = self._free.popitem()
            except KeyError:
                return None
        return memoryview(bytearray(LARGE_READ)) if buffer is None else buffer

    def put(self, buffer: memoryview) -> None:
        """``buffer`` is not in use any more, nor any view of it."""
        self._local.last = id(buffer)
        self._free[id(buffer)] = buffer
