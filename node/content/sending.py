"""Bytes of files sent to a connected socket: by sendfile where the system has it, else read and sent.

``sendfile`` hands the socket pages of the system's file cache. Nothing is copied into this process, and its
memory stays flat for pieces of any length.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from common.errors import FileFault
from common.text import sanitize
from node.content.layout import FileRange
from node.content.os_errors import file_fault
from node.content.positional_file import PositionalFile, read_exactly
from node.transport import SentBlock, StreamSocket

HAS_SENDFILE = hasattr(os, "sendfile")
COPIED_BYTES = 1 << 17  # bytes of one read and send, without sendfile

# Errors of the file in sendfile; every other one is the socket's.
_FILE_ERRORS = frozenset({errno.EIO, getattr(errno, "ESTALE", errno.EIO), errno.EISDIR})
# This kind of file or socket cannot do it; the bytes can still be read and sent.
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP, errno.ENOTSUP})

_ZEROS = memoryview(bytes(COPIED_BYTES))


def send_from(file: PositionalFile, path: Path, sock: StreamSocket, offset: int, length: int) -> int:
    """Send bytes of ``file`` from ``offset`` on; returns how many the socket took, 1 to ``length``.

    FileFault, naming ``path``, if the file ends before; OSError of the socket as it raises it.
    """
    if HAS_SENDFILE:
        try:
            sent = file.send_to(sock.fileno(), offset, length)
        except OSError as error:
            if error.errno in _FILE_ERRORS or file.closed:
                raise file_fault(path, error) from None
            if error.errno not in _NO_SENDFILE:
                raise
        else:
            if not sent:
                raise FileFault(f"{sanitize(path)} became shorter while it was in use: nothing at {offset}")
            return sent
    buffer = memoryview(bytearray(min(length, COPIED_BYTES)))
    read_exactly(file, path, offset, buffer)
    return sock.send(buffer)


def send_ranges(ranges: Iterable[FileRange], send: Callable[[int, int, int], int]) -> int:
    """Send ranges of files one after the other; returns how many bytes the socket took, 1 or more.

    ``send(file, start, length)`` sends bytes of one file. It ends at the first file that is not sent wholly.
    ValueError without a byte to send.
    """
    total = 0
    for file, start, end in ranges:
        try:
            sent = send(file, start, end - start)
        except BlockingIOError:
            if total:
                return total
            raise
        total += sent
        if sent < end - start:
            break
    if not total:
        raise ValueError("an empty range")
    return total


def send_blocks(
    file: PositionalFile, path: Path, sock: StreamSocket, blocks: Sequence[SentBlock]
) -> int | None:
    """Send blocks of ``file`` as ``ServedTorrent.send_blocks``; None where the system has no sendfile."""
    if not HAS_SENDFILE:
        return None
    try:
        sent = file.send_blocks(sock, blocks)
    except OSError as error:
        if error.errno in _FILE_ERRORS or file.closed:
            raise file_fault(path, error) from None
        if error.errno in _NO_SENDFILE:
            return None
        raise
    if not sent:
        raise FileFault(f"{sanitize(path)} became shorter while it was in use: nothing at {blocks[0][1]}")
    return sent


def send_zeros(sock: StreamSocket, length: int) -> int:
    """Send zeros; returns how many the socket took, 1 to ``length``. OSError of the socket."""
    return sock.send(_ZEROS[:length])
