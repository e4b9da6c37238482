"""Reading and writing at an offset, by several threads at once, on every system.

Where the system has ``pread`` and ``pwrite``, an offset travels with each call and threads need no lock.
Windows has neither: there one lock per open file keeps the seek and what follows it together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

HAS_POSITIONAL = hasattr(os, "preadv") and hasattr(os, "pwritev")
MAX_BUFFERS = 1024  # in one gathered write; IOV_MAX of Linux and macOS


class PositionalFile:
    """An open file descriptor, which it owns. Offsets are in bytes; a memoryview is of bytes (format B).

    Close it when nobody reads or writes any more. Every method raises OSError as the system does.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lock = threading.Lock()  # only where there is no positional reading

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset``; less than its length only at the end of the file."""
        if not HAS_POSITIONAL:
            with self._lock:
                os.lseek(self.descriptor, offset, os.SEEK_SET)
                return self._read_here(buffer)
        done = os.preadv(self.descriptor, [buffer], offset)
        while 0 < done < len(buffer):
            more = os.preadv(self.descriptor, [buffer[done:]], offset + done)
            if more == 0:
                break
            done += more
        return done

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers``, one behind the other, from ``offset``; all of them, or OSError."""
        if not HAS_POSITIONAL:
            with self._lock:
                os.lseek(self.descriptor, offset, os.SEEK_SET)
                for buffer in buffers:
                    self._write_here(memoryview(buffer))
        elif len(buffers) == 1:
            written = os.pwrite(self.descriptor, buffers[0], offset)
            if written != len(buffers[0]):
                self._write_rest(offset + written, buffers, written)
        else:
            for first in range(0, len(buffers), MAX_BUFFERS):
                group = buffers[first : first + MAX_BUFFERS]
                length = sum(map(len, group))
                written = os.pwritev(self.descriptor, group, offset)
                if written != length:
                    self._write_rest(offset + written, group, written)
                offset += length

    def close(self) -> None:
        """Give the descriptor back; a second time does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write_rest(self, offset: int, buffers: Sequence[Buffer], written: int) -> None:
        """Go on after a short write. What keeps it short, such as a full disk, shows in the next call."""
        for buffer in buffers:
            rest = memoryview(buffer)[written:]
            written = max(0, written - len(buffer))
            while rest:
                count = os.pwrite(self.descriptor, rest, offset)
                offset += count
                rest = rest[count:]

    def _read_here(self, buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            data = os.read(self.descriptor, len(buffer) - done)
            if not data:
                break
            buffer[done : done + len(data)] = data
            done += len(data)
        return done

    def _write_here(self, rest: memoryview) -> None:
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
