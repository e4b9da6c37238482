"""The parts of which the OpenAPI document is made: schemas, parameters, answers and refusals."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

JSON = "application/json"
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
NULL: Schema = {"type": "null"}
SWARM_KEY: Schema = {
    "description": "the swarm key, if the tracker wants one and no X-Swarm-Key header has it"
}

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


UNCHANGED: Schema = {"description": "unchanged since the answer with this entity tag"}
SECURITY_OF_NODES: list[Schema] = [{}, {"secret": []}, {"swarmKey": []}, {"secret": [], "swarmKey": []}]


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Schema, **others: Schema) -> Schema:
    """An object with these fields and any others."""
    return {"type": "object", "properties": {**required, **others}, "required": list(required)}


def page(name: str, summary: str, schema: Schema | None, more: str = "", kind: str = JSON) -> Schema:
    """A path that is only read. ``more``: its description; without ``schema`` the answer is a text."""
    content = {kind: {"schema": schema or TEXT}}
    return {
        "get": {
            "operationId": name,
            "tags": ["looking"],
            "summary": summary,
            "description": more,
            "responses": {
                "200": {"description": "the page", "content": content},
                **refused(REFUSALS),
            },
        }
    }


def parameter(name: str, schema: Schema, description: str, required: bool = False) -> Schema:
    """A field of a query."""
    about = {"name": name, "in": "query", "required": required, "description": description}
    return {**about, "schema": schema}


def answer(description: str, schema: Schema) -> Schema:
    """An answer in JSON."""
    return {"description": description, "content": {JSON: {"schema": schema}}}


def refused(reasons: dict[str, str]) -> dict[str, Any]:
    """Answers by their status, for ``reasons`` by theirs."""
    return {status: answer(reason, ref("Error")) for status, reason in sorted(reasons.items())}
