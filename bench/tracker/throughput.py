"""What a request costs, how large the tracker grows, how long a sweep takes. Run by itself:

python -m bench.tracker.throughput register need sweep memory million

Rates stand beside those of a Flask route that answers with a constant, behind the same server: the rest is
ours. The server is a process of its own; this one is the load, on kept connections.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flask import Flask, Response

from bench.tracker.clients import HOST, Body, Load, load
from bench.tracker.durability import Row
from common.messages import OwnedFile
from tracker.admission import Limits
from tracker.assembly import make_service
from tracker.decisions import Caller, Rules
from tracker.settings import TrackerSettings
from tracker.storage.memory import InProcess
from tracker.web.app import create_app
from tracker.web.server import WebServer, listening_socket
from tracker.web.settings import WebSettings

CLIENTS, THREADS = 32, 8
SECONDS, ROUNDS = 3.0, 3
NODES, CROWD = 100_000, 50_000  # nodes; of these, owners of one file
FILES = 2_000  # that the others share
CROWDED = "c" * 40  # info hash of the file that CROWD nodes own
CALM = Rules(silence=3600.0)  # nobody falls silent meanwhile
UNLIMITED = WebSettings(limits=Limits(1e9, 1e9, 1 << 30))


def fill(storage: InProcess, ids: range, each: int) -> None:
    """So many files for each node; the CROWD lowest ids own one and the same, among others."""
    rng = random.Random(1)
    crowd = OwnedFile("lecture.mp4", CROWDED, 1 << 30)
    for node_id in ids:
        addr = (f"10.{node_id >> 16 & 255}.{node_id >> 8 & 255}.{node_id & 255}", 4000)
        caller = Caller(node_id, addr, proof=f"{node_id:064x}")
        numbers = rng.sample(range(FILES), each - (node_id < CROWD))
        files = [OwnedFile(f"file-{number}", f"{number:040x}", 1 << 20) for number in numbers]
        storage.own(caller, [crowd, *files] if node_id < CROWD else files)


def constant() -> Flask:
    """The least that a route behind Flask can do."""
    app = Flask("constant")
    body = '{"status": "Node registered", "interval": 11.0, "known": true, "files": 0, "claimed": false}'

    @app.post("/tracker")
    def answer() -> Response:
        """Always the same."""
        return Response(body, mimetype="application/json")

    return app


def tracker(crowded: bool) -> Flask:
    """The tracker with its records in memory."""
    storage = InProcess(CALM)
    storage.open()
    if crowded:
        fill(storage, range(NODES), 2)
    settings = TrackerSettings(rules=CALM, storage="memory", web=UNLIMITED)
    return create_app(make_service(settings, storage), UNLIMITED)


APPLICATIONS: dict[str, Callable[[], Flask]] = {
    "constant": constant,
    "tracker": lambda: tracker(False),
    "crowded": lambda: tracker(True),
}


@contextmanager
def serving(name: str) -> Iterator[int]:
    """A process that serves one of APPLICATIONS; its port."""
    command = [sys.executable, "-m", "bench.tracker.throughput", "--serve", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def serve(name: str) -> None:
    """Until standard input ends."""
    server = WebServer(APPLICATIONS[name](), listening_socket(HOST, 0), THREADS)
    server.start()
    print(server.url.rpartition(":")[2], flush=True)
    sys.stdin.read()


def heartbeat(node_id: int) -> Body:
    """REGISTER."""
    return {"mode": 0, "node_id": node_id, "addr": [HOST, 10_000 + node_id]}


def question(node_id: int) -> Body:
    """NEED of what CROWD nodes own."""
    return {"mode": 2, "node_id": NODES + node_id, "info_hash": CROWDED}


def compared(name: str, application: str, body: Callable[[int], Body], must: str) -> Iterator[Row]:
    """Rounds of the constant route and of ours, in turn; the medians."""

    def asked(port: int) -> Load:
        return load(port, [partial(body, node_id) for node_id in range(CLIENTS)], SECONDS)

    with serving("constant") as plain, serving(application) as ours:
        pairs = [(asked(plain), asked(ours)) for _ in range(ROUNDS)]
    base = statistics.median(plainly.rate for plainly, _ in pairs)
    rate = statistics.median(loaded.rate for _, loaded in pairs)
    yield Row("a constant route", base, "/s", "")
    yield Row(name, rate, "/s", "")
    yield Row(f"{name}, p99", statistics.median(loaded.quantile(0.99) for _, loaded in pairs), "ms", "")
    yield Row(f"{name} ÷ a constant route", rate / base, "", must)


def register() -> Iterator[Row]:
    """Heartbeats."""
    yield from compared("REGISTER", "tracker", heartbeat, ">= 0.7")


def need() -> Iterator[Row]:
    """The best owners of very many."""
    yield from compared(
        f"NEED, {CROWD:,} owners among {NODES:,}", "crowded", question, ">= 0.6; p99 <= 30 ms"
    )


class TimedLock:
    """A lock that knows for how long it was held at a time, at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0.0
        self.longest = 0.0  # seconds

    def __enter__(self) -> None:
        self._lock.acquire()
        self._taken = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self.longest = max(self.longest, time.perf_counter() - self._taken)
        self._lock.release()


def sweep() -> Iterator[Row]:
    """NODES with two files each are in, and one of a hundred falls silent."""
    now, silent = [0.0], NODES // 100
    storage = InProcess(Rules(silence=1000.0), clock=lambda: now[0])
    storage.open()
    fill(storage, range(silent), 2)
    now[0] = 500.0
    fill(storage, range(silent, NODES), 2)
    now[0] += storage.sweep().wait
    lock = storage._lock = TimedLock()  # type: ignore[assignment]
    begin = time.perf_counter()
    swept = storage.sweep()
    seconds = time.perf_counter() - begin
    yield Row(f"sweep of {NODES:,} nodes, {len(swept.gone):,} expired", seconds * 1e3, "ms", "< 10")
    yield Row("lock held at a time", lock.longest * 1e3, "ms", "<= 1")


def memory(each: int = 5, must: str = "<= 300") -> Iterator[Row]:
    """Resident memory, and what a node and an ownership add to it."""
    storage = InProcess(CALM)
    storage.open()
    empty = resident()
    fill(storage, range(NODES), 1)
    nodes = resident()
    fill(storage, range(NODES), each)
    full, owned = resident(), storage.counts().owned
    yield Row(f"memory, {NODES:,} nodes and {owned:,} ownerships", full / 1e6, "MB", must)
    yield Row("a node with one file", (nodes - empty) / NODES, "bytes", "")
    yield Row("another ownership", (full - nodes) / (owned - NODES), "bytes", "")


def million() -> Iterator[Row]:
    """The same at the limit of ownerships."""
    yield from memory(each=9, must="< 1074")


def resident() -> int:
    """Bytes of this process in memory, at most until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


FIGURES: dict[str, Callable[[], Iterator[Row]]] = {
    "register": register,
    "need": need,
    "sweep": sweep,
    "memory": memory,
    "million": million,
}


def main() -> int:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.throughput")
    parser.add_argument("names", nargs="*", choices=[*FIGURES, []], help="which figures; all of them without")
    parser.add_argument("--serve", choices=APPLICATIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    for name in options.names or ("register", "need", "sweep", "memory"):
        for row in FIGURES[name]():
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
