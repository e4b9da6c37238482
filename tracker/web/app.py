"""The application factory: the blueprints, one JSON form for every error, and the middleware before them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from common.errors import (
    Forbidden,
    LocalFault,
    MessageError,
    NodeConflict,
    RateLimited,
    StorageFull,
    StorageReadOnly,
    StorageUnreachable,
    TrackerFull,
)
from common.logs import log
from common.text import sanitize
from tracker.rate_limits import RateLimits
from tracker.service import TrackerService
from tracker.settings import WebSettings
from tracker.web.access_log import AccessLog
from tracker.web.announce import add_announce
from tracker.web.api import add_api
from tracker.web.dashboard import create_dashboard
from tracker.web.metrics import Metrics
from tracker.web.middleware import Middleware, RateLimiter, retry_after
from tracker.web.page_files import PageFiles
from tracker.web.pages import create_pages, overview
from tracker.web.seeing import SeeingPaths, add_seeing

STATUSES = {
    TrackerFull: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    StorageReadOnly: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def create_app(
    service: TrackerService, settings: WebSettings | None = None, access_log: AccessLog | None = None
) -> Flask:
    """A WSGI application that serves ``service``."""
    settings = settings or WebSettings()
    limiter = RateLimiter(RateLimits(settings.limits))
    metrics = Metrics(service.counts, udp_packets=service.announces.udp_packets)
    app = Flask("tracker", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's own provider has it
    add_api(app, service, limiter, settings.max_request_bytes)
    add_announce(app, service.announces)
    seeing = SeeingPaths(service, limiter)
    add_seeing(app, service, seeing)
    app.register_blueprint(create_pages(service, metrics))
    app.register_blueprint(create_dashboard(PageFiles(), lambda: overview(service)))
    _answer_errors_in_json(app)
    app.wsgi_app = Middleware(  # type: ignore[method-assign]  # the way that Flask documents
        app.wsgi_app,
        limiter,
        metrics,
        allowed_hosts=settings.allowed_hosts,
        trusted_proxies=settings.trusted_proxies,
        access_log=access_log,
        direct=seeing.direct(),
    )
    return app


def _answer_errors_in_json(app: Flask) -> None:
    def failed(status: int, error: Exception, **more: Any) -> tuple[Response, int]:
        return jsonify({"error": sanitize(error), **more}), status

    @app.errorhandler(MessageError)
    def bad_field(error: MessageError) -> tuple[Response, int]:
        return failed(HTTPStatus.BAD_REQUEST, error, field=error.field)

    @app.errorhandler(NodeConflict)
    def conflict(error: NodeConflict) -> tuple[Response, int]:
        log(f"refused {request.remote_addr}: {error}")
        return failed(HTTPStatus.CONFLICT, error, field="node_id")

    @app.errorhandler(RateLimited)
    def too_many(error: RateLimited) -> tuple[Response, int]:
        answer, status = failed(HTTPStatus.TOO_MANY_REQUESTS, error)
        answer.headers.set(*retry_after(error.retry_after))
        return answer, status

    @app.errorhandler(Forbidden)
    def forbidden(error: Forbidden) -> tuple[Response, int]:
        answer, status = failed(HTTPStatus.FORBIDDEN, error, field=error.field)
        if error.retry_after is not None:
            answer.headers.set(*retry_after(error.retry_after))
        return answer, status

    def unable(error: LocalFault) -> tuple[Response, int]:
        return failed(STATUSES[type(error)], error)

    for kind in STATUSES:
        app.register_error_handler(kind, unable)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> BaseResponse:
        response = error.get_response()  # with its headers: a 405 has Allow
        response.data = json.dumps({"error": error.name.lower()})
        response.content_type = "application/json"
        return response
