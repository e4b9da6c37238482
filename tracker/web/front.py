"""What every request passes before Flask sees it: who asks too much, whatever a foreign page may have sent,
and the headers, the count and the log line of every answer. A WSGI middleware.

The cheapest look comes first: the address's bucket, before a byte of the body is read or parsed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from common.errors import RateLimited
from tracker.rate_limits import one_owner
from tracker.web.access_log import AccessLog
from tracker.web.gate import Gate
from tracker.web.guard import HEADERS, NO_JSON, NOTHING, refusal
from tracker.web.traffic import Traffic

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KIND = "tracker.kind"  # in the environment: what kind of request it turned out to be, for the count
REMOTE = "tracker.remote"  # in the environment: the address as which the client counts
KINDS = {  # of pages, by their paths; no POST does anything there
    path: path.strip("/") or "index" for path in ("/", "/stats", "/metrics", "/health", "/openapi.json")
}
UNLIMITED = ("/health",)  # who watches the tracker is answered even when its address asks too much


class Front:
    """Wraps a WSGI application."""

    def __init__(
        self,
        application: WSGIApplication,
        gate: Gate,
        traffic: Traffic,
        sample: Callable[[], None],
        *,
        allowed_hosts: Collection[str] = (),
        trusted_proxies: Collection[str] = (),
        access_log: AccessLog | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``sample`` is called when it is time for one; ``allowed_hosts``: names that a Host header may
        have, in lower case; ``trusted_proxies``: addresses whose X-Forwarded-For is believed.
        """
        self._application = application
        self._gate = gate
        self._traffic = traffic
        self._sample = sample
        self._allowed_hosts = allowed_hosts
        self._trusted_proxies = trusted_proxies
        self._access_log = access_log
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer."""
        begun = self._clock()
        sent = [500, 0]  # status, bytes

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            sent[0] = int(status[:3])
            sent[1] = _complete(headers)
            return start_response(status, headers, *more)

        environ[REMOTE] = one_owner(self._remote(environ))
        try:
            return self._answer(environ, start)
        finally:
            self._note(environ, sent[0], self._clock() - begun, sent[1])

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in UNLIMITED:
            try:
                self._gate.ask(environ[REMOTE])
            except RateLimited as error:
                return plain(start, HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after(error))
        refused = refusal(environ, self._allowed_hosts)
        if refused is not None and not (refused is NO_JSON and environ["PATH_INFO"] in KINDS):
            return plain(start, refused.status, refused.error)
        return self._application(environ, start)

    def _note(self, environ: WSGIEnvironment, status: int, seconds: float, size: int) -> None:
        kind = environ.get(KIND) or KINDS.get(environ["PATH_INFO"], "other")
        self._traffic.note(kind, status, seconds)
        if self._traffic.due():
            self._sample()
        if self._access_log is not None:
            remote, method, path = self._remote(environ), environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self._access_log.write(remote, method, path, status, seconds, size)

    def _remote(self, environ: WSGIEnvironment) -> str:
        """The client's address: of what proxies say only the last word of one we trust."""
        remote = str(environ.get("REMOTE_ADDR") or "")
        if remote in self._trusted_proxies:
            return str(environ.get("HTTP_X_FORWARDED_FOR", remote)).rpartition(",")[2].strip() or remote
        return remote


def retry_after(error: RateLimited) -> tuple[str, str]:
    """The header that says when to come again: whole seconds, one at least (RFC 9110, 10.2.3)."""
    return "Retry-After", str(max(1, math.ceil(error.retry_after)))


def plain(start: StartResponse, status: HTTPStatus, error: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    """An answer without Flask: an error in the JSON form of all errors."""
    body = json.dumps({"error": error}).encode()
    start(
        f"{status.value} {status.phrase}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers],
    )
    return [body]


def _complete(headers: list[tuple[str, str]]) -> int:
    """Add what an answer must say and does not yet; how many bytes it says its body has."""
    said = dict(headers)
    headers.extend(HEADERS)
    if "Content-Security-Policy" not in said:
        headers.append(("Content-Security-Policy", NOTHING))
    if "Cache-Control" not in said:
        headers.append(("Cache-Control", "no-store"))
    return int(said.get("Content-Length", 0))
