"""Fixtures for all tests. Process tests use free ports and temporary folders, so that suites run side by
side.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.played_tracker import PlayedTracker
from tests.processes import NodeProcess, TrackerProcess

# Tests start hundreds of Python processes. Each would compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The same examples in every run, and no time limit for each: the machine may be busy. make soak tries more.
settings.register_profile("swarm", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("soak", deadline=None, max_examples=1000)
settings.load_profile("swarm")

# A shell ignores SIGINT in programs that a script starts in the background, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SKIPPED_TO = os.environ.get("SKIPPED_TO")  # a file for the ids of skipped tests, which .ci/run runs later


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SKIPPED_TO:
        skipped = {report.nodeid for report in terminalreporter.stats.get("skipped", [])}
        Path(SKIPPED_TO).write_text("".join(f"{name}\n" for name in sorted(skipped)), encoding="utf-8")


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
