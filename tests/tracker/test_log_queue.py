"""Lines of many threads reach the file: each one, whole, in the order of each thread, and soon."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.logs import log_file
from tracker import log_queue
from tracker.log_queue import LogQueue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "_tracker.log"


@pytest.fixture
def writer(path: Path) -> Iterator[LogQueue]:
    made = LogQueue(log_file(path, 1 << 20))
    yield made
    made.close()


def say(writer: LogQueue, text: str) -> None:
    writer.handle(logging.LogRecord("swarm", logging.INFO, "", 0, text, None, None))


def lines(path: Path) -> list[str]:
    return [line.partition("]  ")[2] for line in path.read_text(encoding="utf-8").splitlines()]


def test_all_lines_of_all_threads_are_there_at_the_end(writer: LogQueue, path: Path) -> None:
    def talk(name: int) -> None:
        for number in range(500):
            say(writer, f"{name} {number}")

    threads = [threading.Thread(target=talk, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    written = [tuple(map(int, line.split())) for line in lines(path)]
    for name in range(8):
        assert [number for who, number in written if who == name] == list(range(500))
    assert len(written) == 4000


def test_a_line_is_one_line(writer: LogQueue, path: Path) -> None:
    say(writer, "a\nb")
    writer.queue.join()  # type: ignore[attr-defined]
    assert len(lines(path)) == 1


class Stuck(logging.Handler):
    """Writes nothing until ``go_on``; its output is in ``lines``."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        self.lines += record.getMessage().splitlines()


def test_dropped_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_queue, "MAX_QUEUED_RECORDS", 3)
    stuck = Stuck()
    writer = LogQueue(stuck)
    say(writer, "first")
    assert stuck.begun.wait(10)  # it is out of the queue
    for number in range(8):
        say(writer, f"more {number}")
    stuck.go_on.set()
    writer.close()
    dropped = "5 more lines were dropped: they came faster than they could be written"
    assert stuck.lines == ["first", dropped, "more 0", "more 1", "more 2"]


def test_a_stuck_target_does_not_keep_the_program_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_queue, "STOP_SECONDS", 0.05)
    stuck = Stuck()
    writer = LogQueue(stuck)
    say(writer, "first")
    assert stuck.begun.wait(10)
    writer._listener.stop()
    assert stuck.lines == []
    stuck.go_on.set()


def test_files_are_rotated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_queue, "GATHER_SECONDS", 0)
    writer = LogQueue(log_file(path, 2000))
    for number in range(100):
        say(writer, f"event {number}")
        writer.queue.join()  # type: ignore[attr-defined]
    writer.close()
    assert sorted(one.name for one in path.parent.iterdir())[:2] == ["_tracker.log", "_tracker.log.1"]
    assert all(one.stat().st_size <= 2000 for one in path.parent.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12: there are threads
def test_a_process_that_was_forked_writes_its_own(writer: LogQueue, path: Path) -> None:
    say(writer, "parent")
    writer.queue.join()  # type: ignore[attr-defined]
    child = os.fork()
    if child == 0:
        say(writer, "child")
        writer.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert lines(path) == ["parent", "child"]


def test_it_ends_while_logging_holds_its_lock(writer: LogQueue, path: Path) -> None:
    """As ``logging.shutdown`` does when a process ends that closed nothing."""
    writer.acquire()
    say(writer, "the last line")
    writer.close()
    writer.release()
    assert lines(path) == ["the last line"]
