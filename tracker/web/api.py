"""The classroom API: POST /tracker with a mode, or /register /own /need /update /exit, JSON in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Flask, Response, request

from common.messages import Exit, Mode, Need, NeedAnswer, Own, Register, Update
from common.validation import decode_object
from tracker.auth import Credentials, bearer
from tracker.service import TrackerService
from tracker.web.middleware import KIND, REMOTE, RateLimiter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Message = Register | Own | Need | Update | Exit

MAX_LENGTH_DIGITS = 20  # of a Content-Length
MESSAGES: dict[Mode, type[Message]] = {
    Mode.REGISTER: Register,
    Mode.OWN: Own,
    Mode.NEED: Need,
    Mode.UPDATE: Update,
    Mode.EXIT: Exit,
}
KINDS = {mode: mode.name.lower() for mode in Mode}


def add_api(app: Flask, service: TrackerService, limiter: RateLimiter, max_request_bytes: int) -> None:
    """Add the five requests to ``app``: limit, read, call ``service``, write its answer.

    They are not a blueprint, because Flask would look for the blueprint's functions four times a request.
    """
    handlers: dict[Mode, Callable[[Any, Credentials], dict[str, Any] | NeedAnswer]] = {
        Mode.REGISTER: service.register_node,
        Mode.OWN: service.add_file_owner,
        Mode.NEED: service.search_file,
        Mode.UPDATE: service.update_db,
        Mode.EXIT: service.remove_node,
    }

    def handle(environ: WSGIEnvironment, mode: Mode, fields: Mapping[str, Any]) -> Response:
        environ[KIND] = KINDS[mode]
        message, remote = MESSAGES[mode].from_json(fields), environ[REMOTE]
        by = credentials(environ, fields)
        limiter.admit_call(remote, message.node_id, by.secret)
        answer = handlers[mode](message, by)
        body = answer.encode() if isinstance(answer, NeedAnswer) else msgspec.json.encode(answer)
        return Response(body, content_type="application/json")

    @app.post("/tracker")
    def handle_node_request() -> Response:
        """Any of the five, by its mode (the report's ``handle_node_request``)."""
        environ, fields = _read_request(max_request_bytes)
        return handle(environ, Mode.from_json(fields.get("mode")), fields)

    def endpoint(mode: Mode) -> Callable[[], Response]:
        def answer() -> Response:
            environ, fields = _read_request(max_request_bytes)
            return handle(environ, mode, fields)

        return answer

    for mode, name in KINDS.items():
        app.add_url_rule(f"/{name}", name, endpoint(mode), methods=["POST"])


def credentials(environ: WSGIEnvironment, fields: Mapping[str, Any]) -> Credentials:
    """The secret in the request's headers; the swarm key in a header or a field."""
    key = environ.get("HTTP_X_SWARM_KEY", fields.get("swarm_key"))
    secret = bearer(environ.get("HTTP_AUTHORIZATION"))
    return Credentials(secret, key if isinstance(key, str) else None, environ[REMOTE])


def _read_request(max_bytes: int) -> tuple[WSGIEnvironment, dict[str, Any]]:
    """The environment of the current request, and the object in its body."""
    environ: WSGIEnvironment = request.environ
    length = environ.get("CONTENT_LENGTH", "")
    if length.isdecimal() and len(length) < MAX_LENGTH_DIGITS and int(length) <= max_bytes:
        body = environ["wsgi.input"].read(int(length))  # Flask would wrap a stream around it first
    else:
        body = request.get_data(cache=False)  # chunked, or too large: Flask's own limit answers 413
    return environ, decode_object(body)
