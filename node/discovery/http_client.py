"""Requests to one tracker process, over kept connections. Answers are bounded in size and in time.

Neither proxies of the environment nor redirects are followed, so a request's secrets reach this host and port
only.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import requests

from common.errors import TrackerUnavailable
from node.discovery.http_deadline import FAILURES, DeadlineAdapter, read_body, reason

MAX_ANSWER = 4 << 20  # bytes of an answer's body
KEPT_SESSIONS = 4  # connections kept for the next request
HINT = "); is it running?"  # the end of the message about a tracker that does not answer


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
        return self._send("POST", "/tracker", body, headers, again)

    def get(self, path: str, headers: Mapping[str, str]) -> HttpResponse:
        """GET ``path``. TrackerUnavailable if no answer comes."""
        return self._send("GET", path, None, headers, again=True)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], again: bool
    ) -> HttpResponse:
        try:
            return self._once(method, path, body, headers)
        except FAILURES as error:
            if not again or "aborted" not in str(error):
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
                self._sessions.get_nowait().close()
            except queue.Empty:
                return

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        with (
            self._session() as session,
            session.request(
                method,
                self.url + path,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            retry_after = _seconds(response.headers.get("Retry-After", ""))
            return HttpResponse(
                response.status_code, read_body(response, self.url, MAX_ANSWER, self._timeout), retry_after
            )

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        try:
            session = self._sessions.get_nowait()
        except queue.Empty:
            session = requests.Session()
            session.mount("http://", DeadlineAdapter(self._connected))
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

    def _connected(self, _: socket.socket) -> None:
        self.connections += 1

    def _unavailable(self, error: Exception) -> TrackerUnavailable:
        return TrackerUnavailable(f"tracker {self.url} does not answer ({reason(error)}{HINT}")


def _seconds(header: str) -> float | None:
    """Seconds of a Retry-After (RFC 9110, 10.2.3). A date is ignored: it needs clocks that agree."""
    return float(header) if re.fullmatch(r"[0-9]{1,9}", header) else None
