"""HTTP connections whose answers have a deadline and a limit of size.

A timeout of ``requests`` holds for each read. A server that sends a byte now and then would keep the client
for ever, in the head of an answer as well as in its body.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from common.errors import NoClassroomTracker, TrackerUnavailable

READ_SIZE = 16 << 10  # bytes of one read
HEAD_GRACE = 0.5  # seconds after the timeout until a connection that still receives the head is cut

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_REASONS = {  # part of the error's text in lower case -> words for the user
    "timed out": "timeout",
    "refused": "connection refused",
    "resol": "no such host",
    "getaddrinfo": "no such host",
    "unreachable": "network unreachable",
    "badstatusline": "it speaks no HTTP",
    "certificate": "its certificate is not valid",
    "ssl": "it speaks no TLS",
}

OnConnect = Callable[[socket.socket], None]


def garbled(url: str, what: str) -> TrackerUnavailable:
    """The error for an answer that no tracker would give."""
    return TrackerUnavailable(f"{url} does not answer as a tracker does ({what})")


def no_classroom(url: str, what: str) -> NoClassroomTracker:
    """The error for an answer that a server of another kind gives."""
    return NoClassroomTracker(f"{url} does not answer as a classroom tracker does ({what})")


def reason(error: Exception) -> str:
    """Words for a user about one of FAILURES."""
    text = str(error).lower()
    return next((reason for part, reason in _REASONS.items() if part in text), "connection lost")


def read_body(response: requests.Response, url: str, limit: int, timeout: float) -> bytes:
    """The body as it was sent. TrackerUnavailable if it is longer than ``limit`` bytes, or too slow.

    ``timeout``: max seconds from now to its last byte.
    """
    # read1, where this urllib3 has it, returns what has arrived. So a tracker that sends one byte at a time
    # cannot make a read last longer than the deadline.
    read = getattr(response.raw, "read1", response.raw.read)
    content, deadline = bytearray(), time.monotonic() + timeout
    while part := read(READ_SIZE, decode_content=False):
        content += part
        if len(content) > limit:
            raise garbled(url, f"it is longer than {limit} bytes")
        if time.monotonic() > deadline:
            raise garbled(url, f"it takes longer than {timeout:g} s")
    return bytes(content)


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers have a deadline for the head, too.

    ``on_connect`` is called with the socket of each new connection, before a request is sent. If it raises,
    nothing is sent.
    """

    def __init__(self, on_connect: OnConnect) -> None:
        self._on_connect = on_connect
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        on_connect = self._on_connect

        class Connection(_HeadDeadline, urllib3.connection.HTTPConnection):
            def connect(self) -> None:  # also called for a kept connection that the server closed
                super().connect()
                on_connect(self.sock)

        class SecureConnection(_HeadDeadline, urllib3.connection.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                on_connect(self.sock)

        class Pool(urllib3.HTTPConnectionPool):
            ConnectionCls = Connection

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}


class _HeadDeadline:
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
