"""``POST /report`` and ``GET /swarm``: the live log in from nodes, and out to viewers."""

from __future__ import annotations

import msgspec
from flask import Flask, Response, abort, request

from common.errors import MessageError
from common.shapes import MAX_WHOLE
from common.validation import decode_object
from tracker.see.report import MAX_REPORT_BYTES, NodeReport
from tracker.service import TrackerService
from tracker.web.api import credentials
from tracker.web.middleware import KIND, REMOTE, RateLimiter

MAX_EPOCH = 64  # characters of an epoch in a query
MAX_DIGITS = 20  # of a position that are looked at: the largest has 16
NOW = "X-Swarm-Now"
"""The header with the log's time in ms, on every answer of /swarm."""


def add_seeing(app: Flask, service: TrackerService, limiter: RateLimiter) -> None:
    """Add both paths to ``app``."""

    @app.post("/report")
    def report() -> Response:
        received = service.live.now_ms()
        environ = request.environ
        environ[KIND] = "report"
        fields = decode_object(_body())
        by = credentials(environ, fields)
        service.check_key(by)
        report = NodeReport.from_json(fields)
        limiter.admit_report(environ[REMOTE], report.node_id, by.secret)
        answer = service.take_report(report, received, by)
        return Response(msgspec.json.encode(answer), content_type="application/json")

    @app.get("/swarm")
    def swarm() -> Response:
        service.check_key(credentials(request.environ, {}))
        answer = service.live.answer(_epoch(), _since())
        headers = {"Cache-Control": "no-cache", NOW: f"{service.live.now_ms():.3f}"}
        response = Response(answer.body, content_type="application/json", headers=headers)
        response.set_etag(answer.tag)
        response.make_conditional(request.environ)
        return response


def _body() -> bytes:
    """The body, of at most MAX_REPORT_BYTES; else the answer is 413."""
    length = request.content_length
    if length is not None and length > MAX_REPORT_BYTES:
        abort(413)
    body = request.stream.read(MAX_REPORT_BYTES + 1)
    if len(body) > MAX_REPORT_BYTES:
        abort(413)
    return body


def _epoch() -> str | None:
    epoch = request.args.get("epoch")
    if epoch is not None and len(epoch) > MAX_EPOCH:
        raise MessageError(f"epoch must have at most {MAX_EPOCH} characters", "epoch")
    return epoch


def _since() -> int | None:
    text = request.args.get("since")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:MAX_DIGITS]) <= MAX_WHOLE):
        raise MessageError("since must be a whole number: the seq of the last answer", "since")
    return int(text[:MAX_DIGITS])
