"""A download by nodes of ours over a network: tracker and fetcher on one station, each owner on its own."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.content import BenchContent, same
from bench.network import tcp
from bench.network.records import MeasuredFlow, TransferPlan, Wire, wire
from bench.network.topology import FETCHER, Network, network, owner
from bench.network.watch import DownloadWatch
from bench.processes import BenchError, Child, Children

START_LIMIT = 60.0  # seconds to start and to share; the links are perfect meanwhile
POLL = 0.02  # seconds
DOWNLOADER = 100  # its node id; owners have 1, 2, ...
RIVAL = "cubic"  # congestion control of the competing TCP flow
HEAD_START = 3.0  # seconds that it has the link for itself
RIVAL_LAST = 10.0  # seconds that it would go on after our limit


class NetworkSwarm:
    """A tracker and owners that are ready; see ``swarm``."""

    def __init__(self, folder: Path, network: Network, children: Children) -> None:
        self.folder = folder
        self._network = network
        self._children = children
        self._tracker = self.start(FETCHER, ["tracker.py", "--host", network.address(FETCHER), "--port", "0"])
        self.url = self._tracker.line().rpartition(" ")[2]

    def start(self, station: str, words: list[str], patience: float = 3600.0) -> Child:
        """Run Python with ``words`` at a station."""
        with self._network.inside(station):
            return self._children.start(words, patience)

    def node(self, station: str, node_id: int, patience: float, *words: str) -> Child:
        """Start a node."""
        common = ["TorrentClient.py", "-node_id", str(node_id), "-tracker", self.url, "--json"]
        where = ["-host", self._network.address(station), "-d", str(self.folder / f"node{node_id}")]
        return self.start(station, [*common, *where, *words], patience)

    def share(self, content: BenchContent, owners: int) -> Path:
        """Have owners share ``content``, until the tracker knows all of them; the torrent."""
        serving = [
            self.node(owner(number), number, 3600.0, "-setMode", "send", str(content.path))
            for number in range(1, owners + 1)
        ]
        hashes = [child.event("sharing")["info_hash"] for child in serving]
        deadline = time.monotonic() + START_LIMIT
        while len(self._known_owners(hashes[0])) < owners:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.url}: not all of {owners} owners are known")
            time.sleep(POLL)
        return self.folder / "node1" / f"{content.path.name}.torrent"

    def _known_owners(self, info_hash: str) -> list[int]:
        request = {"mode": "NEED", "node_id": DOWNLOADER, "info_hash": info_hash}
        connection = http.client.HTTPConnection(self.url.partition("//")[2], timeout=START_LIMIT)
        with self._network.inside(FETCHER):
            connection.connect()
        try:
            connection.request("POST", "/tracker", json.dumps(request), {"Content-Type": "application/json"})
            answer = json.load(connection.getresponse())
        finally:
            connection.close()
        return [found["node_id"] for found, _ in answer["search_result"]]


@contextmanager
def swarm(folder: Path, network: Network, owners: int) -> Iterator[NetworkSwarm]:
    """A tracker with all records below ``folder``; all is ended and removed afterwards."""
    below = Path(tempfile.mkdtemp(prefix="swarm-", dir=folder))
    environment = {
        "LOGS_DIR": str(below / "logs"),
        "TRACKER_DB_DIR": str(below / "tracker_db"),
        "NODE_FILES_DIR": str(below / "node_files"),
        "MAX_SPLITTNES_RATE": str(owners),
        "TRACKER_TIME_INTERVAL": "3600",  # heartbeats, too, are lost on a bad link; this is not about them
        "NODE_TIME_INTERVAL": "3600",
    }
    try:
        with Children(environment) as children:
            yield NetworkSwarm(below, network, children)
    finally:
        shutil.rmtree(below, ignore_errors=True)


def download(
    ours: NetworkSwarm, content: BenchContent, torrent: Path, plan: TransferPlan, begun: float
) -> MeasuredFlow:
    """Fetch ``content``; not done if that takes longer than the plan's limit."""
    watch = DownloadWatch(begun)
    words = ["-setMode", "download", str(torrent)]
    words += ["-cc", plan.controller] if plan.controller else []
    child = ours.node(FETCHER, DOWNLOADER, plan.limit, *words)
    try:
        completed = watch.follow(child)
    except BenchError as error:
        watch.end()
        reason = f"not done in {plan.limit:g} s" if "no news" in str(error) else str(error)
        return MeasuredFlow(watch.received, watch.seconds, False, reason, gap=watch.gap, begun=watch.first)
    if not same(content.path, Path(completed["path"])):
        raise BenchError(f"{completed['path']} is not {content.path}")
    return MeasuredFlow(content.size, completed["transfer_seconds"], True, gap=watch.gap, begun=watch.first)


def move(folder: Path, content: BenchContent, owners: int, plan: TransferPlan) -> tuple[MeasuredFlow, Wire]:
    """One download in a network of its own."""
    stations = owners + plan.rival
    with network(stations, 2 * START_LIMIT + plan.limit) as net, swarm(folder, net, owners) as ours:
        torrent = ours.share(content, owners)
        with Children({}) as others:
            if plan.rival:
                stream = tcp.Stream(net, others, RIVAL, HEAD_START + plan.limit + RIVAL_LAST)
            net.set_links(plan.links, plan.seed)
            begun = time.monotonic()
            if plan.rival:
                stream.start(owner(stations))
                time.sleep(HEAD_START)
            flow = download(ours, content, torrent, plan, begun)
            return flow, wire(net.counted())
