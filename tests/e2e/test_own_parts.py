"""``-use FILE.py:Class`` on real nodes: the class is used, and the built-in part takes over if it fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from node.content.torrent_file import create_torrent

LABS = Path(__file__).resolve().parents[2] / "labs"

GOOD = """
from pathlib import Path
from node.chunk_udp.congestion.reno import Reno

LOG = Path(__file__).with_suffix(".log")


class Controller(Reno):
    def __init__(self, segment_size):
        super().__init__(segment_size)
        LOG.open("a").write("controller\\n")


class Order:
    def choose(self, available, availability, rng):
        LOG.open("a").write("order\\n")
        return available[-1]


class Ranking:
    def rank(self, owners):
        LOG.open("a").write("ranking\\n")
        return sorted(owners, key=lambda owner: owner.peer.node_id)
"""
BAD = """
import time
from node.chunk_udp.congestion.reno import Reno


class Crashes(Reno):
    def on_received(self, size, sent_at, rtt, now, limited):
        raise RuntimeError("my mistake")


class Exits:
    def rank(self, owners):
        exit()


class Nonsense:
    def choose(self, needed, holders, now, rng):
        return -1


class Slow:
    def choose(self, needed, holders, now, rng):
        ends = time.thread_time() + 0.06
        while time.thread_time() < ends:
            pass
        return needed[0]


class Loops:
    def __init__(self, segment):
        self.segment = segment

    def on_received(self, size, now):
        while True:
            pass

    def on_lost(self, sent_at, now):
        pass

    def window(self):
        return 4.0 * self.segment


class Sleeps:
    def choose(self, available, availability, rng):
        time.sleep(1000)
"""
# Appended to a lab's file: it notes each called method in a file in the same folder.
NOTED = """

def _noted(cls, name):
    from functools import wraps
    from pathlib import Path

    method = getattr(cls, name)

    @wraps(method)
    def noted(self, *arguments):
        with Path(__file__).with_suffix(".log").open("a") as log:
            log.write(name + "\\n")
        return method(self, *arguments)

    setattr(cls, name, noted)


"""


def own_parts(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(source, encoding="utf-8")
    return path


def noted_lab(tmp_path: Path, lab: str, name: str, method: str) -> Path:
    """The lab's right solution, which notes each call of ``method``."""
    source = (LABS / lab / "mine.py").read_text(encoding="utf-8")
    return own_parts(tmp_path, f"{source}{NOTED}_noted({name}, {method!r})\n")


def was_called(mine: Path, method: str) -> bool:
    return method in mine.with_suffix(".log").read_text()


@pytest.mark.parametrize("name", ["Controller", "Ranking"])
def test_the_class_of_a_user_is_used(swarm: Any, tmp_path: Path, name: str) -> None:
    path = swarm.file("x.bin", 1 << 20)
    _, torrent = swarm.share(path)
    mine = own_parts(tmp_path, GOOD)
    fetcher = swarm.node("-use", f"{mine}:{name}", "-setMode", "download", str(torrent))
    assert fetcher.end() == 0, fetcher.told()
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert was_called(mine, name.lower())


@pytest.mark.parametrize(
    ("lab", "name", "method"),
    [
        ("05-congestion", "Controller", "on_received"),
        ("06-pieces", "Rarest", "choose"),
        ("06-pieces", "Window", "choose"),
    ],
)
def test_the_right_solution_of_a_lab_works_in_a_node(
    swarm: Any, tmp_path: Path, lab: str, name: str, method: str
) -> None:
    path = swarm.file("x.bin", 1 << 20)
    _, torrent = swarm.share(path)
    mine = noted_lab(tmp_path, lab, name, method)
    fetcher = swarm.node("-use", f"{mine}:{name}", "-setMode", "download", str(torrent))
    assert fetcher.end() == 0, fetcher.told()
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert was_called(mine, method) and not fetcher.seen("part_failed")


def fetch_from_choker(start_node: Callable[..., Any], tmp_path: Path, mine: Path) -> tuple[Any, int]:
    """A standard peer that serves with the Choker of ``mine``, and the exit code of one that fetches."""
    path = tmp_path / "original" / "film.bin"
    path.parent.mkdir()
    path.write_bytes(Random(7).randbytes(1 << 20))
    torrent = tmp_path / "film.torrent"
    create_torrent(path, torrent, "http://127.0.0.1:9/announce")
    here = ("-host", "127.0.0.11", "-use", f"{mine}:Choker")
    owner = start_node(str(torrent), "-s", str(path), *here)
    found = re.search(r"listens on tcp (\S+)", owner.wait_for_line("listens on tcp"))
    assert found
    owner.wait_for_line("sharing")
    fetcher = start_node(str(torrent), "-d", "there", "-host", "127.0.0.12", "--peer", found[1], "--json")
    return owner, fetcher.end()


def test_the_choker_of_a_lab_serves_a_standard_peer(start_node: Callable[..., Any], tmp_path: Path) -> None:
    mine = noted_lab(tmp_path, "07-bounds", "Choker", "unchoke")
    owner, code = fetch_from_choker(start_node, tmp_path, mine)
    assert code == 0 and was_called(mine, "unchoke")
    assert owner.stop() == 0 and not any("takes over" in line for line in owner.lines)


def test_a_choker_that_names_a_stranger_is_replaced(start_node: Callable[..., Any], tmp_path: Path) -> None:
    mine = own_parts(
        tmp_path, "class Choker:\n    def unchoke(self, peers, slots, round, rng):\n        return {'me'}\n"
    )
    owner, code = fetch_from_choker(start_node, tmp_path, mine)
    assert code == 0 and owner.stop() == 3
    (line,) = (line for line in owner.lines if "takes over" in line)
    assert re.search(
        r"mine\.py:2: Choker\.unchoke\(peers=.* returned 'me', which is the name of no peer", line
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "Crashes",
            r"mine\.py:8: Crashes\.on_received\(size=.*\) raised RuntimeError: my mistake \(call \d+\)",
        ),
        ("Exits", r"mine\.py:13: Exits\.rank\(owners=.*\) raised SystemExit \(call 1\)"),
        (
            "Nonsense",
            r"mine\.py:17: Nonsense\.choose\(needed=.*\) returned -1, which is not needed \(call 1\)",
        ),
        ("Slow", r"mine\.py:22: Slow\.choose\(needed=.*\) took \d+ ms; a call may take 50 ms \(call 1\)"),
        ("Loops", r"mine\.py:3[45]: Loops\.on_received\(size=.*\) has not returned for 5 s"),
        ("Sleeps", r"mine\.py:46: Sleeps\.choose\(available=.*\) has not returned for 5 s"),
    ],
)
def test_the_built_in_part_takes_over_from_a_class_that_fails(
    swarm: Any, tmp_path: Path, brief: dict[str, str], name: str, says: str
) -> None:
    path = swarm.file("x.bin", 1 << 20)
    _, torrent = swarm.share(path)
    mine = own_parts(tmp_path, BAD)
    fetcher = swarm.downloading(torrent, "-use", f"{mine}:{name}", tracker="", **brief)
    fetcher.wait_for("download_started")
    fetcher.ask("status")  # while the call goes on
    fetcher.wait_for("completed")
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    (failed,) = fetcher.seen("part_failed")
    assert re.search(says, failed["reason"]), failed["reason"]
    assert re.search(r"the node's own .* takes over$", failed["reason"])
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 3
    assert not any("Traceback" in line for line in fetcher.errors)
