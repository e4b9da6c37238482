"""Fixtures for all tests. Process tests use free ports and temporary folders, so that suites run side by
side.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.tuned_node import TUNABLE

# Tests start hundreds of Python processes. Each would compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The same examples in every run, and no time limit for each: the machine may be busy. make soak tries more.
settings.register_profile("swarm", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("soak", deadline=None, max_examples=1000)
settings.load_profile("swarm")

# A shell ignores SIGINT in programs that a script starts in the background, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SKIPPED_TO = os.environ.get("SKIPPED_TO")  # a file for the ids of skipped tests, which .ci/run runs later
ROOT = Path(__file__).resolve().parent.parent
START_PATIENCE = 30.0  # seconds; a loaded machine starts slowly
PATIENCE = 60.0  # seconds that anything may take; nothing waits that long unless something is wrong
Event = dict[str, Any]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SKIPPED_TO:
        skipped = {report.nodeid for report in terminalreporter.stats.get("skipped", [])}
        Path(SKIPPED_TO).write_text("".join(f"{name}\n" for name in sorted(skipped)), encoding="utf-8")


class TrackerProcess:
    """A real tracker with folders of its own; ``restart`` keeps its port and its records."""

    def __init__(self, folder: Path, settings: dict[str, str], words: Sequence[str] = ()) -> None:
        """``words``: more options."""
        self._words = words
        self.db = folder / "tracker_db"
        self.logs = folder / "logs"
        self.url = ""
        self.stderr = folder / "tracker.stderr"
        self._folder = folder
        self._env = {**os.environ, "TRACKER_DB_DIR": str(self.db), "LOGS_DIR": str(self.logs), **settings}
        self._start(0)

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._wait()

    def restart(self) -> None:
        """Again, on the same port and with the same records."""
        self.stop()
        self._start(self.port)

    def log(self) -> str:
        """The log so far."""
        return (self.logs / "_tracker.log").read_text(encoding="utf-8")

    def _start(self, port: int) -> None:
        with self.stderr.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tracker.py"), "--port", str(port), *self._words],
                cwd=self._folder,
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            )
        line = first_line(self.process)
        prefix = "Tracker program started: "
        if not line.startswith(prefix):
            self.kill()
            raise AssertionError(f"the tracker said {line!r}; {self.stderr.read_text(encoding='utf-8')}")
        self.url = line[len(prefix) :].strip()

    def _wait(self) -> int:
        code = self.process.wait(timeout=10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


class NodeProcess:
    """A real node driven through a pipe; its output is read as it comes.

    ``lines`` are its standard output, ``errors`` its standard error, ``events`` the objects of ``--json``.
    """

    def __init__(
        self, words: list[str], folder: Path, environment: dict[str, str], before: list[str]
    ) -> None:
        """``before``: words to put before the interpreter, a program that starts programs, for example."""
        self.process = subprocess.Popen(
            [*before, sys.executable, str(node_program(environment)), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
        self.number = 0  # its node id and its folder, if the starter sets them
        self.folder = folder
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.events: list[Event] = []
        self._more = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kept), daemon=True)
            for stream, kept in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, kept: list[str]) -> None:
        with stream:
            for raw in stream:
                line = raw.decode("utf-8").rstrip("\n")
                with self._more:
                    kept.append(line)
                    if kept is self.lines and line.startswith('{"event"'):
                        self.events.append(json.loads(line))
                    self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def seen(self, name: str, **fields: object) -> list[Event]:
        """The events so far that are called ``name`` and have these fields."""
        return [e for e in self.events if e["event"] == name and all(e[k] == v for k, v in fields.items())]

    def wait_until(self, what: str, found: Callable[[], Any], limit: float = PATIENCE) -> Any:
        """Whatever ``found`` returns once it is true; fails if the node ends first, or never does it."""
        deadline = time.monotonic() + limit
        with self._more:
            while not (result := found()):
                left = deadline - time.monotonic()
                ended = not any(reader.is_alive() for reader in self._readers)
                assert left > 0 and not ended, f"no {what} in {self.told()}"
                self._more.wait(min(left, 0.5))
            return result

    def wait_for(self, name: str, count: int = 1, limit: float = PATIENCE, **fields: object) -> Event:
        """The ``count``-th event that is called ``name`` and has these fields."""
        found = lambda: self.seen(name, **fields)[count - 1 : count]  # noqa: E731
        return self.wait_until(f"{name} {fields}", found, limit)[0]

    def wait_for_line(self, text: str) -> str:
        """The first line of standard output that contains ``text``."""
        return self.wait_until(repr(text), lambda: [line for line in self.lines if text in line])[0]

    def wait_for_error(self, text: str) -> str:
        """The first line of standard error that contains ``text``."""
        return self.wait_until(repr(text), lambda: [line for line in self.errors if text in line])[0]

    def files(self, folder: Path | None = None) -> list[str]:
        """Names in its folder, in order, without its file of secrets."""
        return sorted(e.name for e in (folder or self.folder).iterdir() if not e.name.startswith(".claims-"))

    def type(self, *commands: str) -> None:
        """Write lines to its input, which stays open."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{command}\n" for command in commands).encode())
        self.process.stdin.flush()

    def ask(self, name: str) -> Event:
        """Type ``torrent -NAME`` (status, files, peers) and wait for its answer, an event of that name."""
        count = len(self.seen(name)) + 1
        self.type(f"torrent -{name}")
        return self.wait_for(name, count)

    def end_input(self) -> None:
        """Nothing more is typed."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def freeze(self) -> None:
        """Stop the process; to its peers it becomes silent."""
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; the exit code."""
        self.send_signal(number)
        return self.end()

    def end(self, limit: float = PATIENCE) -> int:
        """Wait for its end and the rest of its output; the exit code."""
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        return code

    def kill(self) -> int:
        """kill -9, also if it is stopped; the exit code."""
        self.process.kill()
        code = self.end()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return code

    def told(self) -> str:
        """The end of its output, for a failing test."""
        return "\n".join([f"exit code {self.process.poll()}", *self.lines[-40:], *self.errors[-40:]])


def node_program(environment: dict[str, str]) -> Path:
    """TorrentClient.py, or the one that lets ``environment`` change constants if it names some."""
    return ROOT / ("tests/tuned_node.py" if TUNABLE & set(environment) else "TorrentClient.py")


Answer = tuple[int, dict[str, Any], dict[str, str]]


class PlayedTracker:
    """A tracker that the test plays.

    ``answer(mode, fields)`` gives status, object and headers, or None: the connection is closed without an
    answer. ``heard`` lists the requests: (mode, fields, headers).
    """

    def __init__(self) -> None:
        self.heard: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self.answer: Callable[[int, dict[str, Any]], Answer | None] = lambda mode, fields: (
            200,
            OBJECTS[mode],
            {},
        )
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                played.heard.append((fields["mode"], fields, dict(self.headers)))
                told = played.answer(fields["mode"], fields)
                if told is None:
                    self.close_connection = True
                    return
                status, answered, headers = told
                body = json.dumps(answered).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def modes(self) -> list[int]:
        """The modes of all requests, in order."""
        return [mode for mode, _, _ in self.heard]

    def refuse(self, status: int, text: str = "no", **headers: str) -> None:
        """Answer everything with this error; a header's name has ``_`` for ``-``."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda mode, fields: (status, {"error": text}, told)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


OBJECTS: dict[int, dict[str, Any]] = {
    0: {"status": "Node registered", "interval": 11, "known": True, "files": 0, "claimed": True},
    1: {"status": "File owner added"},
    2: {"dest_node_id": 1, "filename": "f", "search_result": []},
    3: {"status": "Database updated", "counted": True},
    4: {"status": "Node removed"},
}


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process prints; "" if it ends, or takes too long, without one."""
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    assert stdout is not None
    reader = threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True)
    reader.start()
    try:
        line = lines.get(timeout=START_PATIENCE)
    except queue.Empty:
        return ""
    reader.join(timeout=1)
    return line


@pytest.fixture
def start_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TrackerProcess]]:
    """Starts trackers, with options and with settings as keywords (``TRACKER_TIME_INTERVAL="1"``); all are
    gone after the test.
    """
    started: list[TrackerProcess] = []

    def start(*words: str, **settings: str) -> TrackerProcess:
        started.append(TrackerProcess(tmp_path_factory.mktemp("tracker"), settings, words))
        return started[-1]

    yield start
    for tracker in started:
        tracker.kill()


@pytest.fixture
def tracker_process(start_tracker: Callable[..., TrackerProcess]) -> TrackerProcess:
    """A real tracker on a free port with folders of its own: ``.url .process .stop() .kill() .restart()``."""
    return start_tracker()


@pytest.fixture(scope="session")
def shared_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """One real tracker for all tests that leave it alone; their nodes and files have numbers of their own."""
    tracker = TrackerProcess(tmp_path_factory.mktemp("tracker"), {})
    yield tracker
    tracker.kill()


@pytest.fixture(scope="module")
def unlimited_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """A real tracker for one module, with rate limits that no test reaches."""
    unlimited = {"ADDRESS_RATE": "1000000", "NODE_RATE": "1000000", "MAX_NODES_PER_ADDRESS": "1000000"}
    tracker = TrackerProcess(tmp_path_factory.mktemp("tracker"), unlimited)
    yield tracker
    tracker.kill()


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """``start_node(*words, before=[], LOGS_DIR="logs", ...)`` starts TorrentClient.py in ``tmp_path``, with
    settings as keywords; all are gone after the test."""
    started: list[NodeProcess] = []
    folders = {"LOGS_DIR": "logs", "NODE_FILES_DIR": "files"}

    def start(*words: str, before: list[str] | None = None, **settings: str) -> NodeProcess:
        environment = {**os.environ, **folders, **settings}
        started.append(NodeProcess(list(words), tmp_path, environment, before or []))
        return started[-1]

    yield start
    for node in started:
        node.kill()


@pytest.fixture
def play_tracker() -> Iterator[Callable[[], PlayedTracker]]:
    """Starts trackers that the test plays; closed in the end."""
    played: list[PlayedTracker] = []

    def start() -> PlayedTracker:
        played.append(PlayedTracker())
        return played[-1]

    yield start
    for tracker in played:
        tracker.close()
