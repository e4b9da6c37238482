"""Fixtures for all tests. Process tests use free ports and temporary folders, so that suites run side by
side.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
START_PATIENCE = 30.0  # seconds; a loaded machine starts slowly


class TrackerProcess:
    """A real tracker with folders of its own; ``restart`` keeps its port and its records."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
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
                [sys.executable, str(ROOT / "tracker.py"), "--port", str(port)],
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
    """Starts trackers, with settings as keywords (``TRACKER_TIME_INTERVAL="1"``); all are gone after the
    test.
    """
    started: list[TrackerProcess] = []

    def start(**settings: str) -> TrackerProcess:
        started.append(TrackerProcess(tmp_path_factory.mktemp("tracker"), settings))
        return started[-1]

    yield start
    for tracker in started:
        tracker.kill()


@pytest.fixture
def tracker_process(start_tracker: Callable[..., TrackerProcess]) -> TrackerProcess:
    """A real tracker on a free port with folders of its own: ``.url .process .stop() .kill() .restart()``."""
    return start_tracker()
