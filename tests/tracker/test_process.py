"""The tracker as a real process: launched each way, crashed, restarted, stopped, refused."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import tracker
from common.messages import OwnedFile
from node import option_values
from node.discovery.classroom import TrackerClient
from tracker import cli

ROOT = Path(__file__).resolve().parents[2]
A, B = ("127.0.0.1", 4001), ("127.0.0.1", 4002)
PATIENCE = 20.0  # seconds
Start = Callable[..., Any]  # makes a TrackerProcess of conftest.py


def run(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A tracker that is expected to end by itself."""
    env = {
        **os.environ,
        "TRACKER_DB_DIR": str(tmp_path / "db"),
        "LOGS_DIR": str(tmp_path / "logs"),
        **settings,
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "tracker.py"), *arguments],
        env=env, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip


def owners(url: str, filename: str = "f") -> list[tuple[int, int]]:
    client = TrackerClient(url, 99, timeout=PATIENCE)
    found = [(owner.node_id, owner.uploads) for owner in client.need(filename)]
    client.close()
    return found


@pytest.fixture
def client(tracker_process):
    """Node 1 of the running tracker."""
    client = TrackerClient(tracker_process.url, 1, timeout=PATIENCE)
    yield client
    client.close()


def test_launcher_and_package_share_a_name_and_each_is_found() -> None:
    assert Path(tracker.__file__).parent == ROOT / "tracker"
    assert callable(runpy.run_path(str(ROOT / "tracker.py"))["main"])
    for command in (["tracker.py"], ["-m", "tracker"]):
        shown = subprocess.run(
            [sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert (shown.returncode, "--port" in shown.stdout, shown.stderr) == (0, True, "")


def test_what_was_answered_survives_kill_9(tracker_process, client) -> None:
    client.register(A)
    client.own([OwnedFile("f", "ab" * 20, 9)])
    client.update("f")
    client.update("f")
    other = TrackerClient(tracker_process.url, 2, timeout=PATIENCE)
    other.register(B)
    other.own([OwnedFile("f")])
    other.exit()
    other.close()
    tracker_process.kill()
    tracker_process.restart()
    assert owners(tracker_process.url) == [(1, 2)]
    answer = client.register(A)
    assert (answer.known, answer.files) == (True, 1)
    tracker_process.stop()
    assert json.loads((tracker_process.db / "nodes.json").read_text(encoding="utf-8"))["1"]["uploads"] == 2
    assert list(json.loads((tracker_process.db / "files.json").read_text(encoding="utf-8"))) == ["f"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quickly_and_cleanly(tracker_process, client, number: int) -> None:
    client.register(A)
    client.own([OwnedFile("f")])  # and its connection stays open
    begin = time.monotonic()
    tracker_process.process.send_signal(number)
    tracker_process.process.send_signal(number)  # impatience does no harm
    assert tracker_process.process.wait(timeout=10) == 0
    assert time.monotonic() - begin < 2
    assert tracker_process.process.stdout.read() == ""  # a pipe gets the first line only
    assert tracker_process.stderr.read_text(encoding="utf-8") == ""
    tracker_process.restart()
    assert owners(tracker_process.url) == [(1, 0)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no nohup")
def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    env = {**os.environ, "TRACKER_DB_DIR": str(tmp_path / "db"), "LOGS_DIR": str(tmp_path / "logs")}
    with subprocess.Popen(
        ["nohup", sys.executable, str(ROOT / "tracker.py"), "--port", "0"],
        env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None and b"started" in process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, "--port", str(port))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert str(port) in ended.stderr and "TRACKER_ADDR" in ended.stderr


def test_a_folder_in_use_is_named_with_its_setting(tracker_process, tmp_path: Path) -> None:
    ended = run(tmp_path, "--port", "0", TRACKER_DB_DIR=str(tracker_process.db))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "TRACKER_DB_DIR" in ended.stderr


@pytest.mark.parametrize("words", ["--port x", "--port 65536", "--prot 1", "extra"])
def test_wrong_usage_is_2(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split())
    assert ended.value.code == 2
    assert words.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "settings", "names"),
    [
        (["--host", "no such host"], {}, "no such host"),
        ([], {"RANKING": "luck"}, "RANKING='luck': one of uploads, rate, bytes, random"),
    ],
)
def test_wrong_settings_end_it_with_2(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], names: str
) -> None:
    ended = run(tmp_path, *arguments, **settings)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert names in ended.stderr and "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1 or not settings


def test_an_unusable_folder_ends_it_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for setting in ("TRACKER_DB_DIR", "LOGS_DIR"):
        ended = run(tmp_path, "--port", "0", **{setting: str(tmp_path / "file" / "x")})
        assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr


def test_settings_and_the_reports_spelling_are_taken(start_tracker: Start) -> None:
    process = start_tracker(TRACKER_TIME_INTERVAL="4", RANKING="rate")
    client = TrackerClient(process.url, 1, timeout=PATIENCE)
    assert client.register(A).interval == 2.0
    client.close()


def test_a_silent_node_leaves_a_living_tracker(start_tracker: Start) -> None:
    process = start_tracker(TRACKER_TIME_INTERVAL="1")
    silent, caller = (TrackerClient(process.url, n, timeout=PATIENCE) for n in (1, 2))
    for client, addr in ((silent, A), (caller, B)):
        client.register(addr)
        client.own([OwnedFile("f")])
    deadline = time.monotonic() + PATIENCE
    while len(owners(process.url)) == 2:
        assert caller.register(B).known and time.monotonic() < deadline
        time.sleep(0.05)
    assert owners(process.url) == [(2, 0)]
    while "removed node 1 at 127.0.0.1:4001: silent for 1 s" not in process.log():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if hasattr(signal, "SIGSTOP"):  # a tracker that was stopped for a while drops no node for it
        process.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.process.send_signal(signal.SIGCONT)
        assert caller.register(B).known
    for client in (silent, caller):
        client.close()


def test_a_damaged_record_is_named_at_start(tracker_process) -> None:
    tracker_process.stop()
    (tracker_process.db / "tracker.db").unlink()
    (tracker_process.db / "nodes.json").write_bytes(b'{"1": {"upl')
    tracker_process.restart()
    said = tracker_process.stderr.read_text(encoding="utf-8")
    assert len(said.splitlines()) == 1 and "nodes.json.corrupt-1" in said
    assert (tracker_process.db / "nodes.json.corrupt-1").read_bytes() == b'{"1": {"upl'


def test_the_log_has_one_line_an_event_and_none_for_a_heartbeat(tracker_process, client) -> None:
    for _ in range(3):
        client.register(A)
    client.own([OwnedFile("a \N{BELL} name")])
    client.need("f")
    client.update("f")
    client.exit()
    tracker_process.stop()
    lines = tracker_process.log().splitlines()
    assert [line[12:].split()[0] for line in lines[1:-1]] == ["REGISTER", "OWN", "NEED", "UPDATE", "EXIT"]
    assert all(line[0] == "[" and line[9:12] == "]  " for line in lines)


def test_the_setting_takes_an_ipv6_address_in_brackets(start_tracker: Start) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    process = start_tracker(TRACKER_ADDR="[::1]:0")
    assert process.url.startswith("http://[::1]:")
    client = TrackerClient(option_values.tracker_url(f"[::1]:{process.port}"), 1, timeout=PATIENCE)
    assert client.register(A).known is False
    client.close()


# ---- the terminal


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
@pytest.mark.parametrize("words", [[], ["--quiet"]])
def test_a_terminal_shows_each_event_but_heartbeats_and_a_word_at_the_end(
    tmp_path: Path, words: list[str]
) -> None:
    pexpect = pytest.importorskip("pexpect")
    env = {**os.environ, "TRACKER_DB_DIR": str(tmp_path / "db"), "LOGS_DIR": str(tmp_path / "logs")}
    arguments = [str(ROOT / "tracker.py"), "--port", "0", *words]
    screen = pexpect.spawn(
        sys.executable, arguments, cwd=tmp_path, env=env, timeout=PATIENCE, encoding="utf-8",
        dimensions=(24, 200),
    )  # fmt: skip
    screen.expect_exact("Tracker program started: ")
    client = TrackerClient(screen.readline().strip(), 1, timeout=PATIENCE)
    client.register(A)
    client.register(A)
    client.own([OwnedFile("f")])
    client.need("f")
    client.update("f")
    client.exit()
    client.register(B)
    client.own([OwnedFile("f")])
    client.close()
    screen.sendintr()
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    *events, last = screen.before.splitlines()
    shown = [] if words else ["REGISTER", "OWN", "NEED", "EXIT", "REGISTER", "OWN"]
    # The first line that is written after the interrupt may begin with the terminal's ^C.
    assert [line.split("]  ")[1].split()[0] for line in events if "]  " in line] == shown
    word = f"Tracker stopped; 1 node and 1 file are kept in {tmp_path}/db/"
    assert last.endswith(word) is not bool(words)


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_a_removed_database_turns_health_to_failing_and_the_end_says_so(tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    env = {**os.environ, "TRACKER_DB_DIR": str(tmp_path / "db"), "LOGS_DIR": str(tmp_path / "logs")}
    screen = pexpect.spawn(
        sys.executable, [str(ROOT / "tracker.py"), "--port", "0"], cwd=tmp_path, env=env, timeout=PATIENCE,
        encoding="utf-8", dimensions=(24, 400),
    )  # fmt: skip
    screen.expect_exact("Tracker program started: ")
    url = screen.readline().strip()
    client = TrackerClient(url, 1, timeout=PATIENCE)
    client.register(A)
    shutil.rmtree(tmp_path / "db")
    health = requests.get(f"{url}/health", timeout=PATIENCE)
    assert (health.status_code, health.json()["status"]) == (503, "failing")
    own = {"mode": "OWN", "node_id": 1, "addr": list(A), "filename": "f"}
    assert requests.post(f"{url}/tracker", json=own, timeout=PATIENCE).status_code == 503
    client.close()
    screen.sendintr()
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert "removed under the running tracker" in screen.before.splitlines()[-1]
    assert "kept in" not in screen.before and not (tmp_path / "db").exists()


def test_a_thread_that_dies_ends_the_tracker_with_one_line(tmp_path: Path) -> None:
    broken = (
        "import sys; from tracker import cli, service;"
        "service.TrackerService.sweep = lambda self: 1 / 0; sys.exit(cli.main(['--port', '0']))"
    )
    env = {**os.environ, "TRACKER_DB_DIR": str(tmp_path / "db"), "LOGS_DIR": str(tmp_path / "logs")}
    ended = subprocess.run(
        [sys.executable, "-c", broken], env=env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "ZeroDivisionError" in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_closed_terminal_does_not_spoil_the_end(tmp_path: Path) -> None:
    import pty

    master, slave = pty.openpty()
    env = {
        **os.environ, "TRACKER_DB_DIR": str(tmp_path / "db"), "LOGS_DIR": str(tmp_path / "logs"),
        "PYTHONIOENCODING": "ascii",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tracker.py"), "--port", "0"],
        env=env, cwd=tmp_path, stdout=slave, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(slave)
        try:
            with os.fdopen(master, "rb", buffering=0) as screen:
                seen = b""
                while b"\n" not in seen:
                    seen += screen.read(1000)
                client = TrackerClient(seen.decode().split()[3], 1, timeout=PATIENCE)
                client.register(A)
                client.own([OwnedFile("\N{BELL}")])
                client.close()
                while b"OWN" not in seen:
                    seen += screen.read(1000)
                assert b"\\U0001f514" in seen
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            assert process.stderr is not None and process.stderr.read() == b""
        finally:
            process.kill()
