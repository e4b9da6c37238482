"""``-use FILE.py:Class`` on real nodes: the class is used, and a class that fails ends its download only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
from node.chunk_udp.congestion.reno import Reno


class Controller(Reno):
    def on_received(self, size, sent_at, rtt, now, limited):
        raise RuntimeError("my mistake")


class Ranking:
    def rank(self, owners):
        return owners + owners[0]


class Exiting(Reno):
    def on_received(self, size, sent_at, rtt, now, limited):
        exit(3)


class ExitingRanking:
    def rank(self, owners):
        exit()
"""
STUCK = """
import time
from node.chunk_udp.congestion.reno import Reno


class Sleeping:
    def rank(self, owners):
        time.sleep(1000)


class Looping:
    def rank(self, owners):
        while True:
            pass


class Controller(Reno):
    def on_received(self, size, sent_at, rtt, now, limited):
        while True:
            pass


class Order:
    def choose(self, available, availability, rng):
        time.sleep(1000)
"""


def own_parts(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["Controller", "Ranking"])
def test_the_class_of_a_user_is_used(swarm: Any, tmp_path: Path, name: str) -> None:
    path = swarm.file("x.bin", 1 << 20)
    _, torrent = swarm.share(path)
    mine = own_parts(tmp_path, GOOD)
    fetcher = swarm.node("-use", f"{mine}:{name}", "-setMode", "download", str(torrent))
    assert fetcher.end() == 0, fetcher.told()
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert name.lower() in mine.with_suffix(".log").read_text()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Controller", "mine.py:7: Controller.on_received(size="),
        ("Ranking", "mine.py:12: Ranking.rank(owners="),
        ("Exiting", "mine.py:17: Exiting.on_received(size="),
        ("ExitingRanking", "mine.py:22: ExitingRanking.rank(owners="),
    ],
)
def test_a_class_that_fails_ends_its_download_with_one_line(
    swarm: Any, tmp_path: Path, brief: dict[str, str], name: str, says: str
) -> None:
    path = swarm.file("x.bin", 1 << 20)
    _, torrent = swarm.share(path)
    mine = own_parts(tmp_path, BAD)
    fetcher = swarm.node("-use", f"{mine}:{name}", tracker="", **brief)
    fetcher.type(f"torrent -setMode download '{torrent}'")
    assert says in fetcher.wait_for("failed")["reason"]
    fetcher.ask("status")  # the node goes on
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 0
    assert not any("Traceback" in line for line in fetcher.errors)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Sleeping", "mine.py:8: Sleeping.rank(owners="),
        ("Looping", ": Looping.rank(owners="),
        ("Controller", ": Controller.on_received(size="),
        ("Order", "mine.py:25: Order.choose(available="),
    ],
)
def test_a_class_that_does_not_return_ends_its_download_only(
    swarm: Any, tmp_path: Path, brief: dict[str, str], name: str, says: str
) -> None:
    path = swarm.file("x.bin", 1 << 20)
    _, torrent = swarm.share(path)
    mine = own_parts(tmp_path, STUCK)
    fetcher = swarm.node("-use", f"{mine}:{name}", tracker="", **brief)
    fetcher.type(f"torrent -setMode download '{torrent}'")
    fetcher.wait_for("download_started")
    fetcher.ask("status")  # while the call goes on
    reason = fetcher.wait_for("failed")["reason"]
    assert says in reason and "has not returned for 5 s" in reason
    fetcher.ask("status")
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 0
    assert not any("Traceback" in line for line in fetcher.errors)
