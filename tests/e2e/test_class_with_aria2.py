"""One swarm of our tracker, our nodes and aria2: files and folders, by torrent and magnet link, both ways."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.torrent_encoding import TorrentNotes
from node.content.new_torrent import NewTorrent

pytestmark = pytest.mark.interop

Start = Callable[..., Any]
QUIET = (
    *("--no-conf", "-q", "--file-allocation=none", "--enable-dht=false", "--enable-dht6=false"),
    *("--bt-enable-lpd=false", "--enable-peer-exchange=false"),
)
FILES = {"week 1/slides.pdf": 700_000, "week 1/empty.txt": 0, "film.bin": (2 << 20) + 3, "readme.txt": 5}


class Aria2:
    """Processes of aria2."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, host: str, *words: str) -> subprocess.Popen[bytes]:
        """A client at ``host`` that listens on any free port."""
        command = [self._program, *QUIET, f"--interface={host}", "--listen-port=20000-30000", *words]
        environment = {**os.environ, "HOME": str(self._folder), "LC_ALL": "C.UTF-8"}
        self._running.append(subprocess.Popen(command, cwd=self._folder, env=environment))
        return self._running[-1]

    def fetch(self, host: str, torrent: str, folder: Path, *words: str) -> int:
        """Fetch ``torrent`` into ``folder``; the exit code."""
        return self.start(host, f"--dir={folder}", "--seed-time=0", *words, torrent).wait(90)

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture
def aria2(tmp_path: Path) -> Iterator[Aria2]:
    program = shutil.which("aria2c")
    if not program:
        pytest.skip("aria2c is not installed (your package manager has it)")
    made = Aria2(program, tmp_path)
    yield made
    made.close()


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder with files in folders."""
    folder = tmp_path / "originals" / "course"
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Random(f"{tmp_path} {name}").randbytes(size))  # each test its own torrent
    return folder


@pytest.fixture
def make_torrent(tmp_path: Path, shared_tracker: Any) -> Callable[[Path], Path]:
    """``make_torrent(folder)``: its torrent, which names our tracker."""

    def make(folder: Path) -> Path:
        data = NewTorrent.plan(folder, 1 << 15).encode(TorrentNotes(f"{shared_tracker.url}/announce"), 1)
        path = tmp_path / f"{folder.name}.torrent"
        path.write_bytes(data)
        return path

    return make


def is_copy(original: Path, copy: Path) -> bool:
    return all((copy / name).read_bytes() == (original / name).read_bytes() for name in FILES)


@pytest.mark.parametrize("words", [(), ("--bt-force-encryption=true",)], ids=["plain", "encrypted"])
def test_aria2_fetches_a_folder_from_us(
    aria2: Aria2, course: Path, make_torrent: Any, start_node: Start, tmp_path: Path, words: tuple[str, ...]
) -> None:
    torrent = make_torrent(course)
    node = start_node(str(torrent), "-s", str(course), "-host", "127.0.0.51")
    node.wait_for_line("sharing")
    assert aria2.fetch("127.0.0.52", str(torrent), tmp_path / "theirs", *words) == 0
    assert is_copy(course, tmp_path / "theirs" / "course")
    assert node.stop() == 0


def test_aria2_fetches_a_magnet_link_from_us(
    aria2: Aria2, course: Path, make_torrent: Any, start_node: Start, tmp_path: Path
) -> None:
    """It announces that nothing is left, because it does not know yet; our tracker names us all the same."""
    torrent = make_torrent(course)
    node = start_node(str(torrent), "-s", str(course), "-host", "127.0.0.62")
    node.wait_for_line("sharing")
    link = start_node("magnet", str(torrent))
    assert link.end() == 0
    assert aria2.fetch("127.0.0.63", link.lines[0], tmp_path / "theirs") == 0
    assert is_copy(course, tmp_path / "theirs" / "course")
    assert node.stop() == 0


def test_we_fetch_a_folder_from_aria2_and_pass_it_on(
    aria2: Aria2, course: Path, make_torrent: Any, start_node: Start, tmp_path: Path
) -> None:
    """By the torrent, then by a magnet link; then aria2 fetches it from us."""
    torrent = make_torrent(course)
    seed = aria2.start("127.0.0.53", f"--dir={course.parent}", "--seed-ratio=0.0", "-V", str(torrent))
    node = start_node(str(torrent), "-d", "ours", "-host", "127.0.0.54", "--seed")
    node.wait_for_line("downloaded course")
    assert is_copy(course, tmp_path / "ours" / "course")
    link = start_node("magnet", str(torrent))
    assert link.end() == 0
    by_magnet = start_node(link.lines[0], "-d", "by magnet", "-host", "127.0.0.55")
    assert by_magnet.end() == 0, by_magnet.told()
    assert is_copy(course, tmp_path / "by magnet" / "course")
    seed.send_signal(signal.SIGINT)
    seed.wait(60)
    assert aria2.fetch("127.0.0.56", str(torrent), tmp_path / "theirs") == 0
    assert is_copy(course, tmp_path / "theirs" / "course")
    assert node.stop() == 0


def test_a_class_and_one_aria2_in_one_swarm(aria2: Aria2, course: Path, swarm: Any, tmp_path: Path) -> None:
    """A node shares; aria2 fetches from it and stays; another node fetches from both and names both."""
    owner, torrent = swarm.share(course)
    theirs = tmp_path / "theirs"
    client = aria2.start("127.0.0.57", f"--dir={theirs}", "--seed-ratio=0.0", str(torrent))
    done = owner.wait_until(
        "upload", lambda: [r for r in owner.ask("peers")["peers"] if r["transport"] == "tcp"]
    )
    assert done
    node = swarm.node("-host", "127.0.0.58")
    node.type(f'torrent -setMode download "{torrent}"')
    node.wait_for("completed")
    assert is_copy(course, node.folder / "course")
    rows = node.ask("peers")["peers"]
    assert {(row["addr"][0], row["transport"]) for row in rows} >= {
        ("127.0.0.1", "udp"),
        ("127.0.0.57", "tcp"),
    }
    assert client.poll() is None
    assert node.stop() == 0 and owner.stop() == 0


def test_a_class_fetches_from_aria2_alone(aria2: Aria2, course: Path, make_torrent: Any, swarm: Any) -> None:
    """Only aria2 has the folder; the node finds it through the class's tracker."""
    torrent = make_torrent(course)
    aria2.start("127.0.0.59", f"--dir={course.parent}", "--seed-ratio=0.0", "-V", str(torrent))
    node = swarm.node("-setMode", "download", str(torrent), "-host", "127.0.0.60")
    assert node.end(90) == 0, node.told()
    (completed,) = node.seen("completed")
    assert re.match(r"127\.0\.0\.59", completed["sources"][0]["addr"][0])
    assert is_copy(course, node.folder / "course")
