"""A swarm of ours as processes: a tracker, owners of one file, a node that fetches it."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.content import BenchContent, same, touch_memory
from bench.processes import ROOT, BenchError, Child, Children
from bench.records import ManyFiles, Transfer, Usage

START_LIMIT = 60.0  # seconds that a program may take for all but moving bytes
SLOWEST = 10e6  # bytes a second; a slower transfer counts as hanging
SLOWEST_SHARE = 0.1  # seconds for sharing one small file
POLL = 0.01  # seconds between two questions to the tracker
NO_SETTINGS: Mapping[str, str] = {}
DOWNLOADER = 100  # its node id; owners have 1, 2, ...


def patience(size: int) -> float:
    """Seconds that a program gets to deal with ``size`` bytes."""
    return START_LIMIT + size / SLOWEST


@contextmanager
def swarm(
    folder: Path, max_owners: int = 3, settings: Mapping[str, str] = NO_SETTINGS, nodes_of: Path = ROOT
) -> Iterator[BenchSwarm]:
    """A tracker with records and logs below ``folder``; all is ended and removed afterwards.

    ``settings``: more of them. ``nodes_of``: the folder of the program that the nodes run.
    """
    below = Path(tempfile.mkdtemp(prefix="swarm-", dir=folder))
    environment = {
        "LOGS_DIR": str(below / "logs"),
        "TRACKER_DB_DIR": str(below / "tracker_db"),
        "NODE_FILES_DIR": str(below / "node_files"),
        "MAX_SPLITTNES_RATE": str(max_owners),
        **settings,
    }
    try:
        with Children(environment) as children:
            yield BenchSwarm(below, children, nodes_of)
    finally:
        shutil.rmtree(below, ignore_errors=True)


class BenchSwarm:
    """See ``swarm``."""

    def __init__(self, folder: Path, children: Children, nodes_of: Path = ROOT) -> None:
        self.folder = folder
        self._program = str(nodes_of / "TorrentClient.py")
        self.children = children
        tracker = children.start(["tracker.py", "--port", "0"], 24 * 3600.0)
        self.url = tracker.line().rpartition(" ")[2]

    def node(self, node_id: int, size: int, *words: str) -> Child:
        """Start a node that has to do with ``size`` bytes."""
        common = [self._program, "-node_id", str(node_id), "-tracker", self.url, "--json"]
        return self.children.start([*common, "-d", str(self.place(node_id)), *words], patience(size))

    def place(self, node_id: int) -> Path:
        """The folder of a node's files."""
        return self.folder / f"node{node_id}"

    def owner(self, node_id: int, content: BenchContent) -> Child:
        """A node that shares ``content``, as the tracker knows by now."""
        child = self.node(node_id, content.size, "-setMode", "send", str(content.path))
        info_hash = child.event("sharing")["info_hash"]
        deadline = time.monotonic() + START_LIMIT
        while node_id not in self.known_owners(info_hash):
            if time.monotonic() > deadline:
                raise BenchError(f"{self.url}: never heard that node {node_id} shares {content.path}")
            time.sleep(POLL)
        return child

    def known_owners(self, info_hash: str) -> list[int]:
        """The tracker's answer to NEED: node ids."""
        request = {"mode": "NEED", "node_id": DOWNLOADER, "info_hash": info_hash}
        connection = http.client.HTTPConnection(self.url.partition("//")[2], timeout=START_LIMIT)
        try:
            connection.request("POST", "/tracker", json.dumps(request), {"Content-Type": "application/json"})
            answer = json.load(connection.getresponse())
        finally:
            connection.close()
        return [owner["node_id"] for owner, _ in answer["search_result"]]


def fetch(
    folder: Path,
    content: BenchContent,
    owners: int = 1,
    settings: Mapping[str, str] = NO_SETTINGS,
    nodes_of: Path = ROOT,
) -> Transfer:
    """Move ``content`` from ``owners`` owner processes into a new file below ``folder``. As ``swarm``."""
    with swarm(folder, max(3, owners), settings, nodes_of) as ours:
        serving = [ours.owner(number, content) for number in range(1, owners + 1)]
        touch_memory(ours.folder, content.size)
        child = ours.node(DOWNLOADER, content.size, "-setMode", "download", str(torrent_of(ours, content)))
        completed = child.event("completed")
        downloader = child.finish()
        used = tuple(owner.stop() for owner in serving)
        if not same(content.path, Path(completed["path"])):
            raise BenchError(f"{completed['path']} is not {content.path}")
    return Transfer(
        content.size,
        completed["transfer_seconds"],
        completed["seconds"],
        used,
        downloader,
        {source["node_id"]: source["received"] for source in completed["sources"]},
    )


def torrent_of(ours: BenchSwarm, content: BenchContent) -> Path:
    """The torrent that the first owner wrote."""
    return ours.place(1) / f"{content.path.name}.torrent"


def idle_owner(folder: Path, content: BenchContent) -> Usage:
    """The usage of an owner that hashes and shares ``content`` and serves no node."""
    with swarm(folder) as ours:
        return ours.owner(1, content).stop()


def idle_downloader(folder: Path) -> Usage:
    """Usage of a node that enters and leaves: its commands end before they begin, and it shares nothing."""
    with swarm(folder) as ours:
        child = ours.node(DOWNLOADER, 0)
        child.end_input()
        return child.finish()


def share_many(folder: Path, count: int, size: int) -> ManyFiles:
    """Have one node share ``count`` files of ``size`` random bytes, one call each."""
    with swarm(folder) as ours:
        words = ["--tracker", ours.url, "--folder", str(ours.folder / "many"), "--files", str(count)]
        child = ours.children.start(
            ["-m", "bench.many_files", *words, "--size", str(size)], START_LIMIT + count * SLOWEST_SHARE
        )
        completed = child.event("completed")
        return ManyFiles(count, size, completed["seconds"], completed["known"], child.finish())
