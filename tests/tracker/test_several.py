"""Several tracker processes that are one tracker: on one Redis, under a WSGI server, one of them killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bench.tracker.several import kill_one_of_two, on_redis
from faults import redis_server
from faults.redis_server import RedisServer
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds
A = ["127.0.0.1", 4001]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    if redis_server.program() is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    running = RedisServer("--appendonly", "yes", "--appendfsync", "always")
    running.start()
    yield running
    running.close()


def post(url: str, path: str, **fields: Any) -> requests.Response:
    return requests.post(f"{url}/{path}", json=fields, timeout=PATIENCE)


def owners(url: str) -> list[int]:
    found = post(url, "need", node_id=9, filename="f").json()["search_result"]
    return [entry[0]["node_id"] for entry in found]


def test_what_one_process_was_told_all_know(server: RedisServer, start_tracker: Callable[..., Any]) -> None:
    one, other = (start_tracker(**on_redis(server)) for _ in range(2))
    given = post(one.url, "register", node_id=1, addr=A, claim=True).json()
    with_secret = {"Authorization": f"Bearer {given['secret']}"}
    assert post(other.url, "own", node_id=1, addr=A, filename="f").status_code == 403
    own = {"node_id": 1, "addr": A, "filename": "f"}
    answer = requests.post(f"{other.url}/own", json=own, headers=with_secret, timeout=PATIENCE)
    assert answer.status_code == 200
    assert owners(one.url) == owners(other.url) == [1]
    one.kill()
    assert post(other.url, "register", node_id=1, addr=["127.0.0.1", 4002]).status_code == 409
    one.restart()
    assert owners(one.url) == [1]


def test_silent_nodes_go_though_the_process_they_spoke_to_is_gone(
    server: RedisServer, start_tracker: Callable[..., Any]
) -> None:
    one, other = (start_tracker(**on_redis(server), TRACKER_TIME_INTERVAL="1") for _ in range(2))
    post(one.url, "own", node_id=1, addr=A, filename="f")
    one.kill()
    deadline = time.monotonic() + PATIENCE
    while server.client.exists("{tracker}:node:1"):  # the other tracker's sweep removes it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while "removed node 1 at 127.0.0.1:4001" not in other.log():  # the log is written a moment later
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_redis_requests_are_refused_and_then_it_goes_on(
    server: RedisServer, start_tracker: Callable[..., Any]
) -> None:
    tracker = start_tracker(**on_redis(server))
    assert post(tracker.url, "own", node_id=1, addr=A, filename="f").status_code == 200
    server.kill()
    begin = time.monotonic()
    for path in ("register", "own", "need", "update", "exit"):
        answer = post(tracker.url, path, node_id=1, addr=A, filename="f")
        assert answer.status_code == 503 and "Redis does not answer" in answer.json()["error"]
    assert time.monotonic() - begin < 5
    assert requests.get(f"{tracker.url}/health", timeout=PATIENCE).status_code == 503
    server.start()
    deadline = time.monotonic() + PATIENCE
    while (answer := post(tracker.url, "need", node_id=9, filename="f")).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert owners(tracker.url) == [1]


def test_nothing_acknowledged_is_lost_when_one_of_two_is_killed(server: RedisServer, tmp_path: Path) -> None:
    result = kill_one_of_two(tmp_path, server, kills=4, seed=1)
    assert result.lost == []
    assert result.kills == 4 and result.acknowledged > 50


# ---- under a foreign WSGI server


def gunicorn(folder: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    places = {"LOGS_DIR": str(folder / "logs"), "TRACKER_DB_DIR": str(folder / "db"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--bind", "unix:socket", *options, "tracker.web:create_app()"],
        cwd=folder, env={**os.environ, **places, "HOME": str(folder), **settings},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def ask(path: Path, target: str) -> bytes:
    """A GET by hand: requests does not speak over Unix sockets."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no gunicorn for Windows")
def test_gunicorn_runs_as_many_as_wanted(server: RedisServer, tmp_path: Path) -> None:
    with gunicorn(tmp_path, "--workers", "2", "--threads", "2", **on_redis(server)) as process:
        try:
            lines = iter(process.stderr or ())
            workers = [int(line.split()[-1]) for line in lines_with("Booting worker", lines, 2)]
            until(lambda: {f"tracker-{pid}" for pid in workers} <= names(server))
            assert b"200 OK" in ask(tmp_path / "socket", "/health")
            os.kill(workers[0], signal.SIGKILL)
            assert b'"nodes":0' in ask(tmp_path / "socket", "/nodes").replace(b" ", b"")
            (another,) = (int(line.split()[-1]) for line in lines_with("Booting worker", lines, 1))
            until(lambda: f"tracker-{another}" in names(server))
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no gunicorn for Windows")
@pytest.mark.parametrize(
    ("options", "settings", "reason"),
    [
        (("--workers", "2"), {}, "is in use by another tracker"),
        (("--workers", "1", "--preload"), {}, "storage json is for one process"),
        (("--workers", "1"), {"TRACKER_STORAGE": "memory"}, "each process would be a tracker of its own"),
        (("--workers", "1"), {"TRACKER_STORAGE": "redis", "REDIS_URL": "unix:///nowhere"}, "REDIS_URL"),
    ],
)
def test_what_cannot_be_one_tracker_ends_with_one_line(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, str], reason: str
) -> None:
    with gunicorn(tmp_path, *options, **settings) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    said = [line for line in errors.splitlines() if not line.startswith("[")]
    assert len(said) == 1 and reason in said[0], errors
    assert process.returncode != 0


def lines_with(text: str, lines: Iterator[str], count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        line = next(lines)
        if text in line:
            found.append(line)
    return found


def names(server: RedisServer) -> set[str]:
    return {client["name"] for client in server.client.client_list()}
