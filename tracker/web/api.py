"""The classroom API: POST /tracker with a mode, or /register /own /need /update /exit, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from common.errors import MessageError
from common.messages import Exit, Mode, Need, NeedAnswer, Own, Register, Update
from tracker.auth import Credentials, bearer
from tracker.service import TrackerService
from tracker.web.front import KIND, REMOTE
from tracker.web.gate import Gate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Message = Register | Own | Need | Update | Exit

MAX_DIGITS = 20  # of a number; no field takes more, and converting very long ones takes very long
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
        text = answer.to_text() if isinstance(answer, NeedAnswer) else json.dumps(answer)
        return Response(text, mimetype="application/json")

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
        return environ, read_object(
            environ["wsgi.input"].read(int(length))
        )  # Flask makes a stream of it first
    return environ, read_object(asked.get_data(cache=False))


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; MessageError if it is none."""
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
    except RecursionError:
        raise MessageError("the body is nested too deeply", "body") from None
    except ValueError as error:
        raise MessageError(f"the body is not JSON: {error}", "body") from None
    if not isinstance(value, dict):
        raise MessageError("the body must be a JSON object", "body")
    return value


def _integer(digits: str) -> int | float:
    """One with more digits than any field takes is no whole number to them; elsewhere it does no harm."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_number)  # json.loads makes one each time
