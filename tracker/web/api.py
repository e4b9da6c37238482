"""The classroom API: POST /tracker with a mode, or /register /own /need /update /exit, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Blueprint, Response, jsonify, request

from common.errors import MessageError
from common.messages import Exit, Mode, Need, Own, Register, Update
from tracker.service import TrackerService

Message = TypeVar("Message")
Handler = Callable[[Mapping[str, Any]], dict[str, Any]]

MAX_DIGITS = 20  # of a number; no field takes more, and converting very long ones takes very long


def create_api(service: TrackerService) -> Blueprint:
    """The blueprint that speaks for ``service``."""
    api = Blueprint("api", __name__)
    handlers: dict[Mode, Handler] = {
        Mode.REGISTER: _handler(Register.from_json, service.register_node),
        Mode.OWN: _handler(Own.from_json, service.add_file_owner),
        Mode.NEED: _handler(Need.from_json, service.search_file),
        Mode.UPDATE: _handler(Update.from_json, service.update_db),
        Mode.EXIT: _handler(Exit.from_json, service.remove_node),
    }

    @api.post("/tracker")
    def handle_node_request() -> Response:
        """Call what the mode asks for (the report's ``handle_node_request``)."""
        fields = read_object(request.get_data(cache=False))
        return jsonify(handlers[Mode.from_json(fields.get("mode"))](fields))

    def endpoint(mode: Mode) -> Callable[[], Response]:
        return lambda: jsonify(handlers[mode](read_object(request.get_data(cache=False))))

    for mode in Mode:
        name = mode.name.lower()
        api.add_url_rule(f"/{name}", name, endpoint(mode), methods=["POST"])
    return api


def _handler(
    parse: Callable[[Mapping[str, Any]], Message], act: Callable[[Message], dict[str, Any]]
) -> Handler:
    return lambda fields: act(parse(fields))


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body, whatever its content type; MessageError if it is none."""
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_int=_integer, parse_constant=_no_number)
    except RecursionError:
        raise MessageError("the body is nested too deeply", "body") from None
    except ValueError as error:
        raise MessageError(f"the body is not JSON: {error}", "body") from None
    if not isinstance(value, dict):
        raise MessageError("the body must be a JSON object", "body")
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")
