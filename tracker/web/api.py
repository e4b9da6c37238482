"""The classroom API: POST /tracker with a mode, or /register /own /need /update /exit, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers

from common.errors import MessageError
from common.messages import Exit, Mode, Need, Own, Register, Update
from tracker.identity import Presented, bearer
from tracker.service import TrackerService
from tracker.web.front import KIND, REMOTE
from tracker.web.gate import Gate

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
    acts: dict[Mode, Callable[[Any, Presented], dict[str, Any]]] = {
        Mode.REGISTER: service.register_node,
        Mode.OWN: service.add_file_owner,
        Mode.NEED: service.search_file,
        Mode.UPDATE: service.update_db,
        Mode.EXIT: service.remove_node,
    }

    def carry_out(mode: Mode, fields: Mapping[str, Any]) -> Response:
        request.environ[KIND] = KINDS[mode]
        message, remote = MESSAGES[mode].from_json(fields), request.environ[REMOTE]
        by = presented(request.headers, fields, remote)
        gate.call(remote, message.node_id, by.secret, mode in COMES_IN)
        answer = acts[mode](message, by)
        if mode in COMES_IN:
            gate.came(remote, message.node_id)
        elif mode is Mode.EXIT:
            gate.left(message.node_id)
        return Response(json.dumps(answer), mimetype="application/json")

    @api.post("/tracker")
    def handle_node_request() -> Response:
        """Call what the mode asks for (the report's ``handle_node_request``)."""
        fields = _fields()
        return carry_out(Mode.from_json(fields.get("mode")), fields)

    def endpoint(mode: Mode) -> Callable[[], Response]:
        return lambda: carry_out(mode, _fields())

    for mode, name in KINDS.items():
        api.add_url_rule(f"/{name}", name, endpoint(mode), methods=["POST"])
    return api


def presented(headers: Headers, fields: Mapping[str, Any], remote: str) -> Presented:
    """What a request shows of who makes it, in its headers or, the swarm key, in a field."""
    key = headers.get("X-Swarm-Key", fields.get("swarm_key"))
    return Presented(bearer(headers.get("Authorization")), key if isinstance(key, str) else None, remote)


def _fields() -> dict[str, Any]:
    return read_object(request.get_data(cache=False))


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; MessageError if it is none."""
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_int=_integer, parse_constant=_no_number)
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
