"""The API's description agrees with the code: its paths, its fields, its limits, its examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MessageError
from common.filenames import MAX_COMPONENT_BYTES
from common.messages import Mode
from tracker.model import Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.web.api import MESSAGES
from tracker.web.app import create_app
from tracker.web.dashboard import PROTOCOL, STATIC
from tracker.web.openapi import EXAMPLES, REQUESTS, document
from tracker.web.openapi_parts import Schema, ref

jsonschema = pytest.importorskip("jsonschema_rs", reason="schemathesis brings it, on Python 3.11 and later")

DOCUMENT = document()
HASH = "ab" * 20
ADDR = ["127.0.0.1", 4001]


@pytest.fixture
def client() -> FlaskClient:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    return create_app(service).test_client()


def validator(schema: Schema) -> Any:
    return jsonschema.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, validate_formats=True
    )


def schema_of(path: str) -> Schema:
    schema: Schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return schema


# ---- paths


def test_every_path_is_described_and_every_described_path_is_there(client: FlaskClient) -> None:
    served = {
        (rule.rule, method.lower())
        for rule in client.application.url_map.iter_rules()
        if not rule.rule.startswith((STATIC, PROTOCOL))  # the page's own files
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert client.get("/openapi.json").get_json() == DOCUMENT


def test_names_are_unique_and_references_lead_somewhere() -> None:
    operations = [o["operationId"] for methods in DOCUMENT["paths"].values() for o in methods.values()]
    assert len(set(operations)) == len(operations)
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text
        text = text.replace(f'"#/components/schemas/{name}"', '""')
    assert "#/components" not in text


# ---- fields


@pytest.mark.parametrize("mode", Mode)
def test_what_must_be_there_must_be_there(mode: Mode) -> None:
    for kind in REQUESTS[mode]:
        form = DOCUMENT["components"]["schemas"][kind.__name__]
        good = {**EXAMPLES[mode], "files": [{"filename": "f"}], "info_hash": HASH, "filename": "f"}
        good = {
            name: good[name] for name in {*form["required"], *(["filename"] if mode is Mode.NEED else [])}
        }
        MESSAGES[mode].from_json(good)
        for name in good:
            with pytest.raises(MessageError):
                MESSAGES[mode].from_json({key: value for key, value in good.items() if key != name})


ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 1.5, "", "f", "a\nb", "x" * 255,
     "x" * 256, HASH, HASH.upper(), HASH[1:], "g" * 40, "localhost", "127.0.0.1", [], {}, "\x85", "\u2028"]
)  # fmt: skip
MODES = st.sampled_from([*range(6), *Mode.__members__, *map(str.lower, Mode.__members__), "join"])
HOSTS = st.sampled_from(
    ["localhost", "127.0.0.1", "10.1.2.3", "::1", "2001:db8::7", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1",
     "255.255.255.255", "239.1.1.1", "ff02::1", "LOCALHOST", "example.org", "1.2.3", "1.2.3.4.5", "256.1.1.1",
     5]
)  # fmt: skip
PORTS = st.sampled_from([0, 1, 4001, 65535, 65536, -1, "80", None, 1.5, True])
ADDRS = st.tuples(HOSTS, PORTS).map(list) | st.lists(HOSTS | PORTS, max_size=3) | ODD
FILES = st.lists(
    st.dictionaries(st.sampled_from(["filename", "info_hash", "size", "complete", "x"]), ODD) | ODD,
    max_size=2,
)
FIELDS = st.fixed_dictionaries(
    {"node_id": st.just(1) | ODD, "addr": st.just(ADDR) | ADDRS, "filename": st.just("f") | ODD},
    optional={
        "info_hash": ODD, "size": ODD, "complete": ODD, "files": FILES | ODD, "owner": ODD, "bytes": ODD,
        "receipt": ODD, "claim": ODD, "swarm_key": ODD, "more": ODD,
    },
)  # fmt: skip


@given(mode=st.sampled_from(Mode), fields=FIELDS, left_out=st.sets(st.sampled_from(["addr", "filename"])))
def test_the_description_takes_what_the_code_takes(
    mode: Mode, fields: dict[str, Any], left_out: set[str]
) -> None:
    for name in left_out:
        del fields[name]
    try:
        MESSAGES[mode].from_json(fields)
        taken = True
    except MessageError:
        taken = False
    assert validator(schema_of(f"/{mode.name.lower()}")).is_valid(fields) is taken, (mode, fields)
    assert validator(schema_of("/tracker")).is_valid({"mode": mode, **fields}) is taken, (mode, fields)


@given(value=ODD | MODES)
def test_the_modes_are_described(value: object) -> None:
    fields = {"node_id": 1, "addr": ["127.0.0.1", 4001], "filename": "f", "mode": value}
    try:
        Mode.from_json(value)
        taken = True
    except MessageError:
        taken = False
    assert validator(schema_of("/tracker")).is_valid(fields) is taken


def test_a_name_is_limited_in_bytes_which_a_schema_cannot_say() -> None:
    """Only here the schema accepts more than the code; the description states it."""
    text = DOCUMENT["components"]["schemas"]["OwnedFile"]["properties"]["filename"]["description"]
    assert f"{MAX_COMPONENT_BYTES} bytes of UTF-8" in text


# ---- examples and answers


def test_the_examples_do_what_they_say_and_answers_are_as_described(client: FlaskClient) -> None:
    for path, methods in DOCUMENT["paths"].items():
        if "post" not in methods:
            continue
        media = methods["post"]["requestBody"]["content"]["application/json"]
        assert validator(media["schema"]).is_valid(media["example"])
        answer = client.post(path, json=media["example"])
        assert answer.status_code == 200, path
        schema = methods["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert validator(schema).is_valid(answer.get_json()), (path, answer.get_json())


def test_pages_are_as_described(client: FlaskClient) -> None:
    client.post("/own", json=EXAMPLES[Mode.OWN])
    for path, methods in DOCUMENT["paths"].items():
        if "get" not in methods:
            continue
        answer = client.get(path)
        content = methods["get"]["responses"][str(answer.status_code)]["content"]
        assert list(content) == [answer.mimetype]
        if answer.mimetype == "application/json":
            (media,) = content.values()
            assert validator(media["schema"]).is_valid(answer.get_json()), path


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/register", {}, 400), ("/own", {"node_id": 1, "addr": ["127.0.0.1", 9], "filename": "f"}, 409)],
)
def test_refusals_are_as_described(client: FlaskClient, path: str, body: dict[str, Any], status: int) -> None:
    client.post("/register", json=EXAMPLES[Mode.REGISTER])
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert str(status) in DOCUMENT["paths"][path]["post"]["responses"]
    assert validator(ref("Error")).is_valid(answer.get_json())
