"""The classroom API: POST /tracker with a mode, or /register /own /need /update /exit, JSON in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Blueprint, Response, request

from common.messages import Exit, Mode, Need, NeedAnswer, Own, Register, Update, decode_object
from tracker.auth import Credentials, bearer
from tracker.service import TrackerService
from tracker.web.front import KIND, REMOTE
from tracker.web.gate import Gate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Message = Register | Own | Need | Update | Exit

MAX_DIGITS = 20  # of a Content-Length
MESSAGES: dict[Mode, type[Message]] = {
    Mode.REGISTER: Register,
    Mode.OWN: Own,
    Mode.NEED: Need,
    Mode.UPDATE: Update,
    Mode.EXIT: Exit,
}
KINDS = {mode: mode.name.lower() for mode in Mode}
COMES_IN = (Mode.REGISTER, Mode.OWN)  # a node is in after these


def create_api(service: TrackerService, gate: Gate) -> Blueprint:
    """The blueprint that speaks for ``service``, after the ``gate`` let a request through."""
    api = Blueprint("api", __name__)
    acts: dict[Mode, Callable[[Any, Credentials], dict[str, Any] | NeedAnswer]] = {
        Mode.REGISTER: service.register_node,
        Mode.OWN: service.add_file_owner,
        Mode.NEED: service.search_file,
        Mode.UPDATE: service.update_db,
        Mode.EXIT: service.remove_node,
    }

    def carry_out(environ: WSGIEnvironment, mode: Mode, fields: Mapping[str, Any]) -> Response:
        environ[KIND] = KINDS[mode]
        message, remote = MESSAGES[mode].from_json(fields), environ[REMOTE]
        by = presented(environ, fields)
        gate.call(remote, message.node_id, by.secret, mode in COMES_IN)
        answer = acts[mode](message, by)
        if mode in COMES_IN:
            gate.came(remote, message.node_id)
        elif mode is Mode.EXIT:
            gate.left(message.node_id)
        fields_of_answer = answer.to_json() if isinstance(answer, NeedAnswer) else answer
        return Response(msgspec.json.encode(fields_of_answer), mimetype="application/json")

    @api.post("/tracker")
    def handle_node_request() -> Response:
        """Call what the mode asks for (the report's ``handle_node_request``)."""
        asked, fields = _asked()
        return carry_out(asked, Mode.from_json(fields.get("mode")), fields)

    def endpoint(mode: Mode) -> Callable[[], Response]:
        def answer() -> Response:
            asked, fields = _asked()
            return carry_out(asked, mode, fields)

        return answer

    for mode, name in KINDS.items():
        api.add_url_rule(f"/{name}", name, endpoint(mode), methods=["POST"])
    return api


def presented(environ: WSGIEnvironment, fields: Mapping[str, Any]) -> Credentials:
    """What a request shows of who makes it, in its headers or, the swarm key, in a field."""
    key = environ.get("HTTP_X_SWARM_KEY", fields.get("swarm_key"))
    secret = bearer(environ.get("HTTP_AUTHORIZATION"))
    return Credentials(secret, key if isinstance(key, str) else None, environ[REMOTE])


def _asked() -> tuple[WSGIEnvironment, dict[str, Any]]:
    """The environment of the request at hand, and the object in its body."""
    asked = request._get_current_object()  # type: ignore[attr-defined]  # once: naming it costs a look each time
    environ: WSGIEnvironment = asked.environ
    length, limit = environ.get("CONTENT_LENGTH", ""), asked.max_content_length
    if length.isdecimal() and len(length) < MAX_DIGITS and (limit is None or int(length) <= limit):
        return environ, decode_object(
            environ["wsgi.input"].read(int(length))
        )  # Flask makes a stream of it first
    return environ, decode_object(asked.get_data(cache=False))
