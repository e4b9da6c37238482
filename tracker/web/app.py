"""The application factory: the blueprints, and one JSON form for every error."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from common.errors import MessageError, NodeConflict, TrackerFull
from common.logs import clean, log
from tracker.service import TrackerService
from tracker.web.api import create_api

MAX_LISTED = 100  # nodes named at /


def create_app(service: TrackerService, max_request_bytes: int = 1 << 20) -> Flask:
    """A WSGI application that serves ``service``; 413 for a body of more than ``max_request_bytes``."""
    app = Flask("tracker", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_request_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's own provider has it
    app.register_blueprint(create_api(service))
    _answer_errors_in_json(app)

    @app.get("/")
    def index() -> Response:
        """What this is, for whoever looks with a browser."""
        about = "A classroom swarm's tracker; nodes POST to /tracker"
        return jsonify({"about": about, **service.overview(MAX_LISTED)})

    return app


def _answer_errors_in_json(app: Flask) -> None:
    def failed(status: int, text: str, **more: Any) -> tuple[Response, int]:
        return jsonify({"error": clean(text), **more}), status

    @app.errorhandler(MessageError)
    def bad_field(error: MessageError) -> tuple[Response, int]:
        return failed(HTTPStatus.BAD_REQUEST, str(error), field=error.field)

    @app.errorhandler(NodeConflict)
    def conflict(error: NodeConflict) -> tuple[Response, int]:
        log(f"refused {request.remote_addr}: {error}")
        return failed(HTTPStatus.CONFLICT, str(error), field="node_id")

    @app.errorhandler(TrackerFull)
    def full(error: TrackerFull) -> tuple[Response, int]:
        return failed(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> BaseResponse:
        response = error.get_response()  # with its headers: a 405 says what is allowed
        response.data = json.dumps({"error": error.name.lower()})
        response.content_type = "application/json"
        return response
