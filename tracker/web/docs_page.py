"""The page for people at /docs, made of the OpenAPI document: one card an operation. It loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tracker.web.schemas import Schema

FOLDER = Path(__file__).with_name("templates")


def render(document: Schema) -> tuple[str, str]:
    """The page, and the Content-Security-Policy under which it shows: this style, and nothing else."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["code"] = _code
    style = (FOLDER / "docs.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'; "
    page = environment.get_template("docs.html").render(
        info=document["info"], tags=document["tags"], operations=list(_operations(document)), style=style
    )
    return page, policy + "form-action 'none'"


def _code(text: str) -> Markup:
    """Text with ``code`` between backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _operations(document: Schema) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {
                "id": operation["operationId"],
                "path": path,
                "method": method,
                "tag": operation["tags"][0],
                "summary": operation["summary"],
                "description": operation["description"],
                "forms": _forms(document, _content(operation.get("requestBody"))),
                "answers": _forms(document, _content(operation["responses"]["200"])),
                "example": _example(path, operation),
                "responses": [
                    {"status": status, "description": response["description"]}
                    for status, response in operation["responses"].items()
                ],
            }


def _content(body: Schema | None) -> Schema:
    media: Schema = next(iter(body["content"].values())) if body else {"schema": {}}
    schema: Schema = media["schema"]
    return schema


def _forms(document: Schema, schema: Schema) -> list[dict[str, Any]]:
    """The objects that a schema allows, each with its fields."""
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        return [form for one in schema["anyOf"] for form in _forms(document, one)]
    if "properties" not in schema:
        return []
    fields = [
        {
            "name": name,
            "kind": kind(document, field),
            "description": field.get("description", ""),
            "needed": name in schema["required"],
        }
        for name, field in schema["properties"].items()
        if name != "swarm_key"  # told once, above all
    ]
    mode = schema["properties"].get("mode", {}).get("description", "")
    return [{"title": mode, "fields": fields}]


def _resolved(document: Schema, schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def kind(document: Schema, schema: Schema) -> str:
    """What values a schema takes, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "title" in schema:
        return str(schema["title"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(value) for value in schema["enum"])
    if "prefixItems" in schema:
        return f"[{', '.join(kind(document, item) for item in schema['prefixItems'])}]"
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(dict.fromkeys(kind(document, one) for one in schema["anyOf"]))
    types = schema.get("type", "anything")
    words = " or ".join(types) if isinstance(types, list) else str(types)
    if "items" in schema:
        return f"{words} of {kind(document, schema['items'])}"
    return words + _range(schema)


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None:
        return ""
    return f", {low} to {high:,}" if high < 10**6 else f", {low} to 2^{high.bit_length()} − 1"


def _example(path: str, operation: Schema) -> str:
    if "requestBody" not in operation:
        return ""
    body = json.dumps(next(iter(operation["requestBody"]["content"].values()))["example"])
    return f"curl http://127.0.0.1:12345{path} -H 'Content-Type: application/json' \\\n     -d '{body}'"
