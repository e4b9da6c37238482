"""POST /report and GET /swarm on Flask's test client: reported events come out; rubbish changes nothing."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tracker import log_keeper
from tracker.auth import SwarmKey
from tracker.log_keeper import LogKeeper
from tracker.model import Rules
from tracker.rate_limits import Limits
from tracker.see.report import MAX_REPORT_BYTES
from tracker.service import TrackerService
from tracker.settings import WebSettings
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app

HASH = "0123456789abcdef" * 2 + "01234567"
TORRENT = HASH[:12]
KNOWN = {"torrent": TORRENT, "info_hash": HASH, "name": "f", "size": 9, "piece_length": 4, "pieces": 3}


class ImpatientClock:
    """Each look is longer after the last than viewers wait for new events, and no node falls silent."""

    now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture(autouse=True)
def published_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_keeper, "PUBLISH_SECONDS", 0.0001)


@pytest.fixture
def service() -> TrackerService:
    return make_service()


def make_service(key: str | None = None) -> TrackerService:
    live = LogKeeper(clock=ImpatientClock())
    live.begin({"log": "swarm/1"}, ("127.0.0.1", 12345))
    return TrackerService(MemoryStorage(Rules()), Rules(), swarm_key=SwarmKey(key), live=live)


@pytest.fixture
def client(service: TrackerService) -> FlaskClient:
    client = create_app(service).test_client()
    register(client, 1)
    return client


def register(client: FlaskClient, node: int, **headers: str) -> None:
    body = {"node_id": node, "addr": ["127.0.0.1", 4000 + node]}
    assert client.post("/register", json=body, headers=headers).status_code == 200


def report(client: FlaskClient, *events: list[Any], **fields: Any) -> TestResponse:
    body = {"node_id": 1, "run": "ab12", "sent": 500.0, "events": events, **fields}
    return client.post("/report", json=body)


def swarm(client: FlaskClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/swarm", query_string=query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def names(answer: dict[str, Any]) -> list[str]:
    return [event["name"] for event in answer["events"]]


def test_what_nodes_and_the_tracker_do_is_read_in_order(client: FlaskClient) -> None:
    known, held = (
        [480.0, 1, "torrent:known", KNOWN],
        [490.0, 2, "piece:held", {"torrent": TORRENT, "ranges": [[0, 2]]}],
    )
    assert report(client, known, held).get_json()["next"] == 3
    own = {"node_id": 1, "addr": ["127.0.0.1", 4001], "filename": "f", "info_hash": HASH, "size": 9}
    client.post("/own", json=own)
    register(client, 2)
    client.post("/need", json={"node_id": 2, "info_hash": HASH})
    client.post("/exit", json={"node_id": 2})
    answer = swarm(client)
    assert names(answer) == [
        "keyframe", "tracker:started", "tracker:register", "torrent:known", "piece:held", "torrent:known",
        "tracker:own", "tracker:register", "tracker:need", "tracker:exit",
    ]  # fmt: skip
    assert answer["header"] == {"log": "swarm/1"} and (answer["first"], answer["more"]) == (0, False)
    need = answer["events"][8]["data"]
    assert need["answer"] == [{"peer": 1, "uploads": 0, "reason": "the only complete owner; 0 uploads"}]
    assert answer["seq"] == answer["end"] == 9
    later = swarm(client, epoch=answer["epoch"], since=7)
    assert names(later) == ["tracker:need", "tracker:exit"] and "first" not in later and "header" not in later


def test_another_epoch_or_a_position_from_elsewhere_begins_with_a_keyframe(client: FlaskClient) -> None:
    answer = swarm(client)
    for query in ({"epoch": "another", "since": 2}, {"epoch": answer["epoch"], "since": 99}, {"since": 1}):
        again = swarm(client, **query)
        assert names(again)[0] == "keyframe" and again["first"] == 0 and again["epoch"] == answer["epoch"]


def test_nothing_new_is_answered_304_with_the_time(client: FlaskClient) -> None:
    answer = swarm(client)
    query = {"epoch": answer["epoch"], "since": answer["seq"]}
    first = client.get("/swarm", query_string=query)
    assert first.get_json()["events"] == []
    again = client.get("/swarm", query_string=query, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"") and float(again.headers["X-Swarm-Now"]) > 0
    register(client, 5)
    later = client.get("/swarm", query_string=query, headers={"If-None-Match": first.headers["ETag"]})
    assert names(later.get_json()) == ["tracker:register"]


def test_a_long_answer_is_packed_for_a_viewer_that_accepts_it(client: FlaskClient) -> None:
    for node in range(10, 40):
        register(client, node)
    plain = client.get("/swarm")
    packed = client.get("/swarm", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert len(packed.data) < len(plain.data) / 3
    assert json.loads(gzip.decompress(packed.data))["events"][1:] == plain.get_json()["events"][1:]
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


# ---- access to reports and log


def test_only_a_node_that_is_in_and_has_its_secret_may_report(client: FlaskClient) -> None:
    answer = report(client, node_id=7)
    assert (answer.status_code, answer.get_json()["field"]) == (400, "node_id")
    assert answer.get_json()["error"] == "node_id: the tracker does not know node 7"
    secret = "s3cret-" * 6
    claim = {"node_id": 3, "addr": ["127.0.0.1", 4003], "claim": True}
    bearer = {"Authorization": f"Bearer {secret}"}
    assert client.post("/register", json=claim, headers=bearer).status_code == 200
    body = {"node_id": 3, "run": "1", "sent": 1.0, "events": []}
    assert client.post("/report", json=body).get_json()["field"] == "secret"
    assert client.post("/report", json=body, headers=bearer).status_code == 200


def test_a_swarm_with_a_key_shows_nothing_without_it() -> None:
    client = create_app(make_service("the join code")).test_client()
    for headers in ({}, {"X-Swarm-Key": "wrong"}):
        answer = client.get("/swarm", headers=headers, query_string={"swarm_key": "the join code"})
        assert (answer.status_code, answer.get_json()["field"]) == (403, "swarm_key")
        answer = client.post("/report", json={"node_id": 1}, headers=headers)
        assert (answer.status_code, answer.get_json()["field"]) == (403, "swarm_key")
    assert client.get("/swarm", headers={"X-Swarm-Key": "the join code"}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}]
)
def test_a_page_of_another_origin_reads_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    for answer in (client.get("/swarm", headers=headers), client.post("/report", json={}, headers=headers)):
        assert answer.status_code in (403, 421) and list(answer.get_json()) == ["error"]
    answer = client.get("/swarm")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not any(name.lower().startswith("access-control") for name, _ in answer.headers)


# ---- rubbish


def test_a_report_that_is_too_large_is_answered_413(client: FlaskClient) -> None:
    for size in (MAX_REPORT_BYTES + 1, 10 << 20):
        answer = client.post("/report", data=b"x" * size, content_type="application/json")
        assert (answer.status_code, list(answer.get_json())) == (413, ["error"])


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"run": "no hex"}, "run must be"),
        ({"sent": -1}, "sent must be"),
        ({"sent": None}, "sent is missing"),
        ({"round_trip": "x"}, "round_trip"),
        ({"events": {}}, "events"),
        ({"events": [[1, 0, "node:left", {}]]}, "events"),
        ({"events": [[1, 1, "node:left"]]}, "events"),
        ({"events": [[1, 1, "nonsense", {}]]}, "events[0]: no event is named 'nonsense'"),
        ({"events": [[1, 1, "tracker:exit", {"node": 1}]]}, "events[0]"),
        ({"events": [[1, 1, "clock", {"node": 1, "offset_ms": 0, "bound_ms": 0}]]}, "events[0]"),
        ({"events": [[1, 1, "node:left", {}], [1, 3, "node:left", {}]]}, "events[1]: seq must be 2"),
        ({"events": [[1, 1, "node:faults", {"spec": 5}]]}, "events[0]"),
    ],
)
def test_rubbish_is_answered_400_and_changes_nothing(
    client: FlaskClient, fields: dict[str, Any], error: str
) -> None:
    answer = report(client, **fields)
    assert answer.status_code == 400 and error in answer.get_json()["error"]
    assert "\n" not in answer.get_json()["error"]
    assert names(swarm(client)) == ["keyframe", "tracker:started", "tracker:register"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["piece:held", "node:left", "gap", TORRENT, 1, 2**53]),
    lambda values: st.lists(values, max_size=5) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {"node_id": JSON_VALUES | st.just(1), "run": JSON_VALUES | st.just("ab")},
        optional={"sent": JSON_VALUES | st.just(5), "events": JSON_VALUES, "round_trip": JSON_VALUES},
    )
)
def test_no_report_is_a_fault_of_the_tracker(fields: dict[str, Any]) -> None:
    service = make_service()
    client = create_app(service, WebSettings(limits=Limits(1e6, 1e6))).test_client()
    register(client, 1)
    answer = client.post("/report", data=json.dumps(fields), content_type="application/json")
    assert answer.status_code in (200, 400)
    assert swarm(client)["events"]


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "9" * 40, "\u0663"])
def test_a_since_that_is_no_position_is_answered_400(client: FlaskClient, since: str) -> None:
    answer = client.get("/swarm", query_string={"since": since})
    assert (answer.status_code, answer.get_json()["field"]) == (400, "since")


def test_too_many_reports_of_a_node_are_answered_429(service: TrackerService) -> None:
    client = create_app(service).test_client()
    register(client, 1)
    statuses = [report(client).status_code for _ in range(60)]
    assert statuses[0] == 200 and statuses[-1] == 429
