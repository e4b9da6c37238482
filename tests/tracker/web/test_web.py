"""The HTTP side, on Flask's test client: the contract to the letter, and any body whatever without a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker import rules
from tracker.model import Rules
from tracker.rate_limits import Limits
from tracker.service import TrackerService
from tracker.settings import WebSettings
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app

LIMIT = 100_000  # bytes of a request
ADDR = ["localhost", 4001]
JSON = "application/json"
MODES = {"register": 0, "own": 1, "need": 2, "update": 3, "exit": 4}


@pytest.fixture
def client() -> FlaskClient:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    app = create_app(service, WebSettings(LIMIT, limits=Limits(address_rate=1e6, node_rate=1e6)))
    app.testing = True  # a bug raises instead of answering 500
    return app.test_client()


def post(client: FlaskClient, path: str = "/tracker", **fields: Any) -> tuple[int, Any]:
    answer = client.post(path, json=fields)
    return answer.status_code, answer.get_json()


def test_the_reports_own_client_lives_a_whole_life(client: FlaskClient) -> None:
    status, answer = post(client, mode=0, node_id=1, addr=ADDR)
    assert (status, answer["status"], answer["interval"]) == (200, "Node registered", 11.0)
    status, answer = post(client, mode=1, node_id=1, addr=ADDR, filename="f")
    assert (status, answer["status"]) == (200, "File owner added")
    status, answer = post(client, mode=3, node_id=1, filename="f")
    assert (status, answer["status"]) == (200, "Database updated")
    status, answer = post(client, mode=2, node_id=2, addr="localhost", filename="f")
    assert (status, answer["dest_node_id"], answer["filename"]) == (200, 2, "f")
    [[owner, uploads]] = answer["search_result"]
    assert (owner["node_id"], owner["addr"], uploads) == (1, ["127.0.0.1", 4001], 1)
    assert post(client, mode=4, node_id=1) == (200, {"status": "Node removed"})
    assert post(client, mode=2, node_id=2, filename="f")[1]["search_result"] == []


def test_modes_by_name_and_endpoints_do_the_same(client: FlaskClient) -> None:
    fields: dict[str, Any] = {"node_id": 1, "addr": ADDR, "filename": "f"}
    for name, number in MODES.items():
        statuses = [
            post(client, mode=number, **fields)[0],
            post(client, mode=name.upper(), **fields)[0],
            post(client, mode=name, **fields)[0],
            post(client, f"/{name}", **fields)[0],
            post(client, f"/{name}", mode="whatever", **fields)[0],
        ]
        assert statuses == [200] * 5, name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "mode"),
        ({"mode": 5}, "mode"),
        ({"mode": True, "node_id": 1, "addr": ADDR}, "mode"),
        ({"mode": "JOIN"}, "mode"),
        ({"mode": 0}, "node_id"),
        ({"mode": 0, "node_id": 2**31, "addr": ADDR}, "node_id"),
        ({"mode": 0, "node_id": 1}, "addr"),
        ({"mode": 1, "node_id": 1, "addr": ["example.org", 80], "filename": "f"}, "addr"),
        ({"mode": 1, "node_id": 1, "addr": ADDR}, "filename"),
        ({"mode": 1, "node_id": 1, "addr": ADDR, "filename": "a\nb"}, "filename"),
        ({"mode": 1, "node_id": 1, "addr": ADDR, "files": [{"filename": "f"}, {}]}, "files[1].filename"),
        ({"mode": 2, "node_id": 1}, "filename"),
        ({"mode": 2, "node_id": 1, "info_hash": "x"}, "info_hash"),
        ({"mode": 3, "node_id": 1, "filename": "f"}, "node_id"),
        ({"mode": 3, "node_id": 1, "filename": "f", "owner": 5}, "owner"),
        ({"mode": 4}, "node_id"),
    ],
)
def test_bad_input_is_answered_400_with_the_field_and_changes_nothing(
    client: FlaskClient, fields: dict[str, Any], field: str
) -> None:
    status, answer = post(client, **fields)
    assert (status, answer["field"]) == (400, field)
    assert answer["error"] and "\n" not in answer["error"]
    counts = client.get("/nodes").get_json()
    assert counts["nodes"] == counts["files"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"{", b"[]", b"5", b"null", b'"mode"', b"\xff\xfe\x00", b"NaN", b'{"mode": NaN}',
        b'{"mode": -Infinity}', b"mode=0&node_id=1",
        b"[" * 50_000, b'{"a":' * 15_000, b'{"mode": 0',
        "é".encode("latin-1"), b'{"mode": 0}{}', b"\x1f\x8b\x08",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/tracker", "/register"])
def test_what_is_no_json_object_is_answered_400(client: FlaskClient, path: str, body: bytes) -> None:
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["field"] == "body"


def test_a_number_beyond_any_range_is_refused_wherever_it_stands(client: FlaskClient) -> None:
    digits = "9" * 50_000
    for body in (
        f'{{"node_id": {digits}, "addr": ["localhost", 4001]}}',
        f'{{"node_id": 1, "addr": ["localhost", {digits}]}}',
        f'{{"node_id": 1, "addr": ["localhost", 4001], "other": {digits}}}',
        '{"node_id": 1, "addr": ["localhost", 4001], "other": 1e999}',
    ):
        answer = client.post("/register", data=body, content_type=JSON)
        assert (answer.status_code, answer.get_json()["field"]) == (400, "body")


def test_a_byte_order_mark_does_no_harm(client: FlaskClient) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"mode": 0, "node_id": 1, "addr": ADDR}).encode()
    assert client.post("/tracker", data=body, content_type="application/json").status_code == 200


def test_a_body_up_to_the_limit_is_read_and_no_more(client: FlaskClient) -> None:
    fields = {"mode": 0, "node_id": 1, "addr": ADDR, "padding": ""}
    fields["padding"] = "x" * (LIMIT - len(json.dumps(fields)))
    assert client.post("/tracker", data=json.dumps(fields), content_type=JSON).status_code == 200
    answer = client.post("/tracker", data=json.dumps(fields) + " ", content_type=JSON)
    assert (answer.status_code, answer.get_json()) == (413, {"error": "request entity too large"})


def test_a_node_id_in_use_elsewhere_is_answered_409(client: FlaskClient) -> None:
    post(client, mode=0, node_id=1, addr=ADDR)
    for fields in ({"mode": 0}, {"mode": 1, "filename": "f"}, {"mode": 4}):
        status, answer = post(client, node_id=1, addr=["localhost", 4002], **fields)
        assert (status, answer["field"]) == (409, "node_id")
        assert "127.0.0.1:4001" in answer["error"]
    assert client.get("/nodes").get_json()["files"] == 0


def test_a_node_that_belongs_to_a_secret_is_answered_403_and_for_how_long(client: FlaskClient) -> None:
    assert post(client, "/register", node_id=1, addr=ADDR, claim=True)[0] == 200
    answer = client.post("/register", json={"node_id": 1, "addr": ADDR, "claim": True})
    assert (answer.status_code, answer.headers["Retry-After"]) == (403, "22")
    assert answer.get_json()["field"] == "secret"
    assert answer.get_json()["error"].startswith(
        "node 1 belongs to a secret until it exits or is silent for 22 s: "
    )


def test_a_full_tracker_says_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_NODES", 0)
    status, answer = post(client, mode=0, node_id=1, addr=ADDR)
    assert (status, list(answer)) == (503, ["error"])


def test_other_paths_and_methods_are_refused_in_json(client: FlaskClient) -> None:
    assert client.get("/nowhere").get_json() == {"error": "not found"}
    for path in ("/tracker", *(f"/{name}" for name in MODES)):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()) == (405, {"error": "method not allowed"})
        assert "POST" in answer.headers["Allow"]


def test_a_bug_of_ours_shows_no_stack_trace(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.application.testing = False
    monkeypatch.setattr(client.application.logger, "disabled", True)
    monkeypatch.setattr(rules, "register", lambda *arguments: 1 / 0)
    assert post(client, mode=0, node_id=1, addr=ADDR) == (500, {"error": "internal server error"})


def test_a_program_is_told_what_this_is(client: FlaskClient) -> None:
    post(client, mode=1, node_id=1, addr=ADDR, filename="f")
    answer = client.get("/nodes").get_json()
    assert (answer["nodes"], answer["files"]) == (1, 1)
    assert answer["some_nodes"] == [
        {"node_id": 1, "addr": ["127.0.0.1", 4001], "uploads": 0, "files": 1, "claimed": False}
    ]
    assert client.get("/", headers={"Accept": JSON}).get_json() == answer


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from([1, "f", ADDR, "localhost", "ab" * 20, ["127.0.0.1", 1], {"filename": "f"}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
keys = st.sampled_from(
    ["mode", "node_id", "addr", "filename", "info_hash", "size", "complete", "files", "owner", "bytes"]
)
bodies = (
    st.dictionaries(keys, values).map(json.dumps).map(str.encode)
    | values.map(json.dumps).map(str.encode)
    | st.binary()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/tracker", *(f"/{name}" for name in MODES)]), body=bodies)
def test_any_body_gets_an_answer_in_json(client: FlaskClient, path: str, body: bytes) -> None:
    answer = client.post(path, data=body, content_type=JSON)
    assert answer.status_code in (200, 400, 409)
    assert isinstance(answer.get_json(), dict)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.integers(0, 4), wrong=st.dictionaries(keys.filter(lambda key: key != "mode"), values, max_size=2)
)
def test_one_wrong_field_among_good_ones_gets_an_answer_too(
    client: FlaskClient, mode: int, wrong: dict[str, Any]
) -> None:
    fields = {"mode": mode, "node_id": 1, "addr": ADDR, "filename": "f", **wrong}
    answer = client.post("/tracker", data=json.dumps(fields), content_type=JSON)
    assert answer.status_code in (200, 400, 409)
    assert answer.status_code == 200 or answer.get_json()["field"].partition("[")[0] in {
        *wrong,
        "node_id",
        "owner",
        "body",
    }
