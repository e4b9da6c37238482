"""/stats, /metrics, /health, the access log: right values, low cost, no secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from common.errors import StorageUnreachable
from tracker.auth import SwarmKey
from tracker.model import Counts, Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.web import pages
from tracker.web.access_log import AccessLog
from tracker.web.app import create_app
from tracker.web.metrics import HOUR_SECONDS, KEPT_HOURS, KEPT_MINUTES, MINUTE_SECONDS, Metrics

HASH = "ab" * 20
SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret-s3cret"


@pytest.fixture
def service() -> TrackerService:
    return TrackerService(MemoryStorage(Rules()), Rules())


@pytest.fixture
def client(service: TrackerService) -> FlaskClient:
    return create_app(service).test_client()


def own(client: FlaskClient, node: int, name: str, complete: bool = True) -> None:
    body = {"node_id": node, "addr": ["127.0.0.1", 4000 + node], "filename": name, "complete": complete}
    assert client.post("/own", json=body).status_code == 200


def test_stats_count_nodes_files_owners_and_requests(client: FlaskClient) -> None:
    for node in (1, 2, 3):
        own(client, node, "popular", complete=node < 3)
    own(client, 1, "rare")
    client.post("/own", json={})
    stats = client.get("/stats").get_json()
    assert (stats["nodes"], stats["claimed"], stats["unclaimed"]) == (3, 0, 3)
    assert (stats["files"], stats["owned"]) == (2, 4)
    popular = next(swarm for swarm in stats["swarms"] if swarm["filename"] == "popular")
    assert (popular["whole"], popular["partial"]) == (2, 1)
    assert stats["requests"] == {"answered": 5, "refused": 1, "by_kind": {"own": {"200": 4, "400": 1}}}
    assert stats["minutes"][0]["requests"] == 1  # taken with the first request


def test_an_unchanged_answer_is_not_sent_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "monotonic", lambda: 5.0)
    first = client.get("/stats")
    own(client, 1, "f")
    second = client.get("/stats")  # within a second, the same
    assert second.data == first.data
    third = client.get("/stats", headers={"If-None-Match": first.headers["ETag"]})
    assert (third.status_code, third.data, third.headers["ETag"]) == (304, b"", first.headers["ETag"])


def test_metrics_are_what_prometheus_reads(client: FlaskClient) -> None:
    own(client, 1, "f")
    client.post("/own", json={})
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }
    assert samples["tracker_nodes", ("claimed", "no")] == 1
    assert samples["tracker_swarms",] == samples["tracker_ownerships",] == 1
    assert samples["tracker_requests_total", ("kind", "own"), ("status", "400")] == 1
    assert samples["tracker_request_seconds_count", ("kind", "own")] == 2
    assert samples["tracker_request_seconds_bucket", ("kind", "own"), ("le", "+Inf")] == 2


def test_two_trackers_in_one_process_do_not_mix(client: FlaskClient, service: TrackerService) -> None:
    own(client, 1, "f")
    assert b'kind="own"' in client.get("/metrics").data
    assert b'kind="own"' not in create_app(service).test_client().get("/metrics").data


def test_health_says_what_is_wrong(
    client: FlaskClient, service: TrackerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (client.get("/health").status_code, client.get("/health").get_json()) == (200, {"status": "ok"})
    monkeypatch.setattr(service, "health", lambda: "the disk is full")
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "failing", "reason": "the disk is full"}


def test_all_pages_for_programs_but_health_want_the_swarm_key() -> None:
    service = TrackerService(MemoryStorage(Rules()), Rules(), swarm_key=SwarmKey(SECRET))
    client = create_app(service).test_client()
    for path in ("/nodes", "/stats", "/metrics", "/openapi.json"):
        for answer in (client.get(path), client.get(path, headers={"X-Swarm-Key": "wrong"})):
            assert (answer.status_code, answer.get_json()["field"]) == (403, "swarm_key")
        assert client.get(path, headers={"X-Swarm-Key": SECRET}).status_code == 200
        assert client.get(path, query_string={"swarm_key": SECRET}).status_code == 200
    assert client.get("/health").status_code == 200
    body = {"node_id": 1, "addr": ["127.0.0.1", 4001]}
    assert client.post("/register", json=body).status_code == 403
    assert client.post("/register", json={**body, "swarm_key": SECRET}).status_code == 200


# ---- over time


def test_samples_cover_an_hour_by_minutes_and_a_day_by_hours() -> None:
    now, minute = 1_000_000.0, 0
    metrics = Metrics(lambda: Counts(nodes=minute), lambda: now)
    for minute in range(26 * 60):
        now = 1_000_000.0 + minute * MINUTE_SECONDS
        metrics.count("need", 200, 0.001)
        metrics.count("need", 404, 0.001)  # not due, no sample
    told = metrics.to_json()
    assert (len(told["minutes"]), len(told["hours"])) == (KEPT_MINUTES, KEPT_HOURS)
    times = [sample["time"] for sample in told["minutes"]]
    assert times[-1] == now and all(b - a == MINUTE_SECONDS for a, b in zip(times, times[1:], strict=False))
    hours = [sample["time"] for sample in told["hours"]]
    assert all(b - a == HOUR_SECONDS for a, b in zip(hours, hours[1:], strict=False))
    last = told["minutes"][-1]
    assert (last["nodes"], last["requests"], last["refused"]) == (minute, 2 * minute + 1, minute)


def test_a_clock_that_is_set_back_changes_no_uptime_and_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic, set_to = 100.0, 1_000_000.0
    monkeypatch.setattr("time.time", lambda: set_to)
    monkeypatch.setattr("time.monotonic", lambda: monotonic)
    metrics = Metrics(Counts)
    metrics.count("need", 200, 0.001)
    set_to -= HOUR_SECONDS
    monotonic += MINUTE_SECONDS
    metrics.count("need", 200, 0.001)
    told = metrics.to_json()
    assert told["uptime"] == MINUTE_SECONDS
    assert [sample["time"] for sample in told["minutes"]] == [1_000_000.0, 1_000_000.0 + MINUTE_SECONDS]


def test_a_storage_that_cannot_be_read_costs_a_sample_and_no_answer() -> None:
    def away() -> Counts:
        raise StorageUnreachable("redis does not answer")

    metrics = Metrics(away, lambda: 0.0)
    metrics.count("need", 200, 0.001)
    assert metrics.to_json()["minutes"] == []


# ---- the access log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_the_access_log_has_one_object_a_line_and_no_secret(service: TrackerService, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.log"
    access_log = AccessLog(path, 1 << 20)
    client = create_app(service, access_log=access_log).test_client()
    headers = {
        "Authorization": f"Bearer {SECRET}",
        "X-Swarm-Key": SECRET,
        "Cookie": SECRET,
        "Referer": SECRET,
    }
    body = {"node_id": 1, "addr": ["127.0.0.1", 4001], "swarm_key": SECRET}
    client.post("/register", json=body, headers=headers)
    client.get("/stats", query_string={"swarm_key": SECRET}, headers=headers)
    client.get("/%0a%0d{%22forged%22:1}%1b[31m%e2%80%ae", headers=headers)
    client.get("/" + "x" * 5000)
    client.post("/register", data=SECRET, content_type="text/plain")
    access_log.close()
    written = lines(path)
    assert [line["status"] for line in written] == [200, 200, 404, 404, 415]
    assert [line["path"] for line in written[:2]] == ["/register", "/stats"]
    assert written[0].keys() == {"time", "remote", "method", "path", "status", "milliseconds", "bytes"}
    assert written[0]["remote"] == "127.0.0.1" and written[0]["bytes"] > 10
    text = path.read_text(encoding="ascii")
    assert "s3cret" not in text and "\x1b" not in text
    assert all(len(line) < 1500 for line in text.splitlines())


def test_the_access_log_is_rotated(tmp_path: Path) -> None:
    access_log = AccessLog(tmp_path / "access.log", 1000)
    for _ in range(100):
        access_log.write("127.0.0.1", "GET", "/", 200, 0.001, 2)
    access_log.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"access.log", "access.log.1", "access.log.2", "access.log.3"}
    assert all(size <= 1000 for size in sizes.values())
