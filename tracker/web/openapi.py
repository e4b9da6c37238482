"""The OpenAPI 3.1 document of the tracker's HTTP API.

The schemas are derived from the structs of ``common.messages``, so that a limit is written once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from common.messages import (
    MAX_BARE_HOST,
    UDP,
    Exit,
    Mode,
    Need,
    NeedResult,
    Own,
    OwnOneFile,
    Register,
    RegisterAnswer,
    Update,
)
from common.short_answers import ExitAnswer, OwnAnswer, UpdateAnswer

Schema = dict[str, Any]

VERSION = "1.1.0"  # of the API: the last number for words, the middle one for additions
JSON = "application/json"
HASH = "0123456789abcdef0123456789abcdef01234567"

SUMMARIES = {
    Mode.REGISTER: "a node comes in, or is still there",
    Mode.OWN: "a node serves a file, or up to 1,000",
    Mode.NEED: "the owners of a file, best first",
    Mode.UPDATE: "a node has uploaded once more",
    Mode.EXIT: "a node leaves, with all it owned",
}
DESCRIPTIONS = {
    Mode.REGISTER: "Also the heartbeat: call again after `interval` seconds. `known: false` asks for the "
    "node's files again. With `claim`, or a secret of the node's own choice in `Authorization: Bearer`, the "
    "node_id belongs to that secret until the node exits or falls silent.",
    Mode.OWN: "One file in the fields beside node_id, or many in `files`. All of them are taken, or none. "
    "With `withdraw`, the node owns these files no longer.",
    Mode.NEED: "By info_hash alone if there is one, else by filename. "
    "The list is empty if no node has the file.",
    Mode.UPDATE: "Of node_id itself, as in the course report; or, with `owner`, a receipt: node_id "
    "received so many `bytes` of the file from that owner.",
    Mode.EXIT: "A second EXIT changes nothing.",
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
    "403": "a secret or the swarm key is missing or wrong, or a web page of another origin asks",
    "421": "the Host header names no address of this tracker",
    "429": "too many requests or nodes of this address, or requests of this node; Retry-After has the wait",
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


REQUESTS: dict[Mode, tuple[type[msgspec.Struct], ...]] = {
    Mode.REGISTER: (Register,),
    Mode.OWN: (OwnOneFile, Own),
    Mode.NEED: (Need,),
    Mode.UPDATE: (Update,),
    Mode.EXIT: (Exit,),
}
ANSWERS: dict[Mode, type[msgspec.Struct]] = {
    Mode.REGISTER: RegisterAnswer,
    Mode.OWN: OwnAnswer,
    Mode.NEED: NeedResult,
    Mode.UPDATE: UpdateAnswer,
    Mode.EXIT: ExitAnswer,
}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
NULL: Schema = {"type": "null"}
BARE_HOST: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_BARE_HOST,
    "description": "a bare host, as in the course report; it is ignored",
}
SWARM_KEY: Schema = {
    "description": "the swarm key, if the tracker wants one and no X-Swarm-Key header has it"
}


def document() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The classroom tracker",
            "version": VERSION,
            "summary": "The nodes of a swarm, the files that they own, and the best owners of a file.",
            "description": "JSON in and out. Fields that are not named here are ignored; answers may have "
            "more. Every error is `{\"error\": \"...\"}`, with `field` if one field is wrong.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"swarmKey": []}],
        "tags": [
            {"name": "requests", "description": "The five requests of a node."},
            {"name": "looking", "description": "The state of the tracker, for people and programs."},
        ],
        "paths": _paths(),
        "components": {
            "schemas": _components(),
            "securitySchemes": {
                "secret": {
                    "type": "http", "scheme": "bearer",
                    "description": "the secret that a claimed node_id belongs to: 43 characters of base64url",
                },
                "swarmKey": {
                    "type": "apiKey", "in": "header", "name": "X-Swarm-Key",
                    "description": "the swarm key, if the tracker wants one (setting SWARM_KEY)",
                },
            },
        },
    }  # fmt: skip


# ---- schemas


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Schema, **others: Schema) -> Schema:
    """An object with these fields and any others."""
    return {"type": "object", "properties": {**required, **others}, "required": list(required)}


def _components() -> Schema:
    kinds = [kind for forms in REQUESTS.values() for kind in forms]
    _, schemas = msgspec.json.schema_components(
        [*kinds, *ANSWERS.values()], ref_template="#/components/schemas/{name}"
    )
    for name in ["OwnedFile", *(kind.__name__ for kind in kinds)]:
        _accept_null(schemas[name])
    for kind in kinds:
        schemas[kind.__name__]["properties"]["swarm_key"] = SWARM_KEY
    _describe_need(schemas["Need"])
    return {**schemas, "Error": record({"error": TEXT}, field=TEXT)}


def _accept_null(schema: Schema) -> None:
    """A field that is null counts as absent, so each optional field may be null."""
    for name, field in schema["properties"].items():
        if name not in schema["required"] and NULL not in field.get("anyOf", [field]):
            schema["properties"][name] = {"anyOf": [field, NULL]}


def _describe_need(schema: Schema) -> None:
    """NEED's addr may be a bare host, and one of filename and info_hash is required."""
    fields = schema["properties"]
    fields["addr"]["anyOf"].append(BARE_HOST)
    fields["transports"]["anyOf"][0]["default"] = [UDP]  # a list, as in JSON
    schema["anyOf"] = [
        {"required": [name], "properties": {name: {"not": NULL}}} for name in ("filename", "info_hash")
    ]


def _with_mode(mode: Mode, schema: Schema) -> Schema:
    """The schema of a request to /tracker, with its mode."""
    field = {
        "enum": [mode.value, mode.name, mode.name.lower()],
        "description": f"{mode.value} or {mode.name}",
    }
    return {
        **schema,
        "title": mode.name,
        "properties": {"mode": field, **schema["properties"]},
        "required": ["mode", *schema["required"]],
    }


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


# ---- paths


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
            "content": {
                JSON: {
                    "schema": _any_of([ref(kind.__name__) for kind in REQUESTS[mode]]),
                    "example": EXAMPLES[mode],
                }
            },
        },
        "responses": {
            "200": _answer("done", ref(ANSWERS[mode].__name__)),
            **_refusals(POST_REFUSALS),
        },
    }


def _any_post() -> Schema:
    schemas = _components()
    requests = [_with_mode(mode, schemas[kind.__name__]) for mode in Mode for kind in REQUESTS[mode]]
    answers = [ref(ANSWERS[mode].__name__) for mode in Mode]
    example = {"mode": Mode.REGISTER.value, **EXAMPLES[Mode.REGISTER]}
    return {
        **_post(Mode.REGISTER),
        "operationId": "tracker",
        "summary": "any of the five, by its mode",
        "description": "The course report's form: `mode` says which of the five this is, the other fields "
        "are that one's.",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _any_of(requests), "example": example}},
        },
        "responses": {"200": _answer("done", _any_of(answers)), **_refusals(POST_REFUSALS)},
    }


def _pages() -> Schema:
    counts: Schema = {"nodes": COUNT, "files": COUNT, "owned": COUNT}
    listing = {"type": "array", "items": {"type": "object"}}
    moments = {"type": "array", "items": {"type": "object"}}
    return {
        "/": _dashboard(),
        "/nodes": _get(
            "nodes", "this program, and some of the nodes", record({**counts, "some_nodes": listing})
        ),
        "/stats": _get(
            "stats",
            "counts, the largest swarms, requests, the last hour by minutes and the last day by hours",
            record({**counts, "swarms": listing, "minutes": moments, "hours": moments}),
            "Rendered at most once a second; with `If-None-Match` an unchanged page is answered 304.",
        ),
        "/torrents": _torrents(),
        **_announce_paths(),
        "/health": _health(),
        "/metrics": _get("metrics", "the same for Prometheus", None, "In its text format.", "text/plain"),
        "/openapi.json": _get("openapi", "this document", record({"openapi": TEXT})),
    }


def _get(name: str, summary: str, schema: Schema | None, more: str = "", kind: str = JSON) -> Schema:
    content = {kind: {"schema": schema or TEXT}}
    unchanged = {"304": {"description": "unchanged"}} if name == "stats" else {}
    return {
        "get": {
            "operationId": name,
            "tags": ["looking"],
            "summary": summary,
            "description": more,
            "responses": {
                "200": {"description": "the page", "content": content},
                **unchanged,
                **_refusals(REFUSALS),
            },
        }
    }


def _dashboard() -> Schema:
    page = _get(
        "index",
        "the dashboard, for browsers",
        None,
        "Needs no swarm key: the page asks for it. With `Accept: application/json`, the answer of /nodes.",
        "text/html",
    )
    page["get"]["security"] = [{}]
    page["get"]["responses"]["304"] = {"description": "unchanged"}
    return page


def _health() -> Schema:
    schema = record({"status": {"enum": ["ok", "failing"]}}, reason=TEXT)
    page = _get(
        "health",
        "ok, or why the tracker fails",
        schema,
        "Needs no swarm key, and is never limited.",
    )
    page["get"]["security"] = [{}]
    page["get"]["responses"]["503"] = _answer("the tracker fails; `reason` says why", schema)
    return page


def _torrents() -> Schema:
    number_or_null, text_or_null = {"anyOf": [COUNT, NULL]}, {"anyOf": [TEXT, NULL]}
    torrent = record(
        {
            "name": TEXT, "info_hash": text_or_null, "size": number_or_null,
            "owners": COUNT, "complete": COUNT, "partial": COUNT,
            "peers": COUNT, "complete_peers": COUNT, "tcp_peers": COUNT,
        }
    )  # fmt: skip
    schema = record({"torrents": {"type": "array", "items": torrent}, "total": COUNT})
    note = (
        "`owners` (`complete` and `partial`) are classroom nodes, `peers` are standard peers, of which "
        "`complete_peers` are seeds. `tcp_peers` are the peers and the owners that listen on TCP."
    )
    page = _get("torrents", "the files that nodes own, about those with the most owners first", schema, note)
    page["get"]["parameters"] = [
        _parameter("limit", {"type": "integer", "minimum": 0, "maximum": 200}, "max torrents in the answer")
    ]
    page["get"]["responses"]["400"] = _answer("limit is out of range", ref("Error"))
    return page


def _announce_paths() -> Schema:
    """Announce and scrape. Info hash and peer id are percent-encoded bytes, so their schema is a string."""
    number: Schema = {"type": "integer", "minimum": 0}
    announce = [
        _parameter("info_hash", TEXT, "20 bytes", required=True),
        _parameter("peer_id", TEXT, "20 bytes", required=True),
        _parameter("port", {"type": "integer", "minimum": 1, "maximum": 65535}, "TCP port", required=True),
        _parameter("left", number, "bytes that are missing; 0: a seed"),
        _parameter("event", {"enum": ["started", "completed", "stopped"]}, "why the client announces"),
        _parameter("numwant", {"type": "integer"}, "peers wanted; at most 200, 50 by default"),
        _parameter("compact", {"enum": ["0", "1"]}, "0: the peers as dictionaries"),
        _parameter("key", TEXT, "the client's own key: its announces from two addresses are one peer's"),
        _parameter("swarm_key", TEXT, SWARM_KEY["description"]),
    ]
    scrape = [announce[0], announce[-1]]
    paths = {}
    for name, summary, parameters in (
        ("announce", "a standard peer comes, stays or leaves, and is given other peers", announce),
        ("scrape", "how many peers torrents have; info_hash may be repeated", scrape),
    ):
        page = _get(name, summary, None, "BEP 3, bencoded. An error is a `failure reason`.", "text/plain")
        page["get"]["parameters"] = parameters
        paths[f"/{name}"] = page
    return paths


def _parameter(name: str, schema: Schema, description: str, required: bool = False) -> Schema:
    about = {"name": name, "in": "query", "required": required, "description": description}
    return {**about, "schema": schema}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _refusals(reasons: dict[str, str]) -> dict[str, Any]:
    return {status: _answer(reason, ref("Error")) for status, reason in sorted(reasons.items())}
