"""A WSGI middleware before Flask: rate limits, the check of a request's origin, and for every answer the
security headers, the counters and the line in the access log.

The cheapest check comes first: the address's rate limit, before the application parses the body.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from common import bencode
from common.errors import RateLimited
from common.text import sanitize
from tracker.rate_limits import RateLimits, client_prefix
from tracker.web.access_log import AccessLog
from tracker.web.metrics import Metrics
from tracker.web.origin_check import LOAD_NOTHING, NOT_JSON, SECURITY_HEADERS, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KIND = "tracker.kind"  # in the environment: the kind of the request, set by the API for the counters
REMOTE = "tracker.remote"  # in the environment: the address that the client counts as
ADDRESS = "tracker.address"  # in the environment: the client's address, as text that is not checked
BENCODED_PATHS = ("/announce", "/scrape")  # their errors are bencoded, with status 200
PAGE_KINDS = {  # of pages, by their paths; no POST does anything there
    path: path.strip("/") or "index"
    for path in (
        "/",
        "/nodes",
        "/swarm",
        "/stats",
        "/metrics",
        "/health",
        "/openapi.json",
        "/torrents",
        *BENCODED_PATHS,
    )
}
UNLIMITED_PATHS = ("/health",)  # answered even when the address is over its limit

Direct = Callable[["WSGIEnvironment"], "DirectAnswer | None"]
"""Answers a request without Flask; None: Flask must."""


class RateLimiter:
    """The pure rate limits with a lock and a clock. The ``admit`` methods may raise RateLimited."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()

    def admit_request(self, address: str) -> None:
        """A request came from ``address``."""
        with self._lock:
            self._limits.admit_request(address, self._clock())

    def admit_call(self, address: str, node_id: int, secret: str | None) -> None:
        """The request speaks for a node."""
        with self._lock:
            self._limits.admit_call(address, node_id, secret, self._clock())

    def admit_report(self, address: str, node_id: int, secret: str | None) -> None:
        """The request is a report of a node."""
        with self._lock:
            self._limits.admit_report(address, node_id, secret, self._clock())


@dataclass(frozen=True)
class DirectAnswer:
    """An answer that is made without Flask."""

    status: HTTPStatus
    headers: list[tuple[str, str]]
    body: bytes


class Middleware:
    """Wraps a WSGI application."""

    def __init__(
        self,
        application: WSGIApplication,
        limiter: RateLimiter,
        metrics: Metrics,
        *,
        allowed_hosts: Collection[str] = (),
        trusted_proxies: Collection[str] = (),
        access_log: AccessLog | None = None,
        direct: Mapping[tuple[str, str], Direct] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``allowed_hosts``: names that a Host header may have, in lower case; ``trusted_proxies``: proxies
        from which X-Forwarded-For is believed; ``direct``: by method and path, what answers without Flask.
        """
        self._application = application
        self._limiter = limiter
        self._metrics = metrics
        self._allowed_hosts = allowed_hosts
        self._trusted_proxies = trusted_proxies
        self._access_log = access_log
        self._direct = direct or {}
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begun = self._clock()
        sent = [500, 0]  # status, bytes

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            sent[0] = int(status[:3])
            sent[1] = _complete(headers)
            return start_response(status, headers, *more)

        environ[ADDRESS] = self._remote(environ)
        environ[REMOTE] = client_prefix(environ[ADDRESS])
        try:
            return self._answer(environ, start)
        finally:
            self._record(environ, sent[0], self._clock() - begun, sent[1])

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in UNLIMITED_PATHS:
            try:
                self._limiter.admit_request(environ[REMOTE])
            except RateLimited as error:
                if environ["PATH_INFO"] in BENCODED_PATHS:
                    return _send(start, "200 OK", "text/plain", failure(error))
                return _refuse(
                    start, HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after(error.retry_after)
                )
        refused = refusal(environ, self._allowed_hosts)
        if refused is not None and not (refused is NOT_JSON and environ["PATH_INFO"] in PAGE_KINDS):
            return _refuse(start, refused.status, refused.error)
        direct = self._direct.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        answer = direct(environ) if direct is not None else None
        if answer is None:
            return self._application(environ, start)
        has_body = answer.status is not HTTPStatus.NOT_MODIFIED
        length = [("Content-Length", str(len(answer.body)))] if has_body else []
        start(f"{answer.status.value} {answer.status.phrase}", [*answer.headers, *length])
        return [answer.body]

    def _record(self, environ: WSGIEnvironment, status: int, seconds: float, size: int) -> None:
        kind = environ.get(KIND) or PAGE_KINDS.get(environ["PATH_INFO"], "other")
        self._metrics.count(kind, status, seconds)
        if self._access_log is not None:
            remote, method, path = environ[ADDRESS], environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self._access_log.write(remote, method, path, status, seconds, size)

    def _remote(self, environ: WSGIEnvironment) -> str:
        """The client's address: a trusted proxy appends it to X-Forwarded-For."""
        remote = str(environ.get("REMOTE_ADDR") or "")
        if remote in self._trusted_proxies:
            return str(environ.get("HTTP_X_FORWARDED_FOR", remote)).rpartition(",")[2].strip() or remote
        return remote


def retry_after(seconds: float) -> tuple[str, str]:
    """The header with the wait in whole seconds, at least one (RFC 9110, section 10.2.3)."""
    return "Retry-After", str(max(1, math.ceil(seconds)))


def _refuse(
    start: StartResponse, status: HTTPStatus, error: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    """An answer without Flask, in the JSON form of all errors."""
    body = json.dumps({"error": error}).encode()
    return _send(start, f"{status.value} {status.phrase}", "application/json", body, *headers)


def _send(
    start: StartResponse, status: str, content_type: str, body: bytes, *headers: tuple[str, str]
) -> Iterable[bytes]:
    start(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers])
    return [body]


def failure(error: Exception) -> bytes:
    """The bencoded form of an error of an announce or a scrape (BEP 3)."""
    fields: dict[bytes, bencode.Value] = {b"failure reason": sanitize(error).encode()}
    if isinstance(error, RateLimited):
        fields[b"retry in"] = max(1, math.ceil(error.retry_after / 60))  # minutes (BEP 31)
    return bencode.encode(fields)


def _complete(headers: list[tuple[str, str]]) -> int:
    """Add the headers that every answer has; the Content-Length."""
    given = dict(headers)
    headers.extend(SECURITY_HEADERS)
    if "Content-Security-Policy" not in given:
        headers.append(("Content-Security-Policy", LOAD_NOTHING))
    if "Cache-Control" not in given:
        headers.append(("Cache-Control", "no-store"))
    return int(given.get("Content-Length", 0))
