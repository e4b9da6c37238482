"""Lines of many threads reach the file: each one, whole, in the order of each thread, and soon."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.logs import log_file
from tracker import log_writer
from tracker.log_writer import LogWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "_tracker.log"


@pytest.fixture
def writer(path: Path) -> Iterator[LogWriter]:
    made = LogWriter(log_file(path, 1 << 20))
    yield made
    made.close()


def say(writer: LogWriter, text: str) -> None:
    writer.handle(logging.LogRecord("swarm", logging.INFO, "", 0, text, None, None))


def lines(path: Path) -> list[str]:
    return [line.partition("]  ")[2] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_is_there_soon_without_any_more_ado(writer: LogWriter, path: Path) -> None:
    say(writer, "tracker started")
    deadline = time.monotonic() + 10
    while not (path.exists() and lines(path)) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert lines(path) == ["tracker started"]


def test_all_lines_of_all_threads_are_there_at_the_end(writer: LogWriter, path: Path) -> None:
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


def test_a_line_is_one_line(writer: LogWriter, path: Path) -> None:
    say(writer, "a\nb")
    writer.flush()
    assert len(lines(path)) == 1


def test_what_comes_too_fast_is_counted(
    writer: LogWriter, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MAX_LINES", 3)
    with writer._writing:  # as long as the disk is slow
        for number in range(4):  # the first may be on its way already
            say(writer, f"first {number}")
        for number in range(5):
            say(writer, f"more {number}")
    writer.close()
    written = lines(path)
    assert written[:3] == ["first 0", "first 1", "first 2"]
    assert written[-1].endswith("more lines came too fast to be written")
    assert len(written) - 1 + int(written[-1].split()[0]) == 9


def test_files_are_rotated(path: Path) -> None:
    writer = LogWriter(log_file(path, 2000))
    for number in range(100):
        say(writer, f"event {number}")
        writer.flush()
    writer.close()
    assert sorted(one.name for one in path.parent.iterdir())[:2] == ["_tracker.log", "_tracker.log.1"]
    assert all(one.stat().st_size <= 2000 for one in path.parent.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12: there are threads
def test_a_process_that_was_forked_writes_its_own(writer: LogWriter, path: Path) -> None:
    say(writer, "parent")
    writer.flush()
    child = os.fork()
    if child == 0:
        say(writer, "child")
        writer.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert lines(path) == ["parent", "child"]


def test_it_ends_while_logging_holds_its_lock(writer: LogWriter, path: Path) -> None:
    """As ``logging.shutdown`` does when a process ends that closed nothing."""
    writer.acquire()
    say(writer, "the last line")
    closing = threading.Thread(target=writer.flush)
    closing.start()
    closing.join(10)
    writer.close()
    writer.release()
    assert not closing.is_alive() and lines(path) == ["the last line"]
