"""HTTP with one tracker process: POSTs over kept connections; answers bounded in size and in time.

Thread-safe: each request borrows a session of its own, and a few are kept for the next. Neither proxies
of the environment nor redirects are followed, so what a request carries goes to this host and port only.
"""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import requests
import urllib3

from common.errors import TrackerUnavailable
from node.discovery.deadline import DeadlineAdapter

MAX_ANSWER = 4 << 20  # bytes
READ_SIZE = 16 << 10  # bytes at a time
KEPT_SESSIONS = 4
HINT = "); is it running?"  # the end of what is said of a tracker that does not answer

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


@dataclass(frozen=True)
class Answer:
    """What came back; ``retry_after``: seconds that the answer asks for, if it does."""

    status: int
    content: bytes
    retry_after: float | None


class Exchange:
    """Requests to the tracker at ``url``.

    ``timeout``: seconds to wait for a connection, for an answer to begin, and for it to end.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self._timeout = timeout
        self._sessions: queue.LifoQueue[requests.Session] = queue.LifoQueue(KEPT_SESSIONS)

    def post(self, body: bytes, headers: Mapping[str, str], again: bool) -> Answer:
        """POST to ``/tracker``; TrackerUnavailable if no answer comes.

        ``again``: ask a second time if the connection was cut, which a tracker does to kept ones. What does
        harm when it is said twice must not be.
        """
        try:
            return self._post(body, headers)
        except FAILURES as error:
            if not again or "aborted" not in str(error):
                raise self._unavailable(error) from None
        self.close()
        try:
            return self._post(body, headers)
        except FAILURES as error:
            raise self._unavailable(error) from None

    def close(self) -> None:
        """Let go of the connections; a later request opens new ones."""
        while True:
            try:
                self._sessions.get_nowait().close()
            except queue.Empty:
                return

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        url = f"{self.url}/tracker"
        with (
            self._session() as session,
            session.post(
                url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response,
        ):
            retry_after = _seconds(response.headers.get("Retry-After", ""))
            return Answer(response.status_code, self._read(response), retry_after)

    def _read(self, response: requests.Response) -> bytes:
        # read1, where this urllib3 has it, returns what is there: a tracker that sends byte by byte
        # cannot hold us.
        read = getattr(response.raw, "read1", response.raw.read)
        content, deadline = bytearray(), time.monotonic() + self._timeout
        while part := read(READ_SIZE, decode_content=False):
            content += part
            if len(content) > MAX_ANSWER:
                raise garbled(self.url, f"it is longer than {MAX_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise garbled(self.url, f"it takes longer than {self._timeout:g} s")
        return bytes(content)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        try:
            session = self._sessions.get_nowait()
        except queue.Empty:
            session = requests.Session()
            session.mount("http://", DeadlineAdapter())
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

    def _unavailable(self, error: Exception) -> TrackerUnavailable:
        return TrackerUnavailable(f"tracker {self.url} does not answer ({_reason(error)}{HINT}")


def garbled(url: str, what: str) -> TrackerUnavailable:
    """The error for an answer that is none of a tracker's."""
    return TrackerUnavailable(f"{url} does not answer as a tracker does ({what})")


REASONS = {  # a part of the error's text, in lower case: what people are told
    "timed out": "timeout",
    "refused": "connection refused",
    "resol": "no such host",
    "getaddrinfo": "no such host",
    "unreachable": "network unreachable",
    "badstatusline": "it speaks no HTTP",
}


def _reason(error: Exception) -> str:
    text = str(error).lower()
    return next((reason for part, reason in REASONS.items() if part in text), "connection lost")


def _seconds(header: str) -> float | None:
    """Seconds of a Retry-After (RFC 9110, 10.2.3); a date would need the clock on the wall: ignored."""
    return float(header) if re.fullmatch(r"[0-9]{1,9}", header) else None
