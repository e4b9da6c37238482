"""Reading and writing at an offset, by several threads at once, on every system.

With ``pread`` and ``pwrite`` each call has its own offset, and threads need no lock. Windows has neither:
there a lock for each open file keeps a seek and the read or write after it together.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from common.errors import FileFault
from common.files import sync_file
from common.text import sanitize
from node.content.os_errors import file_fault
from node.transport import SentBlock, StreamSocket

Buffer: TypeAlias = bytes | bytearray | memoryview

HAS_POSITIONAL = hasattr(os, "preadv") and hasattr(os, "pwritev")
_MORE = getattr(socket, "MSG_MORE", 0)  # the bytes of the block follow: one packet for both
BLOCK = 4096  # bytes of a block in most file systems
MAX_BUFFERS = 1024  # of one gathered write: IOV_MAX of Linux and macOS


class PositionalFile:
    """Owns an open file. Offsets are in bytes; a memoryview is of bytes (format B).

    Every method raises OSError as the system does, EBADF once closed. ``close`` may be called at any time: a
    call in progress on another thread keeps the descriptor until it returns. Otherwise the number of the
    descriptor could already belong to another file, which would then be read or written.
    """

    def __init__(self, number: int) -> None:
        self._descriptor: Descriptor | None = Descriptor(number)
        self.inode = os.fstat(number).st_ino if os.name == "posix" else 0
        self._lock = threading.Lock()  # used only without positional reading

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._descriptor is None

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on. Returns less than its length only at the end of the file."""
        descriptor = self._descriptor or _closed()
        try:
            if HAS_POSITIONAL:
                return _read_at(descriptor.number, offset, buffer)
            with self._lock:
                os.lseek(descriptor.number, offset, os.SEEK_SET)
                return _read_here(descriptor.number, buffer)
        finally:
            del descriptor  # the traceback of an exception would keep the file open

    def send_to(self, socket: int, offset: int, length: int) -> int:
        """Have the system send bytes from ``offset`` on to the descriptor ``socket``; returns how many.

        0 at the end of the file. Only where the system has sendfile.
        """
        descriptor = self._descriptor or _closed()
        try:
            return os.sendfile(socket, descriptor.number, offset, length)
        finally:
            del descriptor

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int:
        """Send each block, header and bytes of the file; returns how many bytes ``sock`` took.

        An error of the socket or file is raised if nothing was sent before it. Fewer bytes than wanted: the
        socket is full, or the file ends. Only where the system has sendfile.
        """
        descriptor = self._descriptor or _closed()
        number, out, send, sendfile, done = descriptor.number, sock.fileno(), sock.send, os.sendfile, 0
        try:
            for header, offset, length in blocks:
                if header:
                    sent = send(header, _MORE)
                    done += sent
                    if sent < len(header):
                        break
                sent = sendfile(out, number, offset, length)
                done += sent
                if sent < length:
                    break
        except OSError:
            if not done:
                raise
        finally:
            del descriptor
        return done

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write all of ``buffers``, in sequence, from ``offset`` on."""
        descriptor = self._descriptor or _closed()
        try:
            if HAS_POSITIONAL:
                _write_at(descriptor.number, offset, buffers)
            else:
                with self._lock:
                    os.lseek(descriptor.number, offset, os.SEEK_SET)
                    for buffer in buffers:
                        _write_here(descriptor.number, memoryview(buffer))
        finally:
            del descriptor

    def write_and_stat(self, offset: int, buffers: Sequence[Buffer]) -> os.stat_result:
        """Write all of ``buffers``, in sequence; returns the file's status after it."""
        descriptor = self._descriptor or _closed()
        try:
            self.write(offset, buffers)
            return os.fstat(descriptor.number)
        finally:
            del descriptor

    def next_data(self, offset: int) -> int | None:
        """The offset of the first written byte from ``offset`` on; None at the end of the data.

        Without support from the system: ``offset``.
        """
        descriptor = self._descriptor or _closed()
        try:
            if not HAS_POSITIONAL or not hasattr(os, "SEEK_DATA"):  # a seek would disturb other threads
                return offset
            return os.lseek(descriptor.number, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None
        finally:
            del descriptor

    def status(self) -> os.stat_result:
        """The status of the open file, even if its name leads to another file by now."""
        descriptor = self._descriptor or _closed()
        try:
            return os.fstat(descriptor.number)
        finally:
            del descriptor

    def truncate(self, size: int) -> None:
        """Give the file this size. New bytes read as zeros, and are holes where there are holes."""
        descriptor = self._descriptor or _closed()
        try:
            os.ftruncate(descriptor.number, size)
        finally:
            del descriptor

    def sync(self) -> None:
        """Return once all written bytes are on the disk."""
        descriptor = self._descriptor or _closed()
        try:
            sync_file(descriptor.number)
        finally:
            del descriptor

    def close(self) -> None:
        """End reading and writing. A second call does nothing."""
        with self._lock:
            self._descriptor = None


class Descriptor:
    """A descriptor that is closed with the last reference to it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.number)


def whole_blocks(start: int, end: int, length: int) -> tuple[int, int]:
    """The part of ``[start, end)``, of a file of ``length`` bytes, that shares no block with other bytes.

    May be empty. A block of a file system has data as soon as one of its bytes was written.
    """
    last = end if end == length else end // BLOCK * BLOCK
    return -(-start // BLOCK) * BLOCK, last


def read_exactly(file: PositionalFile, path: Path, offset: int, buffer: memoryview) -> int:
    """Fill ``buffer`` and return its length. FileFault, naming ``path``, if the file ends before."""
    try:
        done = file.read_into(offset, buffer)
    except OSError as error:
        raise file_fault(path, error) from None
    if done != len(buffer):
        raise FileFault(
            f"{sanitize(path)} became shorter while it was in use: nothing at byte {offset + done}"
        )
    return done


def _closed() -> Descriptor:
    raise OSError(errno.EBADF, "the file is closed")


def _read_at(number: int, offset: int, buffer: memoryview) -> int:
    done = os.preadv(number, [buffer], offset)
    while 0 < done < len(buffer):
        more = os.preadv(number, [buffer[done:]], offset + done)
        if more == 0:
            break
        done += more
    return done


def _write_at(number: int, offset: int, buffers: Sequence[Buffer]) -> None:
    if len(buffers) == 1:  # the usual case
        written = os.pwrite(number, buffers[0], offset)
        if written != len(buffers[0]):
            _write_rest(number, offset, buffers, written)
        return
    for first in range(0, len(buffers), MAX_BUFFERS):
        group = buffers[first : first + MAX_BUFFERS]
        length = sum(map(len, group))
        written = os.pwritev(number, group, offset)
        if written != length:
            _write_rest(number, offset, group, written)
        offset += length


def _write_rest(number: int, offset: int, buffers: Sequence[Buffer], written: int) -> None:
    """Continue after a short write of ``buffers`` to ``offset``. The next call shows the reason for it."""
    for buffer in buffers:
        done = min(written, len(buffer))
        written -= done
        while done < len(buffer):
            done += os.pwrite(number, memoryview(buffer)[done:], offset + done)
        offset += len(buffer)


def _read_here(number: int, buffer: memoryview) -> int:
    done = 0
    while done < len(buffer):
        data = os.read(number, len(buffer) - done)
        if not data:
            break
        buffer[done : done + len(data)] = data
        done += len(data)
    return done


def _write_here(number: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(number, rest) :]
