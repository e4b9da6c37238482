"""Real nodes at a real (pseudo-)terminal: a student's commands and the screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX's", allow_module_level=True)

import pexpect
import pyte

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
COLUMNS, LINES = 140, 50
LIMIT = 60.0  # seconds


class NodeTerminal:
    """TorrentClient.py on a screen of 140 columns."""

    def __init__(self, folder: Path, words: list[str], settings: dict[str, str]) -> None:
        environment = {
            **os.environ,
            "LOGS_DIR": "logs",
            "NODE_FILES_DIR": "files",
            "TERM": "xterm",
            **settings,
        }
        command = [str(ROOT / "tests/tuned_node.py"), *words]
        self.child = pexpect.spawn(
            sys.executable, command, cwd=str(folder), env=environment, dimensions=(LINES, COLUMNS)
        )
        self._screen = pyte.HistoryScreen(COLUMNS, LINES, history=1000)
        self._screen.write_process_input = self.child.send
        self._stream = pyte.ByteStream(self._screen)

    def _read(self) -> bool:
        try:
            self._stream.feed(self.child.read_nonblocking(65_536, 0.1))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True

    def text(self) -> str:
        """The text on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    def see(self, text: str) -> None:
        """Wait until ``text`` stands on the screen."""
        deadline = time.monotonic() + LIMIT
        while text not in self.text():
            assert time.monotonic() < deadline and self._read(), f"no {text!r} in\n{self.text()}"

    def type(self, text: str) -> None:
        """Type a line."""
        self.child.send(text + "\r")

    def end(self) -> int:
        """Wait for its end: the exit code."""
        deadline = time.monotonic() + LIMIT
        while self._read():
            assert time.monotonic() < deadline, self.text()
        return int(self.child.wait())


@pytest.fixture
def terminal(swarm: Any, tmp_path: Path) -> Iterator[Callable[..., NodeTerminal]]:
    """``terminal(*words, SETTING="1")`` starts a node of the swarm at a terminal of its own."""
    opened: list[NodeTerminal] = []

    def start(*words: str, number: int, **settings: str) -> NodeTerminal:
        every = ["-node_id", str(number), "-tracker", swarm.tracker.url, *words]
        opened.append(NodeTerminal(tmp_path, every, settings))
        return opened[-1]

    yield start
    for one in opened:
        one.child.close(force=True)


def test_two_terminals_move_a_file(swarm: Any, terminal: Callable[..., NodeTerminal], tmp_path: Path) -> None:
    path = swarm.file("my notes.bin", 3 * MIB)
    first, second = swarm.number(), swarm.number()
    owner = terminal(number=first)
    owner.see(f"node {first}>")
    owner.type("torrent -setMode send 'originals/my notes.bin'")
    owner.see("sharing my notes.bin (3.1 MB)")
    fetcher = terminal(number=second)
    fetcher.see(f"node {second}>")
    fetcher.type(f"torrent -setMode download 'files/node{first}/my notes.bin.torrent'")
    fetcher.see("downloaded my notes.bin: 3.1 MB")
    fetcher.type("torrent -setMode sned x")
    fetcher.see("unknown mode 'sned'; did you mean 'send'?")
    fetcher.type("torrent -peers")
    fetcher.see("my notes.bin")
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 0
    owner.child.sendeof()
    assert (tmp_path / "files" / f"node{second}" / "my notes.bin").read_bytes() == path.read_bytes()


def test_ctrl_c_in_a_download_with_bars(
    swarm: Any, terminal: Callable[..., NodeTerminal], tmp_path: Path, slow: dict[str, str]
) -> None:
    path = swarm.file("x.bin", 12 * MIB)
    owner, torrent = swarm.share(path)
    number = swarm.number()
    fetcher = terminal("-setMode", "download", str(torrent), number=number, **slow)
    fetcher.see(f"node {owner.number}")  # its own bar
    fetcher.see("B/s")
    fetcher.child.sendintr()
    assert fetcher.end() == 1
    assert "interrupted; x.bin.part is kept" in fetcher.text()
    assert "Traceback" not in fetcher.text()
    again = terminal("-setMode", "download", str(torrent), number=number)
    assert again.end() == 0
    assert "are here already" in again.text() and "downloaded x.bin" in again.text()
    assert (tmp_path / "files" / f"node{number}" / "x.bin").read_bytes() == path.read_bytes()
