"""The requests and answers of ``common.messages`` as JSON Schemas (draft 2020-12, as OpenAPI 3.1 takes them).

Written once here with the limits of the code; a test compares them, field by field and by random values,
with what ``from_json`` takes, so that neither can change without the other.
"""

from __future__ import annotations

from typing import Any

from common.fields import MAX_NAME_BYTES, MAX_NODE_ID, MAX_SIZE
from common.messages import MAX_FILES, MAX_HOST, Mode

Schema = dict[str, Any]

PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
HOST: Schema = {
    "type": "string",
    "description": "a numeric IPv4 or IPv6 address of one host, or localhost, which means 127.0.0.1",
    "anyOf": [
        {"const": "localhost"},
        {"format": "ipv4", "pattern": r"^(?!0\.0\.0\.0$|255\.255\.255\.255$|22[4-9]\.|23\d\.)\d+(\.\d+){3}$"},
        {"format": "ipv6", "pattern": r"^(?![fF][fF]|[0:]+$)[0-9a-fA-F:]+$"},
    ],
}
NODE_ID: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_NODE_ID}
ADDR: Schema = {
    "type": "array",
    "title": "[host, port]",
    "description": "as others can send to it",
    "prefixItems": [HOST, PORT],
    "items": False,
    "minItems": 2,
    "maxItems": 2,
}
FILENAME: Schema = {
    "type": "string",
    "description": f"1 to {MAX_NAME_BYTES} bytes of UTF-8 without control characters",
    "minLength": 1,
    "maxLength": MAX_NAME_BYTES,
    "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$",
}
INFO_HASH: Schema = {
    "type": "string",
    "title": "40 hex digits",
    "description": "the SHA-1 of the torrent's info",
    "pattern": "^[0-9a-fA-F]{40}$",
}
BYTES: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_SIZE}
BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def told(schema: Schema, description: str) -> Schema:
    """The same, with what it is for."""
    return {**schema, "description": description}


def optional(schema: Schema, description: str = "") -> Schema:
    """May be left out, or null, which says the same."""
    described = {"description": description or schema.get("description", "")}
    if "type" in schema and not {"anyOf", "const"} & schema.keys():
        return {**schema, **described, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}], **described}


def record(required: Schema, **others: Schema) -> Schema:
    """An object; fields that it does not name are ignored."""
    return {"type": "object", "properties": {**required, **others}, "required": list(required)}


OWNED_FILE = record(
    {"filename": FILENAME},
    info_hash=optional(INFO_HASH),
    size=optional(BYTES, "bytes"),
    complete=optional(BOOLEAN, "whether the node has the whole file; true if left out"),
)
KEY = {"swarm_key": told({}, "the join code, if the tracker wants one and X-Swarm-Key does not say it")}
SENDER = optional(ADDR, "where the sender lives")

REGISTER = record(
    {"node_id": NODE_ID, "addr": ADDR},
    claim=optional(BOOLEAN, "whether the node_id shall belong to a secret from now on"),
    **KEY,
)
OWN_ONE = record(
    {"node_id": NODE_ID, "addr": ADDR, **OWNED_FILE["properties"]},
    files=told({"type": "null"}, "not with one file"),
    **KEY,
)
OWN_ONE["required"] = ["node_id", "addr", "filename"]
OWN_MANY = record(
    {
        "node_id": NODE_ID,
        "addr": ADDR,
        "files": {
            "type": "array", "items": ref("OwnedFile"), "minItems": 1, "maxItems": MAX_FILES,
            "description": "taken all or none",
        },
    },
    **KEY,
)  # fmt: skip
ASKER = {
    "anyOf": [ADDR, {"type": "string", "minLength": 1, "maxLength": MAX_HOST}, {"type": "null"}],
    "description": "where the asker lives; a bare host says nothing and is ignored",
}
NEED_NAME = record(
    {"node_id": NODE_ID, "filename": FILENAME}, info_hash=optional(INFO_HASH), addr=ASKER, **KEY
)
NEED_HASH = record(
    {"node_id": NODE_ID, "info_hash": INFO_HASH}, filename=optional(FILENAME), addr=ASKER, **KEY
)
UPDATE = record(
    {"node_id": NODE_ID, "filename": FILENAME},
    owner=optional(NODE_ID, "who delivered, if node_id received"),
    info_hash=optional(INFO_HASH),
    bytes=optional(BYTES, "verified bytes that the owner delivered"),
    addr=SENDER,
    receipt=optional(
        {**BYTES, "minimum": 1}, "the sender's number for this, larger than its last one: it counts once"
    ),
    **KEY,
)
EXIT = record({"node_id": NODE_ID}, addr=optional(ADDR, "remove the node only if it is there"), **KEY)


def either(*schemas: Schema) -> Schema:
    """One of these."""
    return {"anyOf": list(schemas)}


def with_mode(mode: Mode, schema: Schema) -> Schema:
    """A request to /tracker, which says by its mode what it is."""
    if "anyOf" in schema:
        return either(*(with_mode(mode, one) for one in schema["anyOf"]))
    names = [mode.value, mode.name, mode.name.lower()]
    field = {"enum": names, "description": f"{mode.value} or {mode.name}"}
    return {
        "type": "object",
        "properties": {"mode": field, **schema["properties"]},
        "required": ["mode", *schema["required"]],
    }


REQUESTS: dict[Mode, Schema] = {
    Mode.REGISTER: REGISTER,
    Mode.OWN: either(OWN_ONE, OWN_MANY),
    Mode.NEED: either(NEED_NAME, NEED_HASH),
    Mode.UPDATE: UPDATE,
    Mode.EXIT: EXIT,
}

OWNER = record(
    {"node_id": NODE_ID, "addr": ADDR, "complete": BOOLEAN}, info_hash=INFO_HASH, size=told(BYTES, "bytes")
)
ANSWERS: dict[Mode, Schema] = {
    Mode.REGISTER: record(
        {
            "status": {"const": "Node registered"},
            "interval": told({"type": "number", "exclusiveMinimum": 0}, "seconds until the next one"),
            "known": told(BOOLEAN, "false: the node must announce its files again"),
            "files": told(COUNT, "how many the node is known to serve"),
            "claimed": told(BOOLEAN, "whether the node_id belongs to a secret"),
        },
        secret=told(TEXT, "that one, if it was given or taken just now"),
    ),
    Mode.OWN: record({"status": {"const": "File owner added"}}, files=told(COUNT, "how many it serves now")),
    Mode.NEED: record(
        {
            "dest_node_id": told(NODE_ID, "who asked"),
            "filename": {"type": ["string", "null"]},
            "search_result": {
                "type": "array",
                "description": "owners, best first, each with its count of uploads",
                "items": {
                    "type": "array", "prefixItems": [ref("Owner"), told(COUNT, "uploads")], "items": False,
                    "minItems": 2, "maxItems": 2,
                },
            },
        }
    ),
    Mode.UPDATE: record(
        {"status": {"const": "Database updated"}},
        uploads=told(COUNT, "of the one credited, as NEED shows them"),
        counted=told(BOOLEAN, "false: this receipt was counted before, or is beyond what counts"),
    ),
    Mode.EXIT: record({"status": {"const": "Node removed"}}),
}  # fmt: skip
ERROR = record(
    {"error": told(TEXT, "one line that names what and where")},
    field=told(TEXT, "the field that is wrong"),
)
