"""The launcher with a real node and a real tracker: what a user does in the first minutes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 60  # seconds that anything here may take on a busy machine
PAYLOAD = bytes(range(256)) * 5000 + b"and a last piece that is not whole"


class Seen:
    """A node's process; what it prints is read as it comes."""

    def __init__(self, folder: Path, environment: dict[str, str], words: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "TorrentClient.py"), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        self.out: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.out.append(line.rstrip("\n"))
                self._more.notify_all()

    def see(self, text: str) -> str:
        """Wait for a line that contains ``text``."""
        with self._more:
            assert self._more.wait_for(lambda: any(text in line for line in self.out), LIMIT), self.out
            return next(line for line in self.out if text in line)

    def type(self, *lines: str) -> None:
        """Write lines to its input."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop(self) -> tuple[int, str]:
        """SIGTERM: exit code and errors."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> tuple[int, str]:
        """Wait for the end: exit code and errors."""
        assert self.process.stderr is not None
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return code, self.process.stderr.read()


@pytest.fixture
def node(tmp_path: Path, tracker_process: Any) -> Iterator[Callable[..., Seen]]:
    """``node(7, *words)`` starts node 7; ``tracker=`` another than the running one."""
    started: list[Seen] = []
    environment = {**os.environ, "LOGS_DIR": "logs", "NODE_FILES_DIR": "files", "OWNER_SEARCH_LIMIT": "2"}

    def start(number: int, *words: str, tracker: str = tracker_process.url) -> Seen:
        every = ["-node_id", str(number), "-tracker", tracker, *words]
        started.append(Seen(tmp_path, environment, every))
        return started[-1]

    yield start
    for one in started:
        with one.process as process:
            process.kill()


def test_one_node_sends_and_another_fetches(node: Callable[..., Seen], tmp_path: Path) -> None:
    name = "Größe 1 [red].bin"
    (tmp_path / name).write_bytes(PAYLOAD)
    owner = node(1, "-setMode", "send", name)
    owner.see(f"sharing {name}")
    torrent = tmp_path / "files" / "node1" / f"{name}.torrent"
    fetcher = node(2, "-setMode", "download", str(torrent), "--json")
    assert fetcher.end()[0] == 0
    assert (tmp_path / "files" / "node2" / name).read_bytes() == PAYLOAD
    told = [json.loads(line) for line in fetcher.out]
    assert told[0]["event"] == "started" and told[-1]["event"] == "stopped"
    (completed,) = [event for event in told if event["event"] == "completed"]
    assert completed["filename"] == name and completed["size"] == len(PAYLOAD)
    assert [source["node_id"] for source in completed["sources"] if source["received"]] == [1]
    assert owner.stop() == (0, "")


def test_through_pipes_a_fetcher_becomes_an_owner(node: Callable[..., Seen], tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(PAYLOAD)
    owner = node(1)
    owner.type('torrent -setMode send "a file"', "torrent -files")
    owner.see("sharing a file")
    owner.end_input()
    owner.see("sharing until stopped")
    fetcher = node(2)
    fetcher.type('torrent -setMode download "files/node1/a file.torrent"')
    fetcher.end_input()
    assert "from 1 owner: node 1 (100%)" in fetcher.see("downloaded a file")
    fetcher.see("sharing until stopped")
    assert (tmp_path / "files" / "node2" / "a file").read_bytes() == PAYLOAD
    assert owner.stop() == (0, "")
    third = node(3, "-setMode", "download", "files/node1/a file.torrent")
    assert third.end() == (0, "")
    assert "node 2 (100%)" in third.see("downloaded a file")
    assert fetcher.stop() == (0, "")


def test_a_node_id_that_is_live_is_refused(node: Callable[..., Seen]) -> None:
    first = node(5)
    first.see("ENTER YOUR COMMAND!")
    code, errors = node(5).end()
    assert code == 1
    assert len(errors.splitlines()) == 1 and "5" in errors
    first.type("exit")
    assert first.end() == (0, "")
    third = node(5)  # it said EXIT
    third.see("ENTER YOUR COMMAND!")
    assert third.stop() == (0, "")


def test_mistakes_are_one_line_each_and_the_node_lives_on(node: Callable[..., Seen], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.torrent").write_bytes(b"d4:infoi-0ee")
    (tmp_path / "empty").touch()
    one = node(1)
    one.type(
        "torent",
        "torrent -setMode send no such file",
        "torrent -setMode send nothing-there",
        "torrent -setMode send folder",
        "torrent -setMode download nothing-there.torrent",
        "torrent -setMode download bad.torrent",
        "torrent -setMode send empty",
        "exit",
    )
    code, errors = one.end()
    assert code == 0
    assert len(errors.splitlines()) == 6
    assert "Traceback" not in errors
    assert one.see("sharing empty (0 B)")


def test_nobody_has_it(node: Callable[..., Seen], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PAYLOAD)
    owner = node(1)
    owner.type("torrent -setMode send a", "exit")
    assert owner.end() == (0, "")
    code, errors = node(2, "-setMode", "download", "files/node1/a.torrent").end()
    assert code == 1
    assert len(errors.splitlines()) == 1 and "a" in errors


def test_without_a_tracker_a_node_works_and_says_so(node: Callable[..., Seen]) -> None:
    one = node(1, tracker="http://127.0.0.1:9")
    one.see("does not answer")
    one.type("torrent -status", "exit")
    assert one.end() == (0, "")
    assert "no downloads" in one.out


def test_stop_ends_sharing_and_downloads(node: Callable[..., Seen], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PAYLOAD)
    (tmp_path / "b").write_bytes(os.urandom(5_000_000))
    owner = node(1, "-up", "500kB")
    owner.type("send a", "send b", "stop a")
    assert "a: you stopped it" in owner.see("no longer sharing")
    fetcher = node(2)
    fetcher.type("download files/node1/a.torrent", "download files/node1/b.torrent")
    fetcher.see("downloading b")
    fetcher.type("stop b", "stop c")
    fetcher.see("b: stopped")
    fetcher.type("send files/node1/b.torrent", "exit")
    code, errors = fetcher.end()
    assert code == 0
    assert "c is neither shared nor being downloaded; try: files" in errors
    assert "files/node1/b.torrent is a torrent: did you mean 'download files/node1/b.torrent'?" in errors
    assert "Traceback" not in errors
    owner.type("send a", "exit")
    owner.see("sharing a")
    assert owner.end()[0] == 0
