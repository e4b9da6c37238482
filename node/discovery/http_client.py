"""Requests to one tracker process, over kept connections. Answers are bounded in size and in time.

Neither proxies of the environment nor redirects are followed, so a request's secrets reach this host and port
only. They use ``http.client``, because ``requests`` costs a node 7 MiB.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from common.addresses import split_http_url
from common.errors import TrackerUnavailable
from node.discovery.http_deadline import HeadDeadline, read_body, reason

MAX_ANSWER = 4 << 20  # bytes of an answer's body
KEPT_CONNECTIONS = 4  # for the next requests
FAILURES = (http.client.HTTPException, OSError, UnicodeError)  # the last: a host name that cannot be one
ABORTED = (http.client.HTTPException, ConnectionError)  # of these a new connection may get an answer
HINT = "); is it running?"  # the end of the message about a tracker that does not answer


@dataclass(frozen=True)
class HttpResponse:
    """An answer. ``retry_after``: seconds that its Retry-After header asks for, if it has one."""

    status: int
    content: bytes
    retry_after: float | None


class HttpClient:
    """Requests to the tracker at ``url``. Thread-safe: each request uses a connection of its own.

    ``timeout``: max seconds for the connection, for the first byte of the answer, and for its last.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self.connections = 0  # opened so far: after a tracker restarts, the next request opens one
        self._timeout = timeout
        self._kept: queue.LifoQueue[_Connection] = queue.LifoQueue(KEPT_CONNECTIONS)

    def post(
        self, body: bytes, headers: Mapping[str, str], again: bool, path: str = "/tracker"
    ) -> HttpResponse:
        """POST to ``path``. TrackerUnavailable if no answer comes.

        ``again``: repeat the request if the connection was closed, which a tracker may do with kept ones.
        False for a request that must not arrive twice.
        """
        return self._send("POST", path, body, headers, again)

    def get(self, path: str, headers: Mapping[str, str]) -> HttpResponse:
        """GET ``path``. TrackerUnavailable if no answer comes."""
        return self._send("GET", path, None, headers, again=True)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], again: bool
    ) -> HttpResponse:
        try:
            return self._once(method, path, body, headers)
        except FAILURES as error:
            if not again or not isinstance(error, ABORTED) or isinstance(error, ConnectionRefusedError):
                raise self._unavailable(error) from None
        self.close()
        try:
            return self._once(method, path, body, headers)
        except FAILURES as error:
            raise self._unavailable(error) from None

    def close(self) -> None:
        """Close the kept connections. A later request opens new ones."""
        while True:
            try:
                self._kept.get_nowait().close()
            except queue.Empty:
                return

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        with self._connection() as connection:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            with connection.getresponse() as response:
                retry_after = _seconds(response.headers.get("Retry-After", ""))
                content = read_body(response.read1, self.url, MAX_ANSWER, self._timeout)
                if response.length:
                    raise http.client.IncompleteRead(content, response.length)
                return HttpResponse(response.status, content, retry_after)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[_Connection]:
        try:
            connection = self._kept.get_nowait()
        except queue.Empty:
            connection = _Connection(self)
        if connection.was_dropped():
            connection.close()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        try:
            self._kept.put_nowait(connection)
        except queue.Full:
            connection.close()

    def _unavailable(self, error: Exception) -> TrackerUnavailable:
        return TrackerUnavailable(f"tracker {self.url} does not answer ({reason(error)}{HINT}")


class _Connection(HeadDeadline, http.client.HTTPConnection):
    """A connection to the tracker, opened by the next request; kept from one request to another."""

    def __init__(self, client: HttpClient) -> None:
        host, port, _ = split_http_url(client.url)
        super().__init__(host, port, timeout=client._timeout)
        self._client = client

    def connect(self) -> None:
        super().connect()
        self._client.connections += 1

    def was_dropped(self) -> bool:
        """True if the tracker closed it, or sent what nobody asked for, since the last request."""
        if self.sock is None:
            return False
        try:
            self.sock.settimeout(0)
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            self.sock.settimeout(self.timeout)
            return False
        except OSError:
            pass
        return True


def _seconds(header: str) -> float | None:
    """Seconds of a Retry-After (RFC 9110, 10.2.3). A date is ignored: it needs clocks that agree."""
    return float(header) if re.fullmatch(r"[0-9]{1,9}", header) else None
