"""The cost of a request, the tracker's memory, the time of a sweep. Run by itself:

python -m bench.tracker.throughput register need sweep memory million

Rates are compared with a Flask route that answers with a constant, behind the same server: the difference is
the tracker's. The server is a process of its own; this process makes the load, on kept connections.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from flask import Flask, Response

from bench import report
from bench.judging import Bound, Figure, at_least, at_most, exit_code
from bench.processes import ROOT
from bench.tracker.clients import HOST, Body, Load, load
from bench.tracker.direct import own
from bench.tracker.effort import FULL, Effort
from common.messages import OwnedFile
from tracker.bootstrap import make_service
from tracker.model import Caller, Rules
from tracker.rate_limits import Limits
from tracker.settings import TrackerSettings, WebSettings
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app
from tracker.web.server import WebServer, listening_socket

CLIENTS, THREADS = 32, 8
FILES = 2_000  # of the nodes that make no load
FEW, MANY = 5, 9  # files of a node: half a million ownerships, and nearly the limit of a million
CROWDED = "c" * 40  # info hash of the file that half of the nodes own
CALM = Rules(silence=3600.0)  # no node falls silent during a measurement
PROGRAM = (sys.executable, "-m", "bench.tracker.throughput")
UNLIMITED = WebSettings(limits=Limits(1e9, 1e9))


def fill(storage: MemoryStorage, ids: range, each: int, crowd_size: int) -> None:
    """Give each node ``each`` files; the ids below ``crowd_size`` all own one file among them."""
    rng = random.Random(1)
    crowd = OwnedFile("lecture.mp4", CROWDED, 1 << 30)
    for node_id in ids:
        addr = (f"10.{node_id >> 16 & 255}.{node_id >> 8 & 255}.{node_id & 255}", 4000)
        caller = Caller(node_id, addr, proof=f"{node_id:064x}")
        numbers = rng.sample(range(FILES), each - (node_id < crowd_size))
        files = [OwnedFile(f"file-{number}", f"{number:040x}", 1 << 20) for number in numbers]
        own(storage, caller, [crowd, *files] if node_id < crowd_size else files)


def constant() -> Flask:
    """The cheapest route that Flask can have."""
    app = Flask("constant")
    body = '{"status": "Node registered", "interval": 11.0, "known": true, "files": 0, "claimed": false}'

    @app.post("/tracker")
    def answer() -> Response:
        """The same answer for each request."""
        return Response(body, mimetype="application/json")

    return app


def tracker(nodes: int) -> Flask:
    """A tracker with ``nodes`` nodes in memory."""
    storage = MemoryStorage(CALM)
    storage.open()
    fill(storage, range(nodes), 2, nodes // 2)
    settings = TrackerSettings(rules=CALM, storage="memory", web=UNLIMITED)
    return create_app(make_service(settings, storage), UNLIMITED)


@contextmanager
def serving(nodes: int | None) -> Iterator[int]:
    """Run a process that serves a tracker with ``nodes`` nodes, or (None) the constant route; its port."""
    command = [*PROGRAM, "--serve", "constant" if nodes is None else str(nodes)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def serve(name: str) -> None:
    """Serve until standard input ends."""
    application = constant() if name == "constant" else tracker(int(name))
    server = WebServer(application, listening_socket(HOST, 0), THREADS)
    server.start()
    print(server.url.rpartition(":")[2], flush=True)
    sys.stdin.read()


def heartbeat(node_id: int) -> Body:
    """REGISTER."""
    return {"mode": 0, "node_id": node_id, "addr": [HOST, 10_000 + node_id]}


def question(number: int) -> Body:
    """NEED of a file with very many owners, from a node that is not registered."""
    return {"mode": 2, "node_id": (1 << 30) + number, "info_hash": CROWDED}


@dataclass(frozen=True)
class Compared:
    """Rounds of load on the constant route and on the tracker, in turn."""

    plain: Sequence[Load]
    ours: Sequence[Load]

    def rows(self, name: str, share: float, least: float | None, p99: float | None) -> Iterator[Figure]:
        """The medians; bounds: ``share`` of the constant route, ``least`` a second, and ``p99`` (ms)."""
        base = tuple(load.rate for load in self.plain)
        rates = tuple(load.rate for load in self.ours)
        waits = tuple(load.quantile(0.99) for load in self.ours)
        middle = statistics.median(rates)
        bounds = (Bound("ratio", True, share), *(at_least(least) if least else ()))
        note = f"{CLIENTS} clients"
        yield Figure(name, middle, "/s", "constant route", statistics.median(base), bounds, note, rates)
        most = at_most(p99) if p99 else ()
        yield Figure(f"{name}: p99", statistics.median(waits), "ms", bounds=most, rounds=waits)


def compare(nodes: int, body: Callable[[int], Body], effort: Effort) -> Compared:
    """Load the constant route and a tracker with ``nodes`` nodes in turn."""

    def asked(port: int) -> Load:
        return load(port, [partial(body, number) for number in range(CLIENTS)], effort.seconds)

    with serving(None) as plain, serving(nodes) as ours:
        pairs = [(asked(plain), asked(ours)) for _ in range(effort.rounds)]
    return Compared([plain for plain, _ in pairs], [ours for _, ours in pairs])


def register(effort: Effort = FULL) -> Iterator[Figure]:
    """Heartbeats."""
    yield from compare(0, heartbeat, effort).rows("REGISTER", 0.7, None, None)


def need(effort: Effort = FULL) -> Iterator[Figure]:
    """The best owners of a file with very many."""
    name = f"NEED, {effort.nodes // 2:,} owners"
    yield from compare(effort.nodes, question, effort).rows(name, 0.6, 3000, 30)


class TimedLock:
    """A lock that records the longest time it was held."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0.0
        self.longest = 0.0  # seconds

    def acquire(self) -> None:
        """Take it."""
        self._lock.acquire()
        self._taken = time.perf_counter()

    def release(self) -> None:
        """Release it."""
        self.longest = max(self.longest, time.perf_counter() - self._taken)
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *failure: object) -> None:
        self.release()


def sweep(effort: Effort = FULL) -> Iterator[Figure]:
    """One of a hundred nodes with two files each falls silent."""
    now, nodes, silent = [0.0], effort.nodes, effort.nodes // 100
    storage = MemoryStorage(Rules(silence=1000.0), clock=lambda: now[0])
    storage.open()
    fill(storage, range(silent), 2, nodes // 2)
    now[0] = 500.0
    fill(storage, range(silent, nodes), 2, nodes // 2)
    now[0] += storage.expire().wait
    lock = storage._lock = TimedLock()  # type: ignore[assignment]
    begin = time.perf_counter()
    swept = storage.expire()
    seconds = time.perf_counter() - begin
    note = f"{nodes:,} nodes, {len(swept.gone):,} expired"
    yield Figure("sweep", seconds * 1e3, "ms", bounds=at_most(10), note=note)
    yield Figure("sweep: lock held at a time", lock.longest * 1e3, "ms", bounds=at_most(1))


@dataclass(frozen=True)
class Grown:
    """Resident bytes of a process as its tracker fills."""

    empty: int
    nodes: int  # with all nodes in, with a file each
    full: int  # with all ownerships
    owned: int  # ownerships


def grow(nodes: int, each: int) -> Grown:
    """Fill a tracker in this process, which must be new: its peak memory counts."""
    storage = MemoryStorage(CALM)
    storage.open()
    empty = resident()
    fill(storage, range(nodes), 1, nodes // 2)
    single = resident()
    fill(storage, range(nodes), each, nodes // 2)
    return Grown(empty, single, resident(), storage.counts().owned)


def growth(nodes: int, each: int, limit: float) -> Iterator[Figure]:
    """Resident memory, and the share of a node and of an ownership; ``limit``: megabytes."""
    filled = subprocess.run(
        [*PROGRAM, "--grow", str(nodes), str(each)], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    grown = Grown(**json.loads(filled.stdout))
    note = f"{nodes:,} nodes, {grown.owned:,} ownerships"
    yield Figure(f"memory, {each} files a node", grown.full / 1e6, "MB", bounds=at_most(limit), note=note)
    yield Figure("  a node with one file", (grown.nodes - grown.empty) / nodes, "bytes")
    yield Figure("  another ownership", (grown.full - grown.nodes) / (grown.owned - nodes), "bytes")


def memory(effort: Effort = FULL) -> Iterator[Figure]:
    """Memory at half of the limit of ownerships."""
    yield from growth(effort.nodes, FEW, 300)


def million(effort: Effort = FULL) -> Iterator[Figure]:
    """Memory near the limit of ownerships."""
    yield from growth(effort.nodes, MANY, 1074)


def resident() -> int:
    """Peak resident bytes of this process.

    ``ru_maxrss`` would include the peak of the parent process (see proc_pid_status(5)).
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        if found is not None:
            return int(found[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


FIGURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "register": register,
    "need": need,
    "sweep": sweep,
    "memory": memory,
    "million": million,
}


def main() -> int:
    """Print the named rows; 1 if a bound is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.throughput")
    parser.add_argument("names", nargs="*", choices=[*FIGURES, []], help="which figures; all of them without")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--grow", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    if options.grow:
        print(json.dumps(asdict(grow(*options.grow))))
        return 0
    rows = [row for name in options.names or FIGURES for row in FIGURES[name]()]
    report.show(rows, "requests, sweeps and memory")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
