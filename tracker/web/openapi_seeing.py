"""The part of the OpenAPI document about the live log: POST /report and GET /swarm."""

from __future__ import annotations

from common.shapes import MAX_WHOLE
from tracker.see.report import MAX_REPORT_BYTES
from tracker.web.openapi_parts import (
    COUNT,
    JSON,
    POST_REFUSALS,
    SECURITY_OF_NODES,
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

EXAMPLE: Schema = {
    "node_id": 1,
    "run": "5f1c8a90",
    "sent": 2204.5,
    "round_trip": None,
    "events": [[1204.531, 1, "node:faults", {"spec": "loss=5%"}]],
}


def seeing_paths() -> Schema:
    """Both paths."""
    return {"/report": {"post": _report()}, "/swarm": _swarm()}


def _report() -> Schema:
    return {
        "operationId": "report",
        "tags": ["seeing"],
        "summary": "a node reports what happened, for the live log",
        "description": "The node must be in. A repeated seq is ignored, so a report may be sent again. "
        "Another `epoch` than before: the tracker was started again and has no earlier report.",
        "security": SECURITY_OF_NODES,
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": ref("NodeReport"), "example": EXAMPLE}},
        },
        "responses": {
            "200": answer("taken", ref("ReportAnswer")),
            **refused({**POST_REFUSALS, "413": f"the body has more than {MAX_REPORT_BYTES:,} bytes"}),
        },
    }


def _swarm() -> Schema:
    events = {"type": "array", "items": {"type": "object"}}
    number: Schema = {"type": "number"}
    schema = record(
        {"epoch": TEXT, "seq": COUNT, "end": COUNT, "now": number, "more": {"type": "boolean"},
         "events": events},
        first=COUNT,
        header={"type": "object"},
    )  # fmt: skip
    found = page(
        "swarm",
        "the live log after a position: at most 2,000 events",
        schema,
        "`seq` is the position of the last event in the answer, `end` that of the last event there is; "
        "`more`: ask again at once. With another epoch, or for a position that is dropped, the events begin "
        "with a keyframe at the position `first`. `now`: the log's time in ms.",
    )
    get = found["get"]
    get["tags"] = ["seeing"]
    get["parameters"] = [
        parameter("epoch", {"type": "string", "maxLength": 64}, "the epoch of the last answer"),
        parameter("since", {**COUNT, "maximum": MAX_WHOLE}, "the `seq` of the last answer"),
    ]
    get["responses"]["304"] = UNCHANGED
    get["responses"]["400"] = answer("since is no position", ref("Error"))
    return found
