"""HTTP connections whose answers have a deadline and a limit of size.

A timeout of a socket holds for each read. A server that sends a byte now and then would keep the client
for ever, in the head of an answer as well as in its body.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from common.errors import NoClassroomTracker, TrackerUnavailable

READ_SIZE = 16 << 10  # bytes of one read
HEAD_GRACE = 0.5  # seconds after the timeout until a connection that still receives the head is cut

_REASONS = {  # part of the error's text in lower case -> words for the user
    "timed out": "timeout",
    "refused": "connection refused",
    "resol": "no such host",
    "gaierror": "no such host",
    "unicode": "no such host",
    "unreachable": "network unreachable",
    "badstatusline": "it speaks no HTTP",
    "certificate": "its certificate is not valid",
    "ssl": "it speaks no TLS",
}


def garbled(url: str, what: str) -> TrackerUnavailable:
    """The error for an answer that no tracker would give."""
    return TrackerUnavailable(f"{url} does not answer as a tracker does ({what})")


def no_classroom(url: str, what: str) -> NoClassroomTracker:
    """The error for an answer that a server of another kind gives."""
    return NoClassroomTracker(f"{url} does not answer as a classroom tracker does ({what})")


def reason(error: Exception) -> str:
    """Words for a user about a request that failed."""
    text = repr(error).lower()
    return next((reason for part, reason in _REASONS.items() if part in text), "connection lost")


def read_body(read: Callable[[int], bytes], url: str, limit: int, timeout: float) -> bytes:
    """The body as it was sent. TrackerUnavailable if it is longer than ``limit`` bytes, or too slow.

    ``read`` returns some bytes, "" at the end. ``timeout``: max seconds from now to the last byte.
    """
    content, deadline = bytearray(), time.monotonic() + timeout
    while part := read(READ_SIZE):
        content += part
        if len(content) > limit:
            raise garbled(url, f"it is longer than {limit} bytes")
        if time.monotonic() > deadline:
            raise garbled(url, f"it takes longer than {timeout:g} s")
    return bytes(content)


class HeadDeadline:
    """Cuts a connection that takes longer than its timeout for the head of an answer."""

    sock: Any

    def getresponse(self) -> Any:
        sock = self.sock
        timeout = sock.gettimeout() if sock is not None else None
        if timeout is None:
            return super().getresponse()  # type: ignore[misc]  # of the class that it is mixed into
        timer = threading.Timer(timeout + HEAD_GRACE, _cut, (sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already closed
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of a TLS socket: the one below it
