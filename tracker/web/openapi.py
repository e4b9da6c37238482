"""The OpenAPI 3.1 document of the tracker's HTTP API.

The schemas are derived from the structs of ``common.messages``, so that a limit is written once.
"""

from __future__ import annotations

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
from tracker.see.report import NodeReport, ReportAnswer
from tracker.web.openapi_parts import (
    COUNT,
    JSON,
    NULL,
    POST_REFUSALS,
    SECURITY_OF_NODES,
    SWARM_KEY,
    TEXT,
    UNCHANGED,
    Schema,
    answer,
    page,
    parameter,
    record,
    ref,
    refused,
)
from tracker.web.openapi_seeing import seeing_paths

VERSION = "1.2.0"  # of the API: the last number for words, the middle one for additions
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
BARE_HOST: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_BARE_HOST,
    "description": "a bare host, as in the course report; it is ignored",
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
            {"name": "seeing", "description": "The live log of the swarm."},
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


def _components() -> Schema:
    kinds: list[type[msgspec.Struct]] = [*(kind for forms in REQUESTS.values() for kind in forms), NodeReport]
    _, schemas = msgspec.json.schema_components(
        [*kinds, *ANSWERS.values(), ReportAnswer], ref_template="#/components/schemas/{name}"
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
    return {"/tracker": {"post": _any_post()}, **seeing_paths(), **modes, **_pages()}


def _post(mode: Mode) -> Schema:
    return {
        "operationId": mode.name.lower(),
        "tags": ["requests"],
        "summary": f"{mode.name}: {SUMMARIES[mode]}",
        "description": DESCRIPTIONS[mode],
        "security": SECURITY_OF_NODES,
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
            "200": answer("done", ref(ANSWERS[mode].__name__)),
            **refused(POST_REFUSALS),
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
        "responses": {"200": answer("done", _any_of(answers)), **refused(POST_REFUSALS)},
    }


def _pages() -> Schema:
    counts: Schema = {"nodes": COUNT, "files": COUNT, "owned": COUNT}
    listing = {"type": "array", "items": {"type": "object"}}
    moments = {"type": "array", "items": {"type": "object"}}
    return {
        "/": _dashboard(),
        "/nodes": page(
            "nodes", "this program, and some of the nodes", record({**counts, "some_nodes": listing})
        ),
        "/stats": _stats(record({**counts, "swarms": listing, "minutes": moments, "hours": moments})),
        "/torrents": _torrents(),
        **_announce_paths(),
        "/health": _health(),
        "/metrics": page("metrics", "the same for Prometheus", None, "In its text format.", "text/plain"),
        "/openapi.json": page("openapi", "this document", record({"openapi": TEXT})),
    }


def _stats(schema: Schema) -> Schema:
    found = page(
        "stats",
        "counts, the largest swarms, requests, the last hour by minutes and the last day by hours",
        schema,
        "Rendered at most once a second; with `If-None-Match` an unchanged page is answered 304.",
    )
    found["get"]["responses"]["304"] = UNCHANGED
    return found


def _dashboard() -> Schema:
    found = page(
        "index",
        "the dashboard, for browsers",
        None,
        "Needs no swarm key: the page asks for it. With `Accept: application/json`, the answer of /nodes.",
        "text/html",
    )
    found["get"]["security"] = [{}]
    found["get"]["responses"]["304"] = UNCHANGED
    return found


def _health() -> Schema:
    schema = record({"status": {"enum": ["ok", "failing"]}}, reason=TEXT)
    found = page(
        "health",
        "ok, or why the tracker fails",
        schema,
        "Needs no swarm key, and is never limited.",
    )
    found["get"]["security"] = [{}]
    found["get"]["responses"]["503"] = answer("the tracker fails; `reason` says why", schema)
    return found


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
    found = page("torrents", "the files that nodes own, about those with the most owners first", schema, note)
    found["get"]["parameters"] = [
        parameter("limit", {"type": "integer", "minimum": 0, "maximum": 200}, "max torrents in the answer")
    ]
    found["get"]["responses"]["400"] = answer("limit is out of range", ref("Error"))
    return found


def _announce_paths() -> Schema:
    """Announce and scrape. Info hash and peer id are percent-encoded bytes, so their schema is a string."""
    number: Schema = {"type": "integer", "minimum": 0}
    announce = [
        parameter("info_hash", TEXT, "20 bytes", required=True),
        parameter("peer_id", TEXT, "20 bytes", required=True),
        parameter("port", {"type": "integer", "minimum": 1, "maximum": 65535}, "TCP port", required=True),
        parameter("left", number, "bytes that are missing; 0: a seed"),
        parameter("event", {"enum": ["started", "completed", "stopped"]}, "why the client announces"),
        parameter("numwant", {"type": "integer"}, "peers wanted; at most 200, 50 by default"),
        parameter("compact", {"enum": ["0", "1"]}, "0: the peers as dictionaries"),
        parameter("key", TEXT, "the client's own key: its announces from two addresses are one peer's"),
        parameter("swarm_key", TEXT, SWARM_KEY["description"]),
    ]
    scrape = [announce[0], announce[-1]]
    paths = {}
    for name, summary, parameters in (
        ("announce", "a standard peer comes, stays or leaves, and is given other peers", announce),
        ("scrape", "how many peers torrents have; info_hash may be repeated", scrape),
    ):
        found = page(name, summary, None, "BEP 3, bencoded. An error is a `failure reason`.", "text/plain")
        found["get"]["parameters"] = parameters
        paths[f"/{name}"] = found
    return paths
