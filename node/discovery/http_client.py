"""POST requests to one tracker process, over kept connections. Answers are bounded in size and in time.

Neither proxies of the environment nor redirects are followed, so a request's secrets reach this host and port
only.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from common.errors import TrackerUnavailable

MAX_ANSWER = 4 << 20  # bytes of an answer's body
READ_SIZE = 16 << 10  # bytes of one read
KEPT_SESSIONS = 4  # connections kept for the next request
HEAD_GRACE = 0.5  # seconds after the timeout until a connection that still receives the head is cut
HINT = "); is it running?"  # the end of the message about a tracker that does not answer

_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_REASONS = {  # part of the error's text in lower case -> words for the user
    "timed out": "timeout",
    "refused": "connection refused",
    "resol": "no such host",
    "getaddrinfo": "no such host",
    "unreachable": "network unreachable",
    "badstatusline": "it speaks no HTTP",
}


@dataclass(frozen=True)
class HttpResponse:
    """An answer. ``retry_after``: seconds that its Retry-After header asks for, if it has one."""

    status: int
    content: bytes
    retry_after: float | None


class HttpClient:
    """Requests to the tracker at ``url``. Thread-safe: each request uses a session of its own.

    ``timeout``: max seconds for the connection, for the first byte of the answer, and for its last.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self.connections = 0  # opened so far: after a tracker restarts, the next request opens one
        self._timeout = timeout
        self._sessions: queue.LifoQueue[requests.Session] = queue.LifoQueue(KEPT_SESSIONS)

    def post(self, body: bytes, headers: Mapping[str, str], again: bool) -> HttpResponse:
        """POST to ``/tracker``. TrackerUnavailable if no answer comes.

        ``again``: repeat the request if the connection was closed, which a tracker may do with kept ones.
        False for a request that must not arrive twice.
        """
        try:
            return self._post(body, headers)
        except _FAILURES as error:
            if not again or "aborted" not in str(error):
                raise self._unavailable(error) from None
        self.close()
        try:
            return self._post(body, headers)
        except _FAILURES as error:
            raise self._unavailable(error) from None

    def close(self) -> None:
        """Close the kept connections. A later request opens new ones."""
        while True:
            try:
                self._sessions.get_nowait().close()
            except queue.Empty:
                return

    def _post(self, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        url = f"{self.url}/tracker"
        with (
            self._session() as session,
            session.post(
                url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response,
        ):
            retry_after = _seconds(response.headers.get("Retry-After", ""))
            return HttpResponse(response.status_code, self._read(response), retry_after)

    def _read(self, response: requests.Response) -> bytes:
        # read1, where this urllib3 has it, returns what has arrived. So a tracker that sends one byte at a
        # time cannot make a read last longer than the deadline.
        read = getattr(response.raw, "read1", response.raw.read)
        content, deadline = bytearray(), time.monotonic() + self._timeout
        while part := read(READ_SIZE, decode_content=False):
            content += part
            if len(content) > MAX_ANSWER:
                raise garbled(self.url, f"it is longer than {MAX_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise garbled(self.url, f"it takes longer than {self._timeout:g} s")
        return bytes(content)

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        try:
            session = self._sessions.get_nowait()
        except queue.Empty:
            session = requests.Session()
            session.mount("http://", _DeadlineAdapter(self._connected))
            session.trust_env = False  # a proxy of the environment does not lead to a tracker on this machine
            session.headers.update({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        try:
            yield session
        except BaseException:
            session.close()
            raise
        try:
            self._sessions.put_nowait(session)
        except queue.Full:
            session.close()

    def _connected(self) -> None:
        self.connections += 1

    def _unavailable(self, error: Exception) -> TrackerUnavailable:
        return TrackerUnavailable(f"tracker {self.url} does not answer ({_reason(error)}{HINT}")


def garbled(url: str, what: str) -> TrackerUnavailable:
    """The error for an answer that no tracker would give."""
    return TrackerUnavailable(f"{url} does not answer as a tracker does ({what})")


def _reason(error: Exception) -> str:
    text = str(error).lower()
    return next((reason for part, reason in _REASONS.items() if part in text), "connection lost")


def _seconds(header: str) -> float | None:
    """Seconds of a Retry-After (RFC 9110, 10.2.3). A date is ignored: it needs clocks that agree."""
    return float(header) if re.fullmatch(r"[0-9]{1,9}", header) else None


class _DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers have a deadline for the head, too. ``on_connect`` is called for each.

    A timeout of ``requests`` holds for each read. A server that sends a byte now and then would keep the
    client for ever.
    """

    def __init__(self, on_connect: Callable[[], None]) -> None:
        self._on_connect = on_connect
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        on_connect = self._on_connect

        class Connection(_Connection):
            def connect(self) -> None:  # also called for a kept connection that the server closed
                super().connect()
                on_connect()

        class Pool(urllib3.HTTPConnectionPool):
            ConnectionCls = Connection

        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool}


class _Connection(urllib3.connection.HTTPConnection):
    def getresponse(self) -> Any:
        sock = self.sock
        timeout = sock.gettimeout() if sock is not None else None
        if timeout is None:
            return super().getresponse()
        timer = threading.Timer(timeout + HEAD_GRACE, _cut, (sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already closed
        sock.shutdown(socket.SHUT_RDWR)
