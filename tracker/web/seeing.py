"""``POST /report`` and ``GET /swarm``: the live log in from nodes, and out to viewers.

Each node and each open page asks twice a second, and Flask takes longer than the work itself. So the
middleware tries ``SeeingPaths.direct`` first. It answers what is right; everything else goes on to Flask,
whose routes do the same again and turn the error into an answer.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from flask import Flask, Response, abort, request

from common.errors import MessageError, SwarmError
from common.shapes import MAX_WHOLE
from tracker.see.report import MAX_REPORT_BYTES, NodeReport
from tracker.service import TrackerService
from tracker.web.api import MAX_LENGTH_DIGITS, credentials
from tracker.web.middleware import KIND, REMOTE, Direct, DirectAnswer, RateLimiter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

REPORT, SWARM = "/report", "/swarm"
MAX_EPOCH = 64  # characters of an epoch in a query
MAX_DIGITS = 20  # of a position that are looked at: the largest has 16
MAX_FIELDS = 20  # of a query
LEAST_PACKED = 2000  # bytes of an answer that is sent as gzip to a viewer that accepts it
NOW = "X-Swarm-Now"
"""The header with the log's time in ms, on every answer of /swarm."""
JSON = ("Content-Type", "application/json")


class SeeingPaths:
    """Both paths on WSGI environments; they raise SwarmErrors."""

    def __init__(self, service: TrackerService, limiter: RateLimiter) -> None:
        self._service = service
        self._limiter = limiter

    def report(self, environ: WSGIEnvironment, body: bytes, received_ms: float) -> DirectAnswer:
        """Take the report in ``body``, which came in at ``received_ms``."""
        environ[KIND] = "report"
        try:
            report = NodeReport.decode(body)
        except MessageError:
            self._service.check_key(credentials(environ, {}))
            raise
        by = credentials(environ, {"swarm_key": report.swarm_key})
        self._service.check_key(by)
        self._limiter.admit_report(environ[REMOTE], report.node_id, by.secret)
        answer = self._service.take_report(report, received_ms, by)
        return DirectAnswer(HTTPStatus.OK, [JSON], msgspec.json.encode(answer))

    def swarm(self, environ: WSGIEnvironment) -> DirectAnswer:
        """The events after a position; 304 if nothing is new since the answer that the viewer has."""
        self._service.check_key(credentials(environ, {}))
        live, query = self._service.live, _query(environ)
        answer = live.answer(_epoch(query), _since(query))
        tag = f'W/"{answer.tag}"'  # weak (RFC 9110, section 8.8.1): packed or not, it is the same
        headers = [("ETag", tag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding")]
        headers.append((NOW, f"{live.now_ms():.3f}"))
        if tag in [part.strip() for part in environ.get("HTTP_IF_NONE_MATCH", "").split(",")]:
            return DirectAnswer(HTTPStatus.NOT_MODIFIED, headers, b"")
        if len(answer.body) < LEAST_PACKED or "gzip" not in environ.get("HTTP_ACCEPT_ENCODING", ""):
            return DirectAnswer(HTTPStatus.OK, [JSON, *headers], answer.body)
        return DirectAnswer(HTTPStatus.OK, [JSON, *headers, ("Content-Encoding", "gzip")], answer.packed)

    def direct(self) -> Mapping[tuple[str, str], Direct]:
        """For the middleware: by method and path, what answers a right request."""
        return {("POST", REPORT): _unless_wrong(self._report), ("GET", SWARM): _unless_wrong(self.swarm)}

    def _report(self, environ: WSGIEnvironment) -> DirectAnswer | None:
        received = self._service.live.now_ms()
        length = environ.get("CONTENT_LENGTH", "")
        if not (length.isdecimal() and len(length) < MAX_LENGTH_DIGITS and int(length) <= MAX_REPORT_BYTES):
            return None  # chunked, or too large
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)  # if it is wrong, it is read again
        return self.report(environ, body, received)


def add_seeing(app: Flask, service: TrackerService, paths: SeeingPaths) -> None:
    """Add both paths to ``app``."""

    @app.post(REPORT)
    def report() -> Response:
        received = service.live.now_ms()
        body = request.stream.read(MAX_REPORT_BYTES + 1)
        if len(body) > MAX_REPORT_BYTES:
            abort(413)
        return _response(paths.report(request.environ, body, received))

    @app.get(SWARM)
    def swarm() -> Response:
        return _response(paths.swarm(request.environ))


def _response(answer: DirectAnswer) -> Response:
    return Response(answer.body, answer.status, answer.headers)


def _unless_wrong(act: Callable[[WSGIEnvironment], DirectAnswer | None]) -> Direct:
    def answer(environ: WSGIEnvironment) -> DirectAnswer | None:
        try:
            return act(environ)
        except SwarmError:
            return None

    return answer


def _query(environ: WSGIEnvironment) -> dict[str, str]:
    try:
        return dict(parse_qsl(environ.get("QUERY_STRING", ""), True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise MessageError(f"the query does not parse: {error}", "query") from None


def _epoch(query: Mapping[str, str]) -> str | None:
    epoch = query.get("epoch")
    if epoch is not None and len(epoch) > MAX_EPOCH:
        raise MessageError(f"epoch must have at most {MAX_EPOCH} characters", "epoch")
    return epoch


def _since(query: Mapping[str, str]) -> int | None:
    text = query.get("since")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:MAX_DIGITS]) <= MAX_WHOLE):
        raise MessageError("since must be a whole number: the seq of the last answer", "since")
    return int(text[:MAX_DIGITS])
