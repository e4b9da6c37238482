"""A swarm as processes: one seed and N nodes that start together, every upload limited.

Physics sets a bound that no protocol beats (``simulator.bounds``). Downloads are not limited. The figure is
the time until the last node has the file in place.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from bench.content import BenchContent, same
from bench.ours import START_LIMIT, BenchSwarm, swarm, torrent_of
from bench.processes import BenchError, Child
from bench.records import CrowdRun
from simulator.bounds import distribution_time

UPLOAD = 4_000_000  # bytes a second, of the seed and of every node
CROWDS = (10, 30)  # nodes, without the seed
SIZE = 64 << 20  # bytes of the file
SEED = 1  # its node id; the nodes of the crowd have 100, 101, ...
FIRST = 100
PATIENCE = 20.0  # times the bound; a longer transfer counts as hanging


def run(folder: Path, content: BenchContent, nodes: int, upload: int = UPLOAD) -> CrowdRun:
    """Let one seed and ``nodes`` nodes share ``content``; every copy is compared afterwards."""
    limit = distribution_time(content.size, nodes, upload)
    with swarm(folder) as ours:
        seed = ours.node(SEED, content.size, "-up", str(upload), "-setMode", "send", str(content.path))
        seed.event("sharing")
        torrent = torrent_of(ours, content)
        crowd = [_node(ours, FIRST + number, upload, limit) for number in range(nodes)]
        for child in crowd:
            _until(child, "ENTER YOUR COMMAND!")
        before = os.times()
        seconds = _together(crowd, torrent)
        for child in crowd:
            child.stop()
        for number in range(nodes):
            copy = ours.place(FIRST + number) / content.path.name
            if not same(content.path, copy):
                raise BenchError(f"{copy} is not {content.path}")
        seed.stop()
    after = os.times()
    used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return CrowdRun(nodes, content.size, upload, limit, tuple(sorted(seconds)), used)


def _node(ours: BenchSwarm, node_id: int, upload: int, limit: float) -> Child:
    words = ["TorrentClient.py", "-node_id", str(node_id), "-tracker", ours.url, "-up", str(upload)]
    return ours.children.start([*words, "-d", str(ours.place(node_id))], START_LIMIT + PATIENCE * limit)


def _until(child: Child, beginning: str) -> None:
    """Read its lines until one begins with ``beginning``. A line that reports a failure raises BenchError."""
    while not (line := child.line()).startswith(beginning):
        if " failed: " in line:
            raise BenchError(f"{child.name}: {line}")


def _together(crowd: list[Child], torrent: Path) -> list[float]:
    """All begin at the same moment; seconds until each has the file in place."""
    ends: list[float] = []
    failures: list[BenchError] = []

    def wait(child: Child) -> None:
        try:
            _until(child, "downloaded ")
            ends.append(time.monotonic())
        except BenchError as error:
            failures.append(error)

    watchers = [threading.Thread(target=wait, args=(child,), daemon=True) for child in crowd]
    for watcher in watchers:
        watcher.start()
    begun = time.monotonic()
    for child in crowd:
        child.say(f"torrent -setMode download '{torrent}'")
    for watcher in watchers:
        watcher.join()
    if failures:
        raise failures[0]
    return [end - begun for end in ends]
