"""The OpenAPI 3.1 document of the tracker's HTTP API. Pure; built once."""

from __future__ import annotations

from typing import Any

from common.messages import Mode
from tracker.web import schemas
from tracker.web.schemas import Schema, ref

VERSION = "1.0.0"  # of the API: the last number for words, the middle one for what is added
JSON = "application/json"
HASH = "0123456789abcdef0123456789abcdef01234567"

SUMMARIES = {
    Mode.REGISTER: "a node comes in, or is still there",
    Mode.OWN: "a node serves a file, or up to 1,000",
    Mode.NEED: "who has a file? The best first",
    Mode.UPDATE: "a node has uploaded once more",
    Mode.EXIT: "a node leaves, with all it owned",
}
DESCRIPTIONS = {
    Mode.REGISTER: "Also the heartbeat: call again after `interval` seconds. `known: false` asks for the "
    "node's files anew. With `claim`, or a secret of the node's own choice in `Authorization: Bearer`, the "
    "node_id belongs to that secret until the node exits or falls silent.",
    Mode.OWN: "One file in the fields beside node_id, or many in `files`. All of them are taken, or none.",
    Mode.NEED: "By info_hash alone if there is one, else by filename. Nobody has it: an empty list.",
    Mode.UPDATE: "Of node_id itself, as in the course report, or a receipt for an `owner`: who received says "
    "who delivered, how many bytes, of what.",
    Mode.EXIT: "To exit twice is as good as once.",
}
EXAMPLES: dict[Mode, Schema] = {
    Mode.REGISTER: {"node_id": 1, "addr": ["127.0.0.1", 4001]},
    Mode.OWN: {
        "node_id": 1, "addr": ["127.0.0.1", 4001],
        "filename": "lecture.mp4", "info_hash": HASH, "size": 9_000_000,
    },
    Mode.NEED: {"node_id": 2, "filename": "lecture.mp4"},
    Mode.UPDATE: {"node_id": 1, "filename": "lecture.mp4"},
    Mode.EXIT: {"node_id": 1},
}  # fmt: skip

REFUSALS = {  # of every call
    "403": "a secret or the join code is missing or wrong, or a web page of another origin asks",
    "421": "the Host header names no address of this tracker",
    "429": "too many requests, or nodes, of this address or node; Retry-After says when to come again",
}
POST_REFUSALS = {
    **REFUSALS,
    "400": "a field is missing or wrong; `field` names it",
    "409": "the node_id is live at another address",
    "413": "the body is too large",
    "415": "the Content-Type is not application/json",
    "503": "the tracker is full, or cannot write its records now",
    "507": "the tracker's disk is full",
}


def document() -> Schema:
    """The whole of it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The classroom tracker",
            "version": VERSION,
            "summary": "Who is in the swarm, who owns which file, and which owners are best.",
            "description": "JSON in and out. Fields that are not named here are ignored; answers may have "
            "more. Every error is `{\"error\": \"...\"}`, with `field` where one field is to blame.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"swarmKey": []}],
        "tags": [
            {"name": "requests", "description": "The five requests of a node."},
            {"name": "looking", "description": "What is going on, for people and programs."},
        ],
        "paths": _paths(),
        "components": {
            "schemas": {
                "Error": schemas.ERROR,
                "OwnedFile": schemas.OWNED_FILE,
                "Owner": schemas.OWNER,
                **{f"{mode.name.title()}Answer": schema for mode, schema in schemas.ANSWERS.items()},
            },
            "securitySchemes": {
                "secret": {
                    "type": "http", "scheme": "bearer",
                    "description": "the secret that a claimed node_id belongs to: 43 characters of base64url",
                },
                "swarmKey": {
                    "type": "apiKey", "in": "header", "name": "X-Swarm-Key",
                    "description": "the join code, if the tracker wants one (setting SWARM_KEY)",
                },
            },
        },
    }  # fmt: skip


def _paths() -> Schema:
    modes = {f"/{mode.name.lower()}": {"post": _post(mode)} for mode in Mode}
    return {"/tracker": {"post": _any_post()}, **modes, **_pages()}


def _post(mode: Mode) -> Schema:
    return {
        "operationId": mode.name.lower(),
        "tags": ["requests"],
        "summary": f"{mode.name}: {SUMMARIES[mode]}",
        "description": DESCRIPTIONS[mode],
        "security": [{}, {"secret": []}, {"swarmKey": []}, {"secret": [], "swarmKey": []}],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schemas.REQUESTS[mode], "example": EXAMPLES[mode]}},
        },
        "responses": {
            "200": _answer("done", ref(f"{mode.name.title()}Answer")),
            **_refusals(POST_REFUSALS),
        },
    }


def _any_post() -> Schema:
    requests = [schemas.with_mode(mode, schema) for mode, schema in schemas.REQUESTS.items()]
    answers = [ref(f"{mode.name.title()}Answer") for mode in Mode]
    example = {"mode": Mode.REGISTER.value, **EXAMPLES[Mode.REGISTER]}
    return {
        **_post(Mode.REGISTER),
        "operationId": "tracker",
        "summary": "any of the five, by its mode",
        "description": "The course report's form: `mode` says which of the five this is, the other fields "
        "are that one's.",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schemas.either(*requests), "example": example}},
        },
        "responses": {"200": _answer("done", schemas.either(*answers)), **_refusals(POST_REFUSALS)},
    }


def _pages() -> Schema:
    counts: Schema = {"nodes": schemas.COUNT, "files": schemas.COUNT, "owned": schemas.COUNT}
    listing = {"type": "array", "items": {"type": "object"}}
    moments = {"type": "array", "items": {"type": "object"}}
    return {
        "/": _get(
            "index", "what this is, and some of the nodes", schemas.record({**counts, "some_nodes": listing})
        ),
        "/stats": _get(
            "stats",
            "counts, the largest swarms, requests, the last hour by minutes and the last day by hours",
            schemas.record({**counts, "swarms": listing, "minutes": moments, "hours": moments}),
            "Made anew at most once a second; with `If-None-Match` an unchanged one is answered 304.",
        ),
        "/health": _health(),
        "/metrics": _get("metrics", "the same for Prometheus", None, "In its text format.", "text/plain"),
        "/openapi.json": _get("openapi", "this document", schemas.record({"openapi": schemas.TEXT})),
        "/docs": _get("docs", "this document for people", None, "", "text/html"),
    }


def _get(name: str, summary: str, schema: Schema | None, more: str = "", kind: str = JSON) -> Schema:
    content = {kind: {"schema": schema or schemas.TEXT}}
    unchanged = {"304": {"description": "unchanged"}} if name == "stats" else {}
    return {
        "get": {
            "operationId": name,
            "tags": ["looking"],
            "summary": summary,
            "description": more,
            "responses": {
                "200": {"description": "as it is", "content": content},
                **unchanged,
                **_refusals(REFUSALS),
            },
        }
    }


def _health() -> Schema:
    schema = schemas.record({"status": {"enum": ["ok", "failing"]}}, reason=schemas.TEXT)
    page = _get("health", "whether all is well", schema, "Needs no join code, and is never limited.")
    page["get"]["security"] = [{}]
    page["get"]["responses"]["503"] = _answer("not all is well; `reason` says what", schema)
    return page


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _refusals(reasons: dict[str, str]) -> dict[str, Any]:
    return {status: _answer(reason, ref("Error")) for status, reason in sorted(reasons.items())}
